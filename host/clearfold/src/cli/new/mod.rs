//! `clearfold new`: makes a folder with a component that builds and passes its specification at once.
//!
//! The folder does not depend on this repository: the contract (`wit/`) and the crates that a handler is built with
//! (`vendor/clearfold/`) are written into it as they were when this program was built. Nothing that exists is
//! overwritten.

mod manifest;
mod name;
mod vendored;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use self::name::Name;
use clearfold_sandbox::ComponentKind;

#[derive(Debug, Args)]
pub(super) struct New {
    /// Kind of the component
    #[arg(value_parser = kinds())]
    kind: ComponentKind,
    /// Its name: a decider's aggregate, a projector's projection
    name: String,
    /// Folder to make [default: KIND-NAME, here]
    #[arg(long, value_name = "FOLDER")]
    path: Option<PathBuf>,
}

/// Parser of a kind, which lists all kinds with their purposes in the help.
fn kinds() -> impl TypedValueParser<Value = ComponentKind> {
    let values = ComponentKind::ALL.map(|kind| PossibleValue::new(kind.as_str()).help(kind.facts().purpose));
    PossibleValuesParser::new(values).try_map(|word| word.parse::<ComponentKind>())
}

/// The program that a new component begins with, and its specification where `clearfold spec run` runs one.
fn template(kind: ComponentKind) -> (&'static str, Option<&'static str>) {
    macro_rules! template {
        ($file:literal) => {
            include_str!(concat!("../../../templates/", $file))
        };
    }
    match kind {
        ComponentKind::Decider => (template!("decider/lib.rs"), Some(template!("decider/specs.yaml"))),
        ComponentKind::Projector => (template!("projector/lib.rs"), Some(template!("projector/specs.yaml"))),
        ComponentKind::Translator => {
            (template!("translator/lib.rs"), Some(template!("translator/specs.yaml")))
        }
        ComponentKind::Saga => (template!("saga/lib.rs"), None),
        ComponentKind::Auditor => (template!("auditor/lib.rs"), None),
        ComponentKind::Http => (template!("http/lib.rs"), None),
    }
}

/// Files of the folder: path and text of each.
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
    let (program, specification) = template(name.kind());
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
    if name.kind().is_handler() {
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

/// Commands of an author's usual round: build, test, deploy.
fn commands(name: &Name) -> String {
    let wasm = format!("target/{}.wasm", name.package());
    let check = match template(name.kind()) {
        (_, Some(_specification)) => format!("clearfold spec run {wasm} specs/{}.yaml", name.snake()),
        (_, None) => "cargo test".to_owned(),
    };
    let handler = if name.kind().facts().names_itself {
        String::new()
    } else {
        format!(" --handler {}", name.handler())
    };
    format!("clearfold build\n{check}\nclearfold component deploy {wasm}{handler} --activate\n")
}

fn readme(name: &Name) -> String {
    let (kind, plain) = (name.kind().as_str(), name.plain());
    let vendored = if name.kind().is_handler() {
        "`wit/` is the contract with the host, and `vendor/clearfold/` has the crates that implement it for this \
         program. They belong to one version of the host: when the host changes, take them from a newer \
         `clearfold new`; edit neither.\n"
    } else {
        ""
    };
    format!(
        "# {package}\n\nA {kind} for Clearfold. The program is `src/lib.rs`.\n\n```sh\n{commands}```\n\n\
         builds it, tests it, and activates it in a running host (`DATABASE_URL` is the URL of the host's write store). \
         A host that does not know a {kind} `{plain}` yet needs the lines of `spin.toml` in its manifest first.\n\n\
         You need Rust with its WebAssembly target: `rustup target add wasm32-unknown-unknown`.\n\n{vendored}",
        package = name.package(),
        commands = commands(name),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of these words is also an identifier of the template.
    #[test]
    fn a_name_may_be_any_word_of_the_template() {
        for (kind, word, made) in [
            (ComponentKind::Decider, "event", "struct EventDecider;"),
            (ComponentKind::Projector, "row", "struct RowProjector;"),
            (ComponentKind::Translator, "log", "struct LogTranslator;"),
            (ComponentKind::Saga, "step", "struct StepSaga;"),
            (ComponentKind::Auditor, "violation", "struct ViolationAuditor;"),
        ] {
            let name = Name::of(kind, word).unwrap();
            let (_, program) = files(&name).into_iter().find(|(file, _)| file == "src/lib.rs").unwrap();
            let camel = word[..1].to_uppercase() + &word[1..];
            assert!(program.contains(made) && !program.contains(&format!("struct {camel};")), "{program}");
        }
    }

    #[test]
    fn no_trace_of_the_template_is_left() {
        for kind in ComponentKind::ALL {
            let name = Name::of(kind, "loyalty").unwrap();
            for (file, text) in files(&name).iter().filter(|(file, _)| !file.starts_with("vendor/")) {
                let left = file.starts_with("wit/") || !text.to_lowercase().contains("sample");
                assert!(left, "{kind:?}: {file}:\n{text}");
            }
        }
    }
}
