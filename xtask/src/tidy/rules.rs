//! Rules about single files: length, header, forbidden words, things that do not belong in git.

use super::Violation;

pub const LONGEST_FILE: usize = 500;
/// Crates that count money: a float there is a bug waiting for a large amount. Clippy's `disallowed_types` cannot say so,
/// because what serde derives for a flattened field names both floats.
const EXACT: [&str; 2] = ["components/lib/domain/", "components/lib/kernel/"];
/// Passes on what serde's trait names to `serde_json`, and counts nothing.
const PASSES_ON: &str = "components/lib/kernel/src/json.rs";
const BUILT: [&str; 9] = ["a", "cwasm", "dll", "dylib", "exe", "o", "rlib", "so", "wasm"];

/// Words that no file may hold, in two halves so that this file does not. With each: why, and the remedy.
const FORBIDDEN: [(&str, &str, &str); 10] = [
    ("../", "shared", OUTSIDE),
    ("/wo", "rk/", OUTSIDE),
    ("registry.", "npmjs.org", REGISTRY),
    ("registry.", "yarnpkg.com", REGISTRY),
    ("index.", "crates.io", REGISTRY),
    ("static.", "crates.io", REGISTRY),
    ("files.", "pythonhosted.org", REGISTRY),
    ("pypi", ".org", REGISTRY),
    ("deb.", "debian.org", REGISTRY),
    ("static.", "rust-lang.org", REGISTRY),
];
const OUTSIDE: &str = "the repository must make sense without what lies around it; say here what is needed";
const REGISTRY: &str =
    "a registry's address breaks machines that use a mirror; leave it to the client's configuration";

/// Checks that a file belongs in git at all.
pub fn of_name(file: &str) -> Option<Violation> {
    let built = file.rsplit_once('.').is_some_and(|(_, ending)| BUILT.contains(&ending));
    let installed = file.split('/').any(|folder| folder == "node_modules" || folder == "target");
    let remedy =
        "built files go stale and hide what made them; remove it from git, `cargo xtask build` makes it";
    (built || installed).then(|| violation(file, 1, "built-file", remedy))
}

/// Checks the text of a file.
pub fn of_text(file: &str, text: &str) -> Vec<Violation> {
    let mut violations = forbidden_words(file, text);
    if file.ends_with(".rs") {
        violations.extend(header(file, text));
        violations.extend(length(file, text));
        violations.extend(floats(file, text));
    }
    violations
}

fn forbidden_words(file: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (start, end, why) in FORBIDDEN {
            if line.contains(&format!("{start}{end}")) {
                violations.push(violation(
                    file,
                    number + 1,
                    "forbidden-word",
                    &format!("{start}{end}: {why}"),
                ));
            }
        }
    }
    violations
}

fn header(file: &str, text: &str) -> Option<Violation> {
    let remedy = "a reader begins at the top; say in `//!` what the module is and what it never does";
    (!text.starts_with("//! ")).then(|| violation(file, 1, "header", remedy))
}

fn length(file: &str, text: &str) -> Option<Violation> {
    let lines = text.lines().count();
    let remedy = format!("{lines} lines, where {LONGEST_FILE} are allowed; split it by what it does");
    (lines > LONGEST_FILE).then(|| violation(file, LONGEST_FILE + 1, "length", &remedy))
}

/// Lines that name a type of floats outside of a comment.
fn floats(file: &str, text: &str) -> Vec<Violation> {
    if file == PASSES_ON || !EXACT.iter().any(|folder| file.starts_with(folder)) {
        return Vec::new();
    }
    let names_float = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        code.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .any(|word| ["f32", "f64"].contains(&word))
    };
    let remedy = "money is exact: a float loses cents of large amounts; use integers in minor units";
    let lines = text.lines().enumerate().filter(|(_, line)| names_float(line));
    lines.map(|(index, _)| violation(file, index + 1, "float", remedy)).collect()
}

fn violation(file: &str, line: usize, rule: &'static str, remedy: &str) -> Violation {
    Violation { file: file.to_owned(), line, rule, remedy: remedy.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(file: &str, text: &str) -> Vec<(usize, &'static str)> {
        of_text(file, text).into_iter().map(|violation| (violation.line, violation.rule)).collect()
    }

    #[test]
    fn a_tidy_file_passes() {
        assert!(rules("components/lib/kernel/src/money.rs", "//! Money.\nfn f() -> u128 { 1 }\n").is_empty());
    }

    #[test]
    fn header_length_and_floats_are_seen() {
        assert_eq!(rules("host/base/src/lib.rs", "fn f() {}\n"), [(1, "header")]);
        assert_eq!(rules("host/base/src/lib.rs", &format!("//! x\n{}", "\n".repeat(500))), [(501, "length")]);
        assert_eq!(rules("components/lib/kernel/src/lib.rs", "//! x\n\nfn f(x: f64) {}\n"), [(3, "float")]);
        assert!(rules("components/lib/kernel/src/lib.rs", "//! x\n\nlet x = as_f64(y); // f64\n").is_empty());
        assert!(rules("host/base/src/lib.rs", "//! x\n\nfn f(x: f64) {}\n").is_empty());
    }

    #[test]
    fn forbidden_words_are_seen_in_any_file() {
        for (start, end, _) in FORBIDDEN {
            assert_eq!(
                rules("README.md", &format!("fine\nsee {start}{end} for more\n")),
                [(2, "forbidden-word")]
            );
        }
    }

    #[test]
    fn built_files_do_not_belong_in_git() {
        assert!(of_name("tests/fixtures/edge.wasm").is_some());
        assert!(of_name("contracts/node_modules/x/index.js").is_some());
        assert!(of_name("host/store/src/target_store.rs").is_none());
    }
}
