//! Specifications as data: cases of given, when, then for a handler, written in YAML.
//!
//! A file names the kind of handler that it specifies but nothing of its implementation, so the same file runs
//! against Rust functions ([`NativeDecider`] and its siblings) and against a built component (`clearfold spec run`).
//! Besides the expectations of a case, a run checks rules that every handler of the kind must follow: see
//! [`DeciderFile::run`], [`ProjectorFile::run`] and [`TranslatorFile::run`].
//!
//! This crate does no I/O, contains no business rules, and never runs inside the sandbox. The format is described in
//! `docs/SPECIFICATIONS.md`.

#![warn(missing_docs)]

mod decider;
mod difference;
mod file;
mod log;
mod message;
mod native;
mod projector;
mod table;
mod translator;
mod verdict;

pub use decider::{DeciderFile, DeciderSubject};
pub use file::{Specification, Unreadable};
pub use native::{NativeDecider, NativeProjector, NativeTranslator};
pub use projector::{ProjectorFile, ProjectorSubject};
pub use table::{Column, Rule, Table};
pub use translator::{Refusal, TranslatedCommand, Translation, TranslatorFile, TranslatorSubject};
pub use verdict::Verdict;
