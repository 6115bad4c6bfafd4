//! What went wrong in a call of a component: which one, in which call, and why, as a word and as a sentence.
//!
//! A fault says nothing of what the component was called with: that is unharmed, and the caller's to keep.

use std::fmt;

use wasmtime::Trap;

use super::limits::{Outgrown, STACK_BYTES};
use super::{ComponentId, Limits};

/// A call that a component did not live through, or answered with nonsense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub component: ComponentId,
    pub call: &'static str,
    pub cause: FaultCause,
}

/// Why a call came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultCause {
    FuelExhausted {
        limit: u64,
    },
    DeadlinePassed {
        limit_ms: u64,
    },
    MemoryExhausted {
        wanted_bytes: usize,
        limit_bytes: usize,
    },
    TableExhausted {
        wanted_elements: usize,
        limit_elements: usize,
    },
    StackOverflow {
        limit_bytes: usize,
    },
    OutputTooLarge(Excess),
    /// It broke a rule of WebAssembly, or gave up.
    Trapped {
        reason: String,
        /// Where, innermost first; empty if the component has no names.
        within: Vec<String>,
    },
    /// Its answer is not one, whatever it did to get there.
    Nonsense {
        why: String,
    },
    /// No instance was free: the host's trouble, not the component's.
    NoInstance,
    /// It says itself that it cannot.
    Failed {
        why: String,
    },
}

/// What an answer has too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    Bytes { limit: usize },
    Items { items: usize, limit: usize },
}

/// How many functions of a trap are named.
const NAMED_FRAMES: usize = 4;
/// What wasmtime says when an answer is larger than it may read. The error's type is its own.
const UNREAD: &str = "fuel allocated for hostcalls has been exhausted";

impl FaultCause {
    /// One word for programs. It never changes.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::FuelExhausted { .. } => "fuel_exhausted",
            Self::DeadlinePassed { .. } => "deadline_passed",
            Self::MemoryExhausted { .. } => "memory_exhausted",
            Self::TableExhausted { .. } => "table_exhausted",
            Self::StackOverflow { .. } => "stack_overflow",
            Self::OutputTooLarge(_) => "output_too_large",
            Self::Trapped { .. } => "trapped",
            Self::Nonsense { .. } => "nonsense",
            Self::NoInstance => "no_instance",
            Self::Failed { .. } => "failed",
        }
    }

    /// What an error of wasmtime means for a call under these limits.
    pub(super) fn of(error: &wasmtime::Error, limits: &Limits) -> Self {
        if error.is::<wasmtime::PoolConcurrencyLimitError>() {
            return Self::NoInstance;
        }
        match error.downcast_ref::<Outgrown>() {
            Some(&Outgrown::Memory { wanted_bytes }) => {
                return Self::MemoryExhausted { wanted_bytes, limit_bytes: limits.memory_bytes };
            }
            Some(&Outgrown::Table { wanted_elements }) => {
                return Self::TableExhausted { wanted_elements, limit_elements: limits.table_elements };
            }
            None => {}
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => Self::FuelExhausted { limit: limits.fuel },
            Some(Trap::Interrupt) => Self::DeadlinePassed { limit_ms: limits.deadline_ms },
            Some(Trap::StackOverflow) => Self::StackOverflow { limit_bytes: STACK_BYTES },
            Some(trap) => {
                let reason = trap.to_string();
                let reason = reason.strip_prefix("wasm trap: ").unwrap_or(&reason).to_owned();
                Self::Trapped { reason, within: within(error) }
            }
            // Not the guest's code failed but the reading of its answer.
            None => match error.root_cause().to_string() {
                why if why.contains(UNREAD) => {
                    Self::OutputTooLarge(Excess::Bytes { limit: limits.output_bytes })
                }
                why => Self::Nonsense { why },
            },
        }
    }
}

/// The functions in which it trapped, without Rust's way from a panic to its trap.
fn within(error: &wasmtime::Error) -> Vec<String> {
    const PANIC: [&str; 6] = ["abort", "rust_", "__rust", "core::panicking::", "std::", "__rustc::"];
    let frames = error.downcast_ref::<wasmtime::WasmBacktrace>().map(wasmtime::WasmBacktrace::frames);
    let names = frames.unwrap_or_default().iter().filter_map(|frame| frame.func_name());
    let names = names.map(|name| format!("{:#}", rustc_demangle::demangle(name)));
    let ours = names.skip_while(|name| PANIC.iter().any(|panic| name.starts_with(panic)));
    ours.take(NAMED_FRAMES).collect()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { component, call, cause } = self;
        match cause {
            FaultCause::Nonsense { why } => {
                write!(f, "component {component} answered nonsense in `{call}`: {why}")
            }
            FaultCause::Failed { why } => write!(f, "component {component} could not do `{call}`: {why}"),
            cause => write!(f, "component {component} failed in `{call}`: {cause}"),
        }
    }
}

