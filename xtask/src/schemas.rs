//! `cargo xtask schemas`: the JSON Schemas of all commands and events, `docs/events`, from the domain's types.
//!
//! An example program of the domain prints them, so that xtask compiles when the domain does not. The files are
//! committed; `--check` says whether they are what the types need. What a person wrote there is left alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{cargo, place, progress};

/// Behind it stands whatever only schemas need, so that no component and no host carries it.
pub const FEATURE: &str = "clearfold-domain/schema";

#[derive(Args)]
pub struct Options {
    /// Write nothing; fail if the files are not up to date.
    #[arg(long)]
    pub check: bool,
}

/// Texts by the names of their files below `docs/events`.
type Files = BTreeMap<String, String>;

pub fn run(options: &Options) -> Result<()> {
    let folder = place::root().join("docs/events");
    let (needed, present) = (needed()?, present(&folder));
    let outdated: Vec<&String> = present.keys().filter(|name| !needed.contains_key(*name)).collect();
    let missing: Vec<&String> =
        needed.keys().filter(|name| present.get(*name) != needed.get(*name)).collect();
    if options.check && !(missing.is_empty() && outdated.is_empty()) {
        let list = missing.iter().map(|name| format!("\n  needed:   {name}"));
        let list: String = list.chain(outdated.iter().map(|name| format!("\n  outdated: {name}"))).collect();
        bail!("docs/events does not fit the domain's types; run `cargo xtask schemas` and commit it{list}");
    }
    for name in &outdated {
        fs::remove_file(folder.join(name)).with_context(|| format!("cannot remove docs/events/{name}"))?;
    }
    for name in &missing {
        let file = folder.join(name);
        place::create(file.parent().unwrap_or(&folder))?;
        place::write_if_changed(&file, needed[*name].as_bytes())?;
    }
    eprintln!("docs/events: {} files, {} written, {} removed.", needed.len(), missing.len(), outdated.len());
    Ok(())
}

/// Tests the schemas: programs of their own, since no other build has the feature.
pub fn test(native: &[String], filters: &[String]) -> Result<()> {
    let mut command = cargo::cargo();
    command.arg("test").args(native).args(["--features", FEATURE, "--test", "schemas", "--"]).args(filters);
    progress::show("cargo test of the schemas", &mut command)
}

fn needed() -> Result<Files> {
    let mut command = cargo::cargo();
    command.arg("build").args(cargo::native(&cargo::members()?));
    command.args(["--features", FEATURE, "--example", "schemas"]);
    let made = cargo::build("building the schemas", &mut command)?;
    let program = made.get("schemas").context("the build made no program `schemas`")?;
    let printed = progress::run("describing the messages", &mut Command::new(program))?;
    serde_json::from_str(&printed).context("the program `schemas` printed something else than files")
}

/// The files there that this job makes: the table, and one file per message in a folder for each aggregate.
fn present(folder: &Path) -> Files {
    let made = |name: &str| name == "README.md" || name.ends_with(".json");
    let files = place::files_below(folder).into_iter().filter_map(|file| {
        let name = file.strip_prefix(folder).ok()?.to_str()?.to_owned();
        made(&name).then_some(())?;
        Some((name, fs::read_to_string(&file).ok()?))
    });
    files.collect()
}
