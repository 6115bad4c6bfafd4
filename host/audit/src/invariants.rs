//! Invariants that the host checks itself, without reading a payload.

/// An invariant that the host checks itself.
pub(super) struct Own {
    pub code: &'static str,
    pub statement: &'static str,
    pub about: About,
}

/// Extent of the log that an invariant is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// Each account by itself.
    Accounts,
    /// The whole log.
    Whole,
}

pub(super) const POSITIONS_GAPLESS: &str = "positions_gapless";
pub(super) const VERSIONS_GAPLESS: &str = "versions_gapless";
pub(super) const STREAMS_KNOWN: &str = "streams_known";
pub(super) const EVENT_IDS_UNIQUE: &str = "event_ids_unique";
pub(super) const ONE_PARTITION_PER_ACCOUNT: &str = "one_partition_per_account";
/// Code of the invariant whose remedy is to build the read store again.
pub const READ_STORE_FOLLOWS_LOG: &str = "read_store_follows_log";

/// All of these invariants, in the order of the report.
pub(super) const OWN: [Own; 6] = [
    Own {
        code: POSITIONS_GAPLESS,
        statement: "A partition's positions have no gap from 1 to its head.",
        about: About::Whole,
    },
    Own {
        code: VERSIONS_GAPLESS,
        statement: "A stream's versions have no gap from 1 to its head, and its head counts its events.",
        about: About::Accounts,
    },
    Own {
        code: STREAMS_KNOWN,
        statement: "Every event lies in the partition of its stream, and every stream is known.",
        about: About::Whole,
    },
    Own {
        code: EVENT_IDS_UNIQUE,
        statement: "An event's id follows from its stream and version, so that no two have the same.",
        about: About::Accounts,
    },
    Own {
        code: ONE_PARTITION_PER_ACCOUNT,
        statement: "All streams of an account lie in one partition.",
        about: About::Accounts,
    },
    Own {
        code: READ_STORE_FOLLOWS_LOG,
        statement: "Every row of the read store is what the events up to its projection's checkpoint make of it.",
        about: About::Whole,
    },
];
