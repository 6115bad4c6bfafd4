//! Conversions of numbers and times between our types and the database's.

use clearfold_kernel::Timestamp;
use time::OffsetDateTime;

use super::DatabaseError;

/// Converts a count, position or version. They are never negative; the database checks it too.
pub fn unsigned(number: i64) -> Result<u64, DatabaseError> {
    u64::try_from(number)
        .map_err(|_| DatabaseError::Corrupt(format!("{number} where no number is below zero")))
}

/// Converts a count, position or version for the database. 63 bits of positions outlast every disk.
pub fn signed(number: u64) -> Result<i64, DatabaseError> {
    i64::try_from(number).map_err(|_| DatabaseError::Corrupt(format!("{number} does not fit a bigint")))
}

/// Converts a partition's number for the database.
pub fn partition_key(partition: u32) -> Result<i32, DatabaseError> {
    i32::try_from(partition).map_err(|_| DatabaseError::Corrupt(format!("partition {partition}")))
}

/// Converts a partition's number from the database.
pub fn partition_number(key: i32) -> Result<u32, DatabaseError> {
    u32::try_from(key).map_err(|_| DatabaseError::Corrupt(format!("partition {key}")))
}

/// Index of a partition in a list with one element for each.
#[must_use]
pub const fn partition_index(partition: u32) -> usize {
    const { assert!(usize::BITS >= u32::BITS, "the host needs pointers of 32 bits at least") };
    partition as usize
}

/// Converts a time from the database.
pub fn timestamp(at: OffsetDateTime) -> Result<Timestamp, DatabaseError> {
    let ms = at.unix_timestamp_nanos().div_euclid(1_000_000);
    u64::try_from(ms)
        .ok()
        .and_then(Timestamp::from_ms)
        .ok_or_else(|| DatabaseError::Corrupt(format!("the time {at}")))
}

/// Converts a time for the database.
pub fn database_time(at: Timestamp) -> Result<OffsetDateTime, DatabaseError> {
    // 64 bits of milliseconds are less than 84 bits of nanoseconds, so this cannot overflow.
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.as_ms()) * 1_000_000)
        .map_err(|_| DatabaseError::Corrupt(format!("the time {at}")))
}
