//! The engine: partition writers decide commands in the sandbox and append, the registry says which component decides,
//! and [`integrity`] checks that the log is still what the components decided.

pub mod command;
pub mod effects;
pub mod inbox_keeper;
pub mod integrity;
pub mod registry;
pub mod saga;
