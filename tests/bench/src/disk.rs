//! The disk's own flush: the lower bound of a commit's duration.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::load::histogram;

/// Writes a page and flushes it repeatedly, as a server does with its write-ahead log.
pub fn flushes(folder: &Path, time: Duration) -> Result<Histogram<u64>> {
    const PAGE: usize = 8192;
    let path = folder.join("flushes");
    let mut file = File::create(&path)?;
    // Overwritten in place, as the segments of the write-ahead log are.
    file.write_all(&vec![0; PAGE * 256])?;
    file.sync_all()?;
    let (mut histogram, mut place, page) = (histogram()?, 0, vec![1; PAGE]);
    let began = Instant::now();
    while began.elapsed() < time {
        let flushed = Instant::now();
        file.seek(SeekFrom::Start(place * PAGE as u64))?;
        file.write_all(&page)?;
        file.sync_data()?;
        histogram.saturating_record(u64::try_from(flushed.elapsed().as_micros())?);
        place = (place + 1) % 256;
    }
    std::fs::remove_file(path)?;
    Ok(histogram)
}
