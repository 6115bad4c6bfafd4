//! A page of a partition's events, checked before a consumer sees it: its positions follow those asked for without a
//! gap, and so do the versions of each stream in it. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{BusError, StoredEvent};

/// Range of a partition that was asked for: the positions behind `after`, up to and including `up_to`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub partition: u32,
    pub after: u64,
    pub up_to: u64,
}

/// Place of an event in the log.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    partition: u32,
    position: u64,
    stream: &'a str,
    stream_version: u64,
}

/// Checks the store's answer. A consumer would keep what it makes of a wrong one, so it gets none.
pub(crate) fn checked(
    asked: Asked,
    events: Vec<Arc<StoredEvent>>,
) -> Result<Vec<Arc<StoredEvent>>, BusError> {
    let places = events.iter().map(|event| Place {
        partition: event.partition,
        position: event.position,
        stream: &event.stream,
        stream_version: event.stream_version,
    });
    check(asked, places)?;
    Ok(events)
}

fn check<'a>(asked: Asked, places: impl Iterator<Item = Place<'a>>) -> Result<(), BusError> {
    let damaged = |position, why: String| BusError::Damaged { partition: asked.partition, position, why };
    let mut last = asked.after;
    let mut versions: BTreeMap<&str, u64> = BTreeMap::new();
    for place in places {
        let expected = last.checked_add(1).ok_or_else(|| damaged(last, "no position follows".to_owned()))?;
        if place.partition != asked.partition || place.position != expected {
            let why = format!("event {} of partition {} is there instead", place.position, place.partition);
            return Err(damaged(expected, why));
        }
        if place.position > asked.up_to {
            return Err(damaged(expected, format!("it was read, but only {} is published", asked.up_to)));
        }
        let before = versions.insert(place.stream, place.stream_version);
        if let Some(before) = before.filter(|before| before.checked_add(1) != Some(place.stream_version)) {
            let (stream, version) = (place.stream, place.stream_version);
            return Err(damaged(expected, format!("version {version} of {stream} follows version {before}")));
        }
        last = place.position;
    }
    // One more than `after` is at most `up_to`, so it is a number.
    if last == asked.after && asked.up_to > asked.after {
        return Err(damaged(asked.after + 1, "there is no event".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked = Asked { partition: 3, after: 10, up_to: 20 };

    fn place(position: u64, stream: &str, stream_version: u64) -> Place<'_> {
        Place { partition: 3, position, stream, stream_version }
    }

    fn refused(places: &[Place<'_>]) -> String {
        check(ASKED, places.iter().copied()).unwrap_err().to_string()
    }

    #[test]
    fn a_page_without_a_gap_is_taken() {
        let places = [place(11, "a", 4), place(12, "b", 1), place(13, "a", 5)];
        assert!(check(ASKED, places.into_iter()).is_ok());
        assert!(check(Asked { up_to: 10, ..ASKED }, std::iter::empty()).is_ok());
    }

    #[test]
    fn a_gap_is_refused_with_its_partition_and_position() {
        for places in [&[place(12, "a", 1)][..], &[place(11, "a", 1), place(13, "a", 2)], &[]] {
            let refused = refused(places);
            let position = if places.len() == 2 { 12 } else { 11 };
            assert!(refused.contains(&format!("partition 3 is damaged at position {position}")), "{refused}");
        }
    }

    #[test]
    fn an_event_twice_of_elsewhere_or_not_published_is_refused() {
        let elsewhere = Place { partition: 4, ..place(11, "a", 1) };
        assert!(refused(&[elsewhere]).contains("event 11 of partition 4"));
        assert!(refused(&[place(11, "a", 1), place(11, "a", 1)]).contains("position 12"));
        let early = check(Asked { up_to: 11, ..ASKED }, [place(11, "a", 1), place(12, "a", 2)].into_iter());
        assert!(early.unwrap_err().to_string().contains("only 11 is published"));
    }

    #[test]
    fn a_stream_whose_versions_do_not_follow_is_refused() {
        let refused = refused(&[place(11, "a", 1), place(12, "b", 7), place(13, "a", 3)]);
        assert!(
            refused.contains("position 13") && refused.contains("version 3 of a follows version 1"),
            "{refused}"
        );
    }
}
