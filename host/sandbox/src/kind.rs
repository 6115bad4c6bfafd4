//! The kinds of component, in one table: whatever differs between kinds and is plain data.
//!
//! A new kind is one entry of the table. Its behaviour (loading it, following the registry, its template) is matched
//! exhaustively where it differs, so the compiler names every place that a new kind must be added to. The manifest, the
//! registry, the API and the command line all use this enum.

use std::fmt;
use std::str::FromStr;

use super::limits::Limits;

/// Facts of one kind of component.
#[derive(Debug, PartialEq, Eq)]
pub struct KindFacts {
    /// Name in `spin.toml`, in the registry's tables, in the API and on the command line.
    pub name: &'static str,
    /// Purpose, for people who choose a kind: a sentence without its subject and full stop.
    pub purpose: &'static str,
    /// World that it is built against, in `wit/` or in WASI.
    pub world: &'static str,
    /// Package of the interface that it exports, and the package's version that this host runs.
    pub package: &'static str,
    pub version: &'static str,
    pub interface: &'static str,
    /// Functions that the interface must have.
    pub functions: &'static [&'static str],
    /// Key of `[[trigger.clearfold]]` that holds the handler's name; none for a kind that is no handler.
    pub name_key: Option<&'static str>,
    /// True if the component's description says which handler it is for. Otherwise the operator says it.
    pub names_itself: bool,
    /// True if its answers become events. Such a component is in force in each partition from a recorded command on,
    /// makes states that belong to a family, and can be tried beside the one in force.
    pub decides: bool,
    /// True if the registry records the point at which such a component begins in each partition.
    pub begins_in_partitions: bool,
    /// Limits of one call. HTTP components run under [`EdgeLimits`](super::edge::EdgeLimits) instead.
    pub limits: Limits,
}

/// Makes the enum and its table from one list, so that neither can lack an entry of the other.
macro_rules! component_kinds {
    ($($variant:ident => $facts:expr,)+) => {
        /// Kind of a component: the world that it exports.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ComponentKind {
            $($variant,)+
        }

        impl ComponentKind {
            /// All kinds, in the order of the table.
            pub const ALL: [Self; [$(Self::$variant),+].len()] = [$(Self::$variant),+];

            /// Entry of the table.
            #[must_use]
            pub const fn facts(self) -> &'static KindFacts {
                match self {
                    $(Self::$variant => const { &$facts },)+
                }
            }
        }
    };
}

/// Package of the handlers' worlds in `wit/`, and its version.
const HANDLERS: &str = "clearfold:handlers";
const WIT_VERSION: &str = "0.1.0";
const MIB: usize = 1 << 20;

component_kinds! {
    Translator => KindFacts {
        name: "translator",
        purpose: "Makes commands of a blockchain's logs",
        world: "translator",
        package: HANDLERS,
        version: WIT_VERSION,
        interface: "translation",
        functions: &["filters", "translate"],
        name_key: Some("name"),
        names_itself: false,
        decides: false,
        begins_in_partitions: false,
        limits: Limits::USUAL,
    },
    Decider => KindFacts {
        name: "decider",
        purpose: "Says which events a command causes",
        world: "decider",
        package: HANDLERS,
        version: WIT_VERSION,
        interface: "decision",
        functions: &["describe", "initial", "keys", "decide", "evolve"],
        name_key: Some("aggregate"),
        names_itself: true,
        decides: true,
        begins_in_partitions: true,
        limits: Limits::USUAL,
    },
    Saga => KindFacts {
        name: "saga",
        purpose: "Says what a workflow does at each event of a stream, step by step",
        world: "saga",
        package: HANDLERS,
        version: WIT_VERSION,
        interface: "orchestration",
        functions: &["describe", "observe", "run", "compensate"],
        name_key: Some("name"),
        names_itself: true,
        decides: true,
        begins_in_partitions: true,
        limits: Limits::USUAL,
    },
    Projector => KindFacts {
        name: "projector",
        purpose: "Says how events change the rows of tables",
        world: "projector",
        package: HANDLERS,
        version: WIT_VERSION,
        interface: "projection",
        functions: &["describe", "keys", "project"],
        name_key: Some("projection"),
        names_itself: true,
        decides: false,
        begins_in_partitions: true,
        // A row has a value for each column.
        limits: Limits { output_items: 1_000_000, ..Limits::USUAL },
    },
    Auditor => KindFacts {
        name: "auditor",
        purpose: "Says which invariants an account's events break",
        world: "auditor",
        package: HANDLERS,
        version: WIT_VERSION,
        interface: "audit",
        functions: &["describe", "audit"],
        name_key: Some("name"),
        names_itself: true,
        decides: false,
        begins_in_partitions: false,
        // One call gets all events of an account; its answer is short, since people read it.
        limits: Limits {
            fuel: 60_000_000_000,
            deadline_ms: 30_000,
            memory_bytes: 256 * MIB,
            output_bytes: 8 * MIB,
            ..Limits::USUAL
        },
    },
    Http => KindFacts {
        name: "http",
        purpose: "Answers HTTP requests",
        world: "service",
        package: "wasi:http",
        version: "0.3.0",
        interface: "handler",
        functions: &["handle"],
        name_key: None,
        names_itself: false,
        decides: false,
        begins_in_partitions: false,
        limits: Limits::USUAL,
    },
}

