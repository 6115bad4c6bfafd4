//! Options of the allocator, mimalloc, that both programs use.

use std::ffi::c_int;

/// Number of mimalloc's option `purge_delay`, which its Rust crate does not name: milliseconds until freed memory goes
/// back to the system.
const PURGE_DELAY: c_int = 15;

/// Gives freed memory back at once, instead of after a second or more: a host with many open sagas then needs as much
/// memory as it uses. `MIMALLOC_PURGE_DELAY` in the environment takes precedence.
#[expect(unsafe_code, reason = "an option of a C library, which is set before other threads begin")]
pub fn give_back_at_once() {
    // SAFETY: the function takes numbers alone. It may be called at any time, and ignores an option that it does not know.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "an option of a C library")]
    fn the_option_is_the_purge_delay() {
        // SAFETY: the function takes a number alone.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(delay(), 1_000, "its own default, by which it is told apart");
        give_back_at_once();
        assert_eq!(delay(), 0);
    }
}
