//! Numbers and times, between our types and the database's.

use clearfold_kernel::Timestamp;
use time::OffsetDateTime;

use super::DatabaseError;

/// Numbers of rows, positions and versions are never negative; the database checks it.
pub fn unsigned(number: i64) -> Result<u64, DatabaseError> {
    u64::try_from(number)
        .map_err(|_| DatabaseError::Corrupt(format!("{number} where no number is below zero")))
}

/// 63 bits of positions outlast every disk.
pub fn signed(number: u64) -> Result<i64, DatabaseError> {
    i64::try_from(number).map_err(|_| DatabaseError::Corrupt(format!("{number} does not fit a bigint")))
}

/// A partition's number as the database writes it.
pub fn partition_key(partition: u32) -> Result<i32, DatabaseError> {
    i32::try_from(partition).map_err(|_| DatabaseError::Corrupt(format!("partition {partition}")))
}

/// The database's time in our own.
pub fn timestamp(at: OffsetDateTime) -> Result<Timestamp, DatabaseError> {
    let ms = at.unix_timestamp_nanos().div_euclid(1_000_000);
    u64::try_from(ms)
        .ok()
        .and_then(Timestamp::from_ms)
        .ok_or_else(|| DatabaseError::Corrupt(format!("the time {at}")))
}

/// Our time in the database's.
pub fn database_time(at: Timestamp) -> Result<OffsetDateTime, DatabaseError> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.as_ms()).saturating_mul(1_000_000))
        .map_err(|_| DatabaseError::Corrupt(format!("the time {at}")))
}
