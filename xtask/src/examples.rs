//! `cargo xtask example`: the components of `examples/`, written in other languages and built by their own tools.
//!
//! An example is a folder with a `build.mjs`, which makes its component, and a lock file, which names its tools. What
//! the tools need beside that (a database, the host) is never asked for: an example builds where nothing else does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;

use crate::{build, place, progress, tools};

#[derive(Args)]
pub struct Options {
    /// The example, a folder in `examples`; all of them if left out.
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub fn run(options: &Options) -> Result<()> {
    let names = names();
    let wanted = match &options.name {
        Some(name) if names.contains(name) => vec![name.clone()],
        Some(name) => bail!("there is no example {name}; there are {}", names.join(", ")),
        None => names,
    };
    for name in wanted {
        println!("{}", example(&name)?.display());
    }
    Ok(())
}

/// Builds all of them. The answer: where each lies.
pub fn all() -> Result<BTreeMap<String, PathBuf>> {
    names().into_iter().map(|name| example(&name).map(|path| (name, path))).collect()
}

fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).into_iter().flatten().flatten();
    let examples = entries.filter(|entry| entry.path().join("build.mjs").exists());
    let mut names: Vec<String> =
        examples.filter_map(|entry| entry.file_name().to_str().map(str::to_owned)).collect();
    names.sort();
    names
}

/// Builds one, unless its sources are those of the last time: a tool need not make the same bytes twice, and other
/// bytes are another component.
fn example(name: &str) -> Result<PathBuf> {
    let (sources, wit) = (folder().join(name), place::root().join("wit"));
    let out = build::components_folder().join(format!("example-{name}.wasm"));
    let digest = place::digest(&place::root(), &[inputs(&sources), place::files_below(&wit)].concat())?;
    let stamp = place::work_folder()?.join(format!("example-{name}.digest"));
    if out.exists() && fs::read_to_string(&stamp).is_ok_and(|last| last == digest) {
        return Ok(out);
    }
    let modules = tools::install(&format!("example-{name}"), &sources)?;
    let work = place::work_folder()?.join(format!("example-{name}"));
    place::create(&build::components_folder())?;
    let mut command = Command::new("node");
    command.current_dir(place::root()).arg(sources.join("build.mjs"));
    command
        .arg("--modules")
        .arg(modules)
        .arg("--wit")
        .arg(wit)
        .arg("--work")
        .arg(work)
        .arg("--out")
        .arg(&out);
    progress::run(&format!("building the example {name}"), &mut command)?;
    place::write_if_changed(&stamp, digest.as_bytes())?;
    Ok(out)
}

/// All that the component depends on; its specifications and its README are not among it.
fn inputs(sources: &Path) -> Vec<PathBuf> {
    let mut files = place::files_below(&sources.join("src"));
    let settings = ["build.mjs", "package-lock.json", "tsconfig.json"].map(|name| sources.join(name));
    files.extend(settings.into_iter().filter(|file| file.exists()));
    files
}

fn folder() -> PathBuf {
    place::root().join("examples")
}