impl ComponentKind {
    /// Name in `spin.toml`, in the registry's tables, in the API and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.facts().name
    }

    /// Returns true for kinds that are handlers: `[[trigger.clearfold]]` of the manifest names them.
    #[must_use]
    pub const fn is_handler(self) -> bool {
        self.facts().name_key.is_some()
    }

    /// Returns true if its answers become events, see [`KindFacts::decides`].
    #[must_use]
    pub const fn decides(self) -> bool {
        self.facts().decides
    }

    /// Returns true if it begins in each partition at a recorded point, see [`KindFacts::begins_in_partitions`].
    #[must_use]
    pub const fn begins_in_partitions(self) -> bool {
        self.facts().begins_in_partitions
    }

    /// Interface that a component of this kind exports, as it stands in the component.
    #[must_use]
    pub fn export(self) -> String {
        let KindFacts { package, interface, version, .. } = self.facts();
        format!("{package}/{interface}@{version}")
    }
}

impl Limits {
    /// Limits of one call of a component of a kind.
    #[must_use]
    pub const fn of(kind: ComponentKind) -> Self {
        kind.facts().limits
    }
}

impl fmt::Display for ComponentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no kind.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is no kind of component; kinds are {kinds}",
    kinds = ComponentKind::ALL.map(ComponentKind::as_str).join(", ")
)]
pub struct UnknownKind(String);

impl FromStr for ComponentKind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| UnknownKind(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    use super::*;

    fn repository(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
    }

    /// The words of each table's `CHECK (kind IN (…))`, as the last migration leaves it.
    fn kinds_in_sql() -> BTreeMap<String, Vec<String>> {
        let files = std::fs::read_dir(repository("migrations/write")).unwrap();
        let mut files: Vec<PathBuf> =
            files.map(|file| file.unwrap().path()).filter(|path| path.is_file()).collect();
        files.sort();
        let (mut table, mut found) = (String::new(), BTreeMap::new());
        for line in files.iter().flat_map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        }) {
            let begins = ["CREATE TABLE ", "ALTER TABLE "].iter().find_map(|begin| line.strip_prefix(begin));
            if let Some(name) = begins.and_then(|rest| rest.split_whitespace().next()) {
                table = name.to_owned();
            }
            if let Some((words, _)) =
                line.split_once("CHECK (kind IN (").and_then(|(_, rest)| rest.split_once(')'))
            {
                let words = words.split(", ").map(|word| word.trim_matches('\'').to_owned());
                found.insert(table.clone(), words.collect());
            }
        }
        found
    }

    #[test]
    fn the_registry_takes_these_kinds_and_no_others() {
        let found = kinds_in_sql();
        let ours = ComponentKind::ALL.map(|kind| kind.as_str().to_owned()).to_vec();
        assert!(found.contains_key("components") && found.contains_key("activations"), "{found:?}");
        for (table, kinds) in found {
            assert_eq!(kinds, ours, "the CHECK of {table}.kind; a migration must replace it");
        }
    }

    #[test]
    fn a_name_means_one_kind() {
        for kind in ComponentKind::ALL {
            assert_eq!(kind.as_str().parse::<ComponentKind>().unwrap(), kind);
        }
        let unknown = "sage".parse::<ComponentKind>().unwrap_err().to_string();
        let said =
            "`sage` is no kind of component; kinds are translator, decider, saga, projector, auditor, http";
        assert_eq!(unknown, said);
    }

    #[test]
    fn the_contract_has_each_handlers_world_and_functions() {
        for kind in ComponentKind::ALL.into_iter().filter(|kind| kind.is_handler()) {
            let KindFacts { world, interface, functions, .. } = kind.facts();
            let wit = std::fs::read_to_string(repository(&format!("wit/{world}.wit"))).unwrap();
            assert!(wit.contains(&format!("world {world} {{\n    export {interface};\n")), "{kind}");
            let named: Vec<&str> =
                wit.lines().filter_map(|line| line.split_once(": func(")).map(|(n, _)| n.trim()).collect();
            assert_eq!(named, *functions, "{kind}");
        }
        let package = std::fs::read_to_string(repository("wit/decider.wit")).unwrap();
        assert!(package.starts_with(&format!("package {HANDLERS}@{WIT_VERSION};\n")));
    }

    #[test]
    fn the_documents_have_each_kinds_export() {
        let document = std::fs::read_to_string(repository("docs/RUNTIME.md")).unwrap();
        for kind in ComponentKind::ALL {
            let row = format!("| {kind} | `{}` |", kind.export());
            assert!(document.contains(&row), "docs/RUNTIME.md must have a row: {row}");
        }
    }
}
