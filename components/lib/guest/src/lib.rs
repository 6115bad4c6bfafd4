//! Adapters that put a kernel trait behind its WIT world, so that a component is a single macro call.
//!
//! This is the only place that converts between the kernel's types and those of the sandbox boundary. It holds no
//! business logic and decides nothing.

pub mod auditor;
pub mod decider;
pub mod projector;
pub mod saga;
pub mod translator;

#[cfg(all(target_arch = "wasm32", not(feature = "default-allocator")))]
#[global_allocator]
static ARENA: clearfold_arena::LinearArena = clearfold_arena::LinearArena::new();
