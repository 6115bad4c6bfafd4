//! The whole, from outside.

mod bad_input;
mod command_line;
mod components;
mod crash;
mod store;
mod swipe;
mod translate;
