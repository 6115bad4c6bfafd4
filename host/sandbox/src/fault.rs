//! Faults: failed calls of a component, with the component, the call, and the cause as a code and as a sentence.
//!
//! A fault never holds the arguments of the call: they are unharmed, and the caller keeps them.

use std::fmt;

use wasmtime::Trap;

use super::figures::{Size, grouped};
use super::id::ComponentId;
use super::limits::{LimitExceeded, Limits, STACK_BYTES};

/// Call that a component did not survive, or answered with nonsense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub component: ComponentId,
    pub call: &'static str,
    pub cause: FaultCause,
}

/// Cause of a failed call.
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
        /// Functions in which it trapped, innermost first; empty if the component has no names.
        within: Vec<String>,
    },
    /// It answered, and the answer is impossible.
    Nonsense {
        why: String,
    },
    /// No instance was free. This is the host's limit, and is never held against the component.
    NoInstance,
    /// It returned an error of its own.
    Failed {
        why: String,
    },
}

/// Limit that an answer exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    Bytes { limit: usize },
    Items { items: usize, limit: usize },
}

/// Maximum number of functions that are named of a trap.
const NAMED_FRAMES: usize = 4;
/// Text of wasmtime's error for an answer larger than it may read. The error's type is private to wasmtime.
const UNREAD: &str = "fuel allocated for hostcalls has been exhausted";

impl FaultCause {
    /// Stable code for programs.
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

    /// Translates an error of wasmtime in a call under these limits.
    pub(super) fn of(error: &wasmtime::Error, limits: &Limits) -> Self {
        if error.is::<wasmtime::PoolConcurrencyLimitError>() {
            return Self::NoInstance;
        }
        match error.downcast_ref::<LimitExceeded>() {
            Some(&LimitExceeded::Memory { wanted_bytes }) => {
                return Self::MemoryExhausted { wanted_bytes, limit_bytes: limits.memory_bytes };
            }
            Some(&LimitExceeded::Table { wanted_elements }) => {
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
            // The guest's code returned, and reading its answer failed.
            None => match error.root_cause().to_string() {
                why if why.contains(UNREAD) => {
                    Self::OutputTooLarge(Excess::Bytes { limit: limits.output_bytes })
                }
                why => Self::Nonsense { why },
            },
        }
    }
}

/// Names the functions in which it trapped, without Rust's own functions between a panic and its trap.
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
}
