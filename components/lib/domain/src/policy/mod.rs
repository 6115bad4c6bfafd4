//! Rules as data: known assets, lifetime of a hold, tolerances for over-capture and for exchange differences, regions,
//! the time between a `Spend` and its payment, between a hold and its clearing, and between two reports of a refund, wrong PINs, types of transactions, decline reasons and
//! response codes. Each is a table; the deciders look it up and never repeat a number.

pub mod assets;
pub mod clearing_match;
pub mod conversion;
pub mod decline_reason;
pub mod hold_expiry;
pub mod over_capture;
pub mod pin_tries;
pub mod refund_match;
pub mod region;
pub mod response_code;
pub mod spend_match;
pub mod transaction_type;

pub use decline_reason::DeclineReason;
