//! Parts that every crate of the host uses: clock, digests, signatures, database connections, telemetry, background
//! work. Knows no table of the flow and no component.

pub mod background;
pub mod blocking;
pub mod clock;
pub mod database;
pub mod digest;
pub mod faults;
pub mod signature;
pub mod tasks;
pub mod telemetry;
