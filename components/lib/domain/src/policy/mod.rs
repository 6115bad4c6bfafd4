//! The rules that are data: which assets there are, how long a hold lives, how far a capture may exceed it, and every
//! reason for which a payment can be declined. A table each; the deciders look them up and never repeat a number.

pub mod assets;
pub mod decline_reason;
pub mod hold_expiry;
pub mod over_capture;

pub use decline_reason::DeclineReason;
