//! Handlers written in WebAssembly text, each of whose functions can be made to misbehave.
//!
//! Without further instructions each function returns the smallest valid answer. These are no mocks: the bytes are a
//! component like any other to the host.

use anyhow::Result;

use super::broken::{encode, resolve};
use crate::Environment;

/// Handler of a world in `wit/`.
pub struct Handler {
    pub world: &'static str,
    /// Bodies of functions in WebAssembly text, by name: `("decide", "unreachable")`.
    pub bodies: Vec<(&'static str, String)>,
    /// Further items of the module: globals, tables, functions, a start function.
    pub fields: String,
    pub memory_pages: u32,
    /// Content of the answer of `describe`.
    pub described: Described,
}

/// Self-description of a handler.
#[derive(Clone)]
pub struct Described {
    /// Aggregate of a decider, or name of a projection, a saga or an auditor. A saga follows the aggregate of the same
    /// name.
    pub name: &'static str,
    /// Version of a decider's states, or of a projection; number of attempts of a saga's steps.
    pub version: u32,
    /// Names of commands, tables, steps or invariants. The first step is compensatable, the second is a pivot, the
    /// others are retriable.
    pub parts: Vec<&'static str>,
    /// Schema version of each command; delay of each step.
    pub schema_version: u32,
}

/// Address of the answer of `describe`. Zeros lie before it: they read as an empty list, and as a success without
/// content.
const DESCRIBED_AT: u32 = 1024;
const ZEROS_AT: u32 = 512;

/// Exported functions of a world's module, with their parameters.
fn functions(world: &str) -> (&'static str, &'static [(&'static str, &'static str)]) {
    match world {
        "decider" => (
            "decision",
            &[
                ("describe", ""),
                ("initial", ""),
                ("keys", "i32 i32"),
                ("decide", "i32 i32"),
                ("evolve", "i32 i32 i32 i32 i32 i32"),
            ],
        ),
        "projector" => {
            ("projection", &[("describe", ""), ("keys", "i32 i32"), ("project", "i32 i32 i32 i32")])
        }
        "saga" => (
            "orchestration",
            &[("describe", ""), ("observe", "i32 i32"), ("run", "i32 i32"), ("compensate", "i32 i32")],
        ),
        "auditor" => ("audit", &[("describe", ""), ("audit", "i32 i32 i64 i32 i32")]),
        _ => ("translation", &[("filters", "i32 i32"), ("translate", "i32 i32 i32 i32")]),
    }
}

impl Handler {
    /// Makes a handler that keeps all promises and does nothing.
    #[must_use]
    pub fn good(world: &'static str) -> Self {
        let described = Described { name: "quiet", version: 1, parts: vec!["nothing"], schema_version: 1 };
        Self { world, bodies: Vec::new(), fields: String::new(), memory_pages: 1, described }
    }

    /// Replaces the body of a function.
    #[must_use]
    pub fn doing(mut self, function: &'static str, body: impl Into<String>) -> Self {
        self.bodies.push((function, body.into()));
        self
    }

    /// Adds items to the module.
    #[must_use]
    pub fn with(mut self, fields: &str) -> Self {
        self.fields.push_str(fields);
        self
    }

    /// Names of its functions.
    #[must_use]
    pub fn functions(world: &str) -> Vec<&'static str> {
        functions(world).1.iter().map(|(name, _)| *name).collect()
    }

