//! Rules as data: known assets, lifetime of a hold, tolerance for over-capture, and decline reasons. Each is a table;
//! the deciders look it up and never repeat a number.

pub mod assets;
pub mod decline_reason;
pub mod hold_expiry;
pub mod over_capture;

pub use decline_reason::DeclineReason;
