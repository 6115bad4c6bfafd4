//! Arrows between crates, from their manifests, and between the host's modules, from their `crate::` paths.

use super::Violation;
use super::code::{Code, is_word};
use super::rooms::{ASSEMBLY, COMPONENT, CRATES, MODULES, NEUTRAL, Room};
use crate::cargo::Member;
use crate::place;

const HOST_SOURCES: &str = "host/src/";
const TABLES: &str = "xtask/src/tidy/rooms.rs";

/// Dependencies that the design's arrows do not allow, of whatever kind.
pub fn between_crates(members: &[Member]) -> Vec<Violation> {
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let mut violations = Vec::new();
    for member in members {
        let manifest = std::fs::read_to_string(&member.manifest).unwrap_or_default();
        let file =
            member.manifest.strip_prefix(place::root()).unwrap_or(&member.manifest).display().to_string();
        let room = CRATES.iter().find(|room| room.name == member.name);
        let Some(room) = room.or_else(|| member.is_component.then_some(&COMPONENT)) else {
            violations.push(unknown(file, 1, "crate-arrow", &member.name));
            continue;
        };
        let neighbours = member.dependencies.iter().filter(|name| names.contains(&name.as_str()));
        for dependency in neighbours.filter(|name| !room.may_use.contains(&name.as_str())) {
            let line =
                manifest.lines().position(|line| line.starts_with(dependency.as_str())).unwrap_or(0) + 1;
            violations.push(forbidden(file.clone(), line, "crate-arrow", room, &member.name, dependency));
        }
    }
    violations
}

/// Uses of the host's modules by each other that the design does not allow.
pub fn between_modules(file: &str, text: &str) -> Vec<Violation> {
    let Some(inside) = file.strip_prefix(HOST_SOURCES).filter(|inside| inside.ends_with(".rs")) else {
        return Vec::new();
    };
    let module = inside.split(['/', '.']).next().unwrap_or_default();
    if ASSEMBLY.contains(&module) {
        return Vec::new();
    }
    let neutral = Room { name: "a neutral module", may_use: &[], because: "everybody uses it" };
    let room = MODULES.iter().find(|room| room.name == module);
    let Some(room) = room.or_else(|| NEUTRAL.contains(&module).then_some(&neutral)) else {
        return vec![unknown(file.to_owned(), 1, "module-arrow", module)];
    };
    let code = Code::new(text);
    let used = used_modules(&code.text).into_iter();
    used.filter(|(_, used)| {
        used != module && !NEUTRAL.contains(&used.as_str()) && !room.may_use.contains(&used.as_str())
    })
    .map(|(offset, used)| {
        forbidden(file.to_owned(), code.line_of(offset), "module-arrow", room, module, &used)
    })
    .collect()
}

fn unknown(file: String, line: usize, rule: &'static str, name: &str) -> Violation {
    let remedy = format!(
        "{name} is in no table, so nobody has said what it may use; add it to {TABLES} with the reason"
    );
    Violation { file, line, rule, remedy }
}

fn forbidden(file: String, line: usize, rule: &'static str, room: &Room, from: &str, to: &str) -> Violation {
    let may_use =
        if room.may_use.is_empty() { "none of its neighbours".to_owned() } else { room.may_use.join(", ") };
    let remedy = format!(
        "{from} uses {to}: {}; it may use {may_use}. Turn the arrow round, or change {TABLES}",
        room.because
    );
    Violation { file, line, rule, remedy }
}

/// The first names after every `crate::`, grouped imports included, with where they stand.
fn used_modules(code: &str) -> Vec<(usize, String)> {
    let mut used = Vec::new();
    for (start, root) in code.match_indices("crate::") {
        let is_whole = code[..start]
            .chars()
            .next_back()
            .is_none_or(|before| !is_word(before) && before != ':' && before != '$');
        if is_whole {
            first_names(code, start + root.len(), &mut used);
        }
    }
    // Types and functions of the crate's root are not modules; the root only assembles.
    used.retain(|(_, name)| name.starts_with(|letter: char| letter.is_ascii_lowercase()));
    used
}

/// The name at `offset`, or, for a group in braces, the first name of each of its members.
fn first_names(code: &str, offset: usize, used: &mut Vec<(usize, String)>) {
    let rest = &code[offset..];
    let mut push = |at: usize| {
        let name: String = rest[at..].chars().take_while(|letter| is_word(*letter)).collect();
        used.push((offset + at, name));
    };
    if !rest.starts_with('{') {
        return push(0);
    }
    let (mut depth, mut at_start) = (0_u32, false);
    for (at, letter) in rest.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 1 => return,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 1 && at_start && is_word(letter) {
            push(at);
        }
        at_start = depth == 1 && matches!(letter, '{' | ',') || at_start && letter.is_whitespace();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(code: &str) -> Vec<String> {
        used_modules(&Code::new(code).text).into_iter().map(|(_, name)| name).collect()
    }

    fn member(name: &str, is_component: bool, dependencies: &[&str]) -> Member {
        let dependencies = dependencies.iter().map(|name| (*name).to_owned()).collect();
        Member {
            name: name.to_owned(),
            manifest: place::root().join("none/Cargo.toml"),
            is_component,
            dependencies,
            metadata: serde_json::Value::Null,
        }
    }

    #[test]
    fn paths_and_groups_are_found() {
        assert_eq!(targets("use crate::bus::Bus;\nlet x = crate::chain::go();"), ["bus", "chain"]);
        assert_eq!(
            targets("use crate::{\n  api::{a, b::{c}},\n  saga, query::Q,\n};\nuse crate::bus;"),
            ["api", "saga", "query", "bus"]
        );
        assert!(
            targets("// crate::chain\nlet text = \"crate::chain\"; use mycrate::chain; crate::Error")
                .is_empty()
        );
    }

    #[test]
    fn an_arrow_against_the_flow_is_reported_where_it_stands() {
        let text =
            "//! x\nuse crate::runtime::Engine;\nuse crate::config::Config;\n\nuse crate::command::Writer;\n";
        let found = between_modules("host/src/projection/runner.rs", text);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].line, found[0].rule), (5, "module-arrow"));
        assert!(found[0].remedy.contains("projection uses command"));
        assert!(between_modules("host/src/saga/step.rs", text).is_empty());
        assert!(between_modules("host/src/main.rs", text).is_empty());
        assert!(between_modules("components/domain/src/lib.rs", text).is_empty());
    }

    #[test]
    fn a_neutral_module_uses_nobody_and_an_unknown_one_is_asked_for() {
        assert_eq!(between_modules("host/src/config.rs", "use crate::bus::Bus;").len(), 1);
        assert!(between_modules("host/src/config.rs", "use crate::clock;").is_empty());
        assert!(between_modules("host/src/attic/mod.rs", "//! x")[0].remedy.contains("attic is in no table"));
    }

    #[test]
    fn crates_keep_to_the_design() {
        let good = [
            member("clearfold-kernel", false, &["serde"]),
            member("clearfold-domain", false, &["clearfold-kernel"]),
            member("decider-x", true, &["clearfold-domain", "clearfold-kernel"]),
            member("clearfold", false, &["clearfold-kernel"]),
            member("clearfold-tests", false, &["clearfold"]),
        ];
        assert!(between_crates(&good).is_empty());
        let bad = [
            member("clearfold-kernel", false, &[]),
            member("clearfold-domain", false, &["clearfold"]),
            member("decider-x", true, &["clearfold"]),
            member("clearfold", false, &["clearfold-domain"]),
            member("stranger", false, &[]),
        ];
        assert_eq!(between_crates(&bad).len(), 4);
    }
}