impl std::error::Error for Fault {}

impl fmt::Display for FaultCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FuelExhausted { limit } => {
                write!(f, "it used up its fuel of {} units", grouped(*limit))
            }
            Self::DeadlinePassed { limit_ms } => write!(f, "it did not answer within {limit_ms} ms"),
            Self::MemoryExhausted { wanted_bytes, limit_bytes } => {
                write!(f, "it wanted {} of memory, the limit is {}", Size(*wanted_bytes), Size(*limit_bytes))
            }
            Self::TableExhausted { wanted_elements, limit_elements } => {
                write!(f, "it wanted a table of {wanted_elements} elements, the limit is {limit_elements}")
            }
            Self::StackOverflow { limit_bytes } => {
                write!(f, "its calls are nested too deep for its stack of {}", Size(*limit_bytes))
            }
            Self::OutputTooLarge(Excess::Bytes { limit }) => {
                write!(f, "its answer is larger than {}", Size(*limit))
            }
            Self::OutputTooLarge(Excess::Items { items, limit }) => {
                write!(f, "its answer has {items} items, the limit is {limit}")
            }
            Self::Trapped { reason, within } if within.is_empty() => f.write_str(reason),
            Self::Trapped { reason, within } => write!(f, "{reason}, in {}", within.join(" < ")),
            Self::NoInstance => f.write_str("no instance was free; try again"),
            Self::Nonsense { why } | Self::Failed { why } => f.write_str(why),
        }
    }
}

/// Bytes, as people read them.
pub(super) struct Size(pub usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => write!(f, "{} MiB", bytes >> 20),
            bytes if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => write!(f, "{} KiB", bytes >> 10),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

/// A number in groups of three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap_or_default())
        .collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use clearfold_base::digest::Digest;

    fn causes() -> [FaultCause; 11] {
        let why = "it says so".to_owned();
        [
            FaultCause::FuelExhausted { limit: 10_000_000_000 },
            FaultCause::DeadlinePassed { limit_ms: 5_000 },
            FaultCause::MemoryExhausted { wanted_bytes: (64 << 20) + (64 << 10), limit_bytes: 64 << 20 },
            FaultCause::TableExhausted { wanted_elements: 70_000, limit_elements: 65_536 },
            FaultCause::StackOverflow { limit_bytes: 512 << 10 },
            FaultCause::OutputTooLarge(Excess::Bytes { limit: 1_500 }),
            FaultCause::OutputTooLarge(Excess::Items { items: 7, limit: 3 }),
            FaultCause::Trapped {
                reason: "out of bounds".into(),
                within: vec!["inner".into(), "outer".into()],
            },
            FaultCause::Nonsense { why: why.clone() },
            FaultCause::Failed { why },
            FaultCause::NoInstance,
        ]
    }

    #[test]
    fn a_fault_says_who_and_where_and_why_with_figures_and_units() {
        let component = ComponentId { name: Arc::from("quiet"), digest: Digest([0xab; 32]) };
        let said =
            causes().map(|cause| Fault { component: component.clone(), call: "decide", cause }.to_string());
        let failed = "component quiet (abababababab) failed in `decide`: ";
        let others = [
            "it used up its fuel of 10,000,000,000 units",
            "it did not answer within 5000 ms",
            "it wanted 65600 KiB of memory, the limit is 64 MiB",
            "it wanted a table of 70000 elements, the limit is 65536",
            "its calls are nested too deep for its stack of 512 KiB",
            "its answer is larger than 1500 bytes",
            "its answer has 7 items, the limit is 3",
            "out of bounds, in inner < outer",
        ];
        assert_eq!(said[..8], others.map(|other| format!("{failed}{other}")));
        assert_eq!(said[8], "component quiet (abababababab) answered nonsense in `decide`: it says so");
        assert_eq!(said[9], "component quiet (abababababab) could not do `decide`: it says so");
        assert_eq!(
            said[10],
            "component quiet (abababababab) failed in `decide`: no instance was free; try again"
        );
    }

    #[test]
    fn the_documents_have_every_code() {
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/RUNTIME.md");
        let document = std::fs::read_to_string(document).unwrap();
        for cause in causes() {
            let code = cause.code();
            assert!(document.contains(&format!("| `{code}` |")), "docs/RUNTIME.md lacks `{code}`");
        }
    }

    #[test]
    fn numbers_are_grouped_by_threes() {
        let grouped_of = [0, 12, 123, 1_234, 123_456, 1_234_567].map(grouped);
        assert_eq!(grouped_of, ["0", "12", "123", "1,234", "123,456", "1,234,567"]);
    }
}
