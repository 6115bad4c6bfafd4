//! `clearfold new`: a folder with a component that builds and keeps its specifications at once.
//!
//! The folder needs nothing of this repository: the contract (`wit/`) and the two crates that a handler is made with
//! (`vendor/clearfold/kernel`, `vendor/clearfold/guest`) are written along, as they were when this program was built. Nothing that
//! exists is overwritten.

mod manifest;
mod name;
mod vendored;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use self::name::Name;

#[derive(Debug, Args)]
pub(super) struct New {
    /// What it shall be
    kind: Kind,
    /// Its name: a decider's aggregate, a projector's projection
    name: String,
    /// The folder to make [default: KIND-NAME, here]
    #[arg(long, value_name = "FOLDER")]
    path: Option<PathBuf>,
}

/// A kind of component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Says which events a command causes
    Decider,
    /// Says how events change the rows of tables
    Projector,
    /// Makes commands of a chain's logs
    Translator,
    /// Says which invariants an account's events break
    Auditor,
    /// Answers HTTP requests
    Http,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Decider => "decider",
            Self::Projector => "projector",
            Self::Translator => "translator",
            Self::Auditor => "auditor",
            Self::Http => "http",
        }
    }

    /// The program, and its specification where the kind has one.
    fn template(self) -> (&'static str, Option<&'static str>) {
        macro_rules! template {
            ($file:literal) => {
                include_str!(concat!("../../../templates/", $file))
            };
        }
        match self {
            Self::Decider => (template!("decider/lib.rs"), Some(template!("decider/specs.yaml"))),
            Self::Projector => (template!("projector/lib.rs"), Some(template!("projector/specs.yaml"))),
            Self::Translator => (template!("translator/lib.rs"), Some(template!("translator/specs.yaml"))),
            Self::Auditor => (template!("auditor/lib.rs"), None),
            Self::Http => (template!("http/lib.rs"), None),
        }
    }
}

/// What stands in a file, by its path in the folder.
type Files = Vec<(String, String)>;

impl New {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let name = Name::of(self.kind, &self.name)?;
        let folder = self.path.unwrap_or_else(|| PathBuf::from(name.package()));
        if folder.exists() {
            bail!("{} is there already, and nothing is overwritten; choose another --path", folder.display());
        }
        for (file, text) in files(&name) {
            write(&folder.join(file), &text)?;
        }
        println!("{}\n", folder.display());
        println!("cd {}\n{}", folder.display(), commands(&name));
        Ok(())
    }
}

fn files(name: &Name) -> Files {
    let (program, specification) = name.kind().template();
    let mut files = vec![
        ("Cargo.toml".to_owned(), manifest::cargo(name)),
        ("spin.toml".to_owned(), manifest::spin(name)),
        ("README.md".to_owned(), readme(name)),
        (".gitignore".to_owned(), "/target\n".to_owned()),
        ("src/lib.rs".to_owned(), name.fill(program)),
    ];
    if let Some(specification) = specification {
        files.push((format!("specs/{}.yaml", name.snake()), name.fill(specification)));
    }
    if name.kind() != Kind::Http {
        files.extend(vendored::files());
    }
    files
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, text))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// What an author does next, again and again.
fn commands(name: &Name) -> String {
    let wasm = format!("target/{}.wasm", name.package());
    let check = match name.kind() {
        Kind::Auditor | Kind::Http => "cargo test".to_owned(),
        _ => format!("clearfold spec run {wasm} specs/{}.yaml", name.snake()),
    };
    let handler = match name.kind() {
        Kind::Translator => format!(" --handler {}", name.plain()),
        // The manifest's id of the component.
        Kind::Http => format!(" --handler {}", name.package()),
        _ => String::new(),
    };
    format!("clearfold build\n{check}\nclearfold component deploy {wasm}{handler} --activate\n")
}

fn readme(name: &Name) -> String {
    let (kind, plain) = (name.kind().as_str(), name.plain());
    let vendored = match name.kind() {
        Kind::Http => String::new(),
        _ => "`wit/` is the contract with the host, and `vendor/clearfold/` the crates that put this program behind it. \
              They belong to one version of the host: take them from a newer `clearfold new` when it changes, and edit \
              neither.\n"
            .to_owned(),
    };
    format!(
        "# {package}\n\nA {kind} for Clearfold. The program is `src/lib.rs`.\n\n```sh\n{commands}```\n\n\
         builds it, holds it to its tests, and puts it in force in a running host (`DATABASE_URL` says where its log is). \
         A host that does not know a {kind} `{plain}` yet needs the lines of `spin.toml` in its manifest first.\n\n\
         You need Rust with its WebAssembly target: `rustup target add wasm32-unknown-unknown`.\n\n{vendored}",
        package = name.package(),
        commands = commands(name),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of these is a word that a template has for itself.
    #[test]
    fn a_name_may_be_any_word_of_the_template() {
        for (kind, word, made) in [
            (Kind::Decider, "event", "struct EventDecider;"),
            (Kind::Projector, "row", "struct RowProjector;"),
            (Kind::Translator, "log", "struct LogTranslator;"),
            (Kind::Auditor, "violation", "struct ViolationAuditor;"),
        ] {
            let name = Name::of(kind, word).unwrap();
            let (_, program) = files(&name).into_iter().find(|(file, _)| file == "src/lib.rs").unwrap();
            let camel = word[..1].to_uppercase() + &word[1..];
            assert!(program.contains(made) && !program.contains(&format!("struct {camel};")), "{program}");
        }
    }

    #[test]
    fn no_trace_of_the_template_is_left() {
        for kind in Kind::value_variants() {
            let name = Name::of(*kind, "loyalty").unwrap();
            for (file, text) in files(&name).iter().filter(|(file, _)| !file.starts_with("vendor/")) {
                let left = file.starts_with("wit/") || !text.to_lowercase().contains("sample");
                assert!(left, "{kind:?}: {file}:\n{text}");
            }
        }
    }
}
