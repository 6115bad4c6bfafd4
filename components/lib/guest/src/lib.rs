//! Puts a kernel trait behind its WIT world, so that a component is one line.
//!
//! The one place that maps the kernel's types to the border's. It holds no business and decides nothing.

pub mod auditor;
pub mod decider;
pub mod projector;
pub mod translator;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ARENA: clearfold_arena::LinearArena = clearfold_arena::LinearArena::new();