    /// Builds the component.
    pub fn build(&self, environment: &Environment) -> Result<Vec<u8>> {
        let (interface, functions) = functions(self.world);
        let mut text = format!(
            r#"(module (memory (export "memory") {}) (global $free (mut i32) (i32.const 8192))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                global.get $free
                (global.set $free (i32.and (i32.add (i32.add (global.get $free) (local.get 3)) (i32.const 15)) (i32.const -16))))
            "#,
            self.memory_pages
        );
        for (name, parameters) in functions {
            let good = if *name == "describe" { DESCRIBED_AT } else { ZEROS_AT };
            let good = format!("(i32.const {good})");
            let body =
                self.bodies.iter().find(|(function, _)| function == name).map_or(&good, |(_, body)| body);
            text.push_str(&format!(
                r#"(func (export "clearfold:handlers/{interface}@0.1.0#{name}") (param {parameters}) (result i32) {body})"#
            ));
        }
        let data: String = self.descriptor().iter().map(|byte| format!("\\{byte:02x}")).collect();
        text.push_str(&format!(r#"(data (i32.const {DESCRIBED_AT}) "{data}") {})"#, self.fields));
        let (resolve, world) = resolve(environment, self.world)?;
        encode(&resolve, world, &text)
    }

    /// Lays out the answer of `describe` in memory.
    fn descriptor(&self) -> Vec<u8> {
        let Described { name, version, parts, schema_version } = &self.described;
        // The longest record comes first, then the data that it points to.
        let mut tail = Tail { at: DESCRIBED_AT + 64, bytes: Vec::new() };
        let name = tail.put(name.as_bytes());
        let head: Vec<u8> = match self.world {
            "decider" => {
                let parts: Vec<_> = parts.iter().map(|part| tail.put(part.as_bytes())).collect();
                let types: Vec<u8> = parts
                    .iter()
                    .flat_map(|part| [&part[..], &schema_version.to_le_bytes()].concat())
                    .collect();
                let types = tail.list(&types, parts.len());
                [&name[..], &types, &types, &version.to_le_bytes(), &[1, 0, 0, 0]].concat()
            }
            "projector" => {
                let key = tail.put(b"id");
                // Column: text, not null, no rule.
                let column = tail.list(&[&key[..], &[0; 20]].concat(), 1);
                let primary_key = tail.list(&key, 1);
                let tables: Vec<u8> = parts
                    .iter()
                    .flat_map(|part| {
                        [&tail.put(part.as_bytes())[..], &column, &primary_key, &[0; 8]].concat()
                    })
                    .collect();
                let tables = tail.list(&tables, parts.len());
                [&name[..], &version.to_le_bytes(), &tables].concat()
            }
            "saga" => {
                let parts: Vec<_> = parts.iter().map(|part| tail.put(part.as_bytes())).collect();
                let (delay, attempts) = (schema_version.to_le_bytes(), version.to_le_bytes());
                let steps: Vec<u8> = parts
                    .iter()
                    .zip([0_u32, 1].into_iter().chain(std::iter::repeat(2)))
                    .flat_map(|(part, phase)| {
                        [&part[..], &phase.to_le_bytes(), &delay, &delay, &attempts].concat()
                    })
                    .collect();
                let steps = tail.list(&steps, parts.len());
                let begun = tail.put(b"Begun");
                let starts_on = tail.list(&begun, 1);
                [&name[..], &name, &starts_on, &[0; 8], &steps].concat()
            }
            _ => {
                let texts: Vec<u8> =
                    parts.iter().flat_map(|part| tail.put(part.as_bytes()).repeat(2)).collect();
                [name, tail.list(&texts, parts.len())].concat()
            }
        };
        let padding = vec![0; 64 - head.len()];
        [head, padding, tail.bytes].concat()
    }
}

/// Data that records point to.
struct Tail {
    at: u32,
    bytes: Vec<u8>,
}

impl Tail {
    /// Adds bytes, and returns their address and length.
    fn put(&mut self, bytes: &[u8]) -> [u8; 8] {
        self.list(bytes, bytes.len())
    }

    /// Adds this many elements, and returns their address and number.
    fn list(&mut self, bytes: &[u8], elements: usize) -> [u8; 8] {
        let place = self.at + u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        let elements = u32::try_from(elements).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let (place, elements) = (place.to_le_bytes(), elements.to_le_bytes());
        [place[0], place[1], place[2], place[3], elements[0], elements[1], elements[2], elements[3]]
    }
}
