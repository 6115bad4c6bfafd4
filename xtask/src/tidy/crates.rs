//! Dependencies that only some crates may name. Cargo holds all other arrows: what a crate does not depend on, it cannot
//! use. These are the few whose absence is an invariant, so that a new line in a manifest needs a reason here.

use super::Violation;
use crate::cargo::Member;
use crate::place;

/// A dependency, the crates that may name it, and the invariant that rests on it.
struct Guarded {
    dependency: &'static str,
    only_for: &'static [&'static str],
    because: &'static str,
}

const GUARDED: [Guarded; 5] = [
    Guarded {
        dependency: "wasmtime",
        only_for: &["clearfold-sandbox", "clearfold-tests"],
        because: "one crate runs components, so that one place holds their limits",
    },
    Guarded {
        dependency: "alloy",
        // clearfold-features has no code; it names crates for their features.
        only_for: &["clearfold-chain", "clearfold-devchain", "clearfold-features", "clearfold-tests"],
        because: "one crate of the host talks to a chain",
    },
    Guarded {
        dependency: "clearfold-store",
        only_for: &[
            "clearfold",
            "clearfold-audit",
            "clearfold-bench",
            "clearfold-bus",
            "clearfold-engine",
            "clearfold-tests",
        ],
        because: "a projection or a query that could append would be a second source of truth",
    },
    Guarded {
        dependency: "clearfold-domain",
        only_for: &["clearfold-bench", "a component"],
        because: "payloads are opaque to the host; only components know what a payment is",
    },
    Guarded {
        dependency: "clearfold",
        only_for: &["clearfold-bench", "clearfold-tests"],
        because: "nothing is built on the host program but its tests",
    },
];

/// Manifests that name a guarded dependency without being among those that may.
pub fn check(members: &[Member]) -> Vec<Violation> {
    members.iter().flat_map(|member| GUARDED.iter().filter_map(|guarded| guarded.violation(member))).collect()
}

impl Guarded {
    fn violation(&self, member: &Member) -> Option<Violation> {
        let who = if member.is_component { "a component" } else { member.name.as_str() };
        let names_it = member.dependencies.iter().any(|dependency| dependency == self.dependency);
        if !names_it || self.only_for.contains(&who) {
            return None;
        }
        let manifest = std::fs::read_to_string(&member.manifest).unwrap_or_default();
        let line = manifest.lines().position(|line| line.starts_with(self.dependency)).unwrap_or(0) + 1;
        let path = member.manifest.strip_prefix(place::root()).unwrap_or(&member.manifest);
        let remedy = format!("{} must not depend on {}: {}", member.name, self.dependency, self.because);
        Some(Violation { file: path.display().to_string(), line, rule: "guarded-dependency", remedy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, dependency: &str) -> Member {
        Member {
            name: name.to_owned(),
            manifest: place::root().join("Cargo.toml"),
            is_component: false,
            dependencies: vec![dependency.to_owned()],
            metadata: serde_json::Value::Null,
        }
    }

    #[test]
    fn the_read_side_cannot_be_given_the_append_path() {
        assert_eq!(check(&[member("clearfold-views", "clearfold-store")]).len(), 1);
        assert!(check(&[member("clearfold-engine", "clearfold-store")]).is_empty());
    }
}
