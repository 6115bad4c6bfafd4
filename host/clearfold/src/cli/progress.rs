//! How far a long command has come: one line on a terminal, nothing elsewhere.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub(super) struct ProgressLine {
    is_terminal: bool,
    shown: Mutex<Option<Instant>>,
}

impl ProgressLine {
    pub(super) fn new() -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), shown: Mutex::new(None) }
    }

    pub(super) fn show(&self, what: impl Display) {
        const EVERY: Duration = Duration::from_millis(100);
        let Ok(mut shown) = self.shown.lock() else { return };
        if self.is_terminal && shown.is_none_or(|at| at.elapsed() >= EVERY) {
            *shown = Some(Instant::now());
            // A frame that cannot be written is no loss.
            let _ = write!(std::io::stderr(), "\r\x1b[K{what}");
        }
    }

    pub(super) fn clear(&self) {
        if self.is_terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
