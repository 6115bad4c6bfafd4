//! Building blocks of every crate of the host: clock, digests, signatures, database connections, telemetry, background
//! tasks. Knows no table of the payment flow and no component.

pub mod background;
pub mod blocking;
pub mod clock;
pub mod database;
pub mod digest;
pub mod faults;
pub mod signature;
pub mod tasks;
pub mod telemetry;
pub mod tls;
