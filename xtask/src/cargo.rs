//! Calls of cargo and their answers.
//!
//! Third-party crates have the same features in all calls: the crate `features` states them, and
//! `cargo xtask features` checks it. So nothing is compiled twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{place, progress};

/// Has a build say what it made, and complain to people as usual.
pub const MESSAGES: [&str; 2] = ["--message-format", "json-render-diagnostics"];

/// A crate of this workspace.
pub struct Member {
    pub name: String,
    pub manifest: PathBuf,
    /// True if it is a component: a library that only makes sense as WebAssembly.
    pub is_component: bool,
    pub dependencies: Vec<String>,
    /// `[package.metadata.clearfold]` of its manifest.
    pub metadata: Value,
}

/// A cargo that runs in the repository's root and needs no database to compile the checked queries.
pub fn cargo() -> Command {
    through(Path::new(&std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())))
}

/// The same of a program that calls cargo itself.
pub fn through(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(place::root()).env("SQLX_OFFLINE", "true");
    // What `cargo run` tells xtask of itself is not for the builds inside: build scripts that watch these
    // names (ring's does) would compile half of the host again whenever a person calls cargo directly.
    let ours = |name: &str| name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(ours)) {
        command.env_remove(name);
    }
    command
}

/// The crates of this workspace.
pub fn members() -> Result<Vec<Member>> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        anyhow::bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")?;
    Ok(list(&metadata["packages"]).iter().map(member).collect())
}

/// Arguments that name all packages that this machine runs or tests. The guest crate is not among them: it has no tests
/// but the components, and would bring the generator of bindings into every build.
pub fn native(members: &[Member]) -> Vec<String> {
    let left_out = members.iter().filter(|member| member.is_component || member.name == GUEST);
    std::iter::once("--workspace".to_owned())
        .chain(left_out.flat_map(|member| ["--exclude".to_owned(), member.name.clone()]))
        .collect()
}

/// Arguments that name the components which have tests of their own, which run on this machine, as programs.
pub fn tested_components(members: &[Member]) -> Vec<String> {
    let has_tests = |member: &&Member| {
        let source = member.manifest.with_file_name("src");
        let files = place::files_below(&source);
        files.iter().any(|file| fs::read_to_string(file).is_ok_and(|text| text.contains("#[cfg(test)]")))
    };
    let tested = members.iter().filter(|member| member.is_component).filter(has_tests);
    tested.flat_map(|member| ["--package".to_owned(), member.name.clone()]).collect()
}

/// Names of the components that are built by one call of cargo: the handlers, and those of the edge. Within a group all
/// have the same features, so a component's bytes do not depend on the others that are built with it.
pub fn component_groups(members: &[Member]) -> Vec<Vec<String>> {
    let is_handler = |member: &&Member| member.dependencies.iter().any(|name| name == GUEST);
    let components = || members.iter().filter(|member| member.is_component);
    let (handlers, others): (Vec<&Member>, Vec<&Member>) = components().partition(is_handler);
    let names = |group: Vec<&Member>| group.into_iter().map(|member| member.name.clone()).collect::<Vec<_>>();
    [names(handlers), names(others)].into_iter().filter(|group| !group.is_empty()).collect()
}

/// The crate that makes a component a handler.
pub const GUEST: &str = "clearfold-guest";

/// Runs a build as a step. The answer: what was made, by the target's name.
pub fn build(label: &str, command: &mut Command) -> Result<BTreeMap<String, PathBuf>> {
    let mut planned = copy(command);
    let mut count = || plan(&mut planned).ok().map(|units| units.len() as u64);
    Ok(made(&progress::build(label, command.args(MESSAGES), &mut count)?))
}

fn copy(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        copy.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => copy.env(name, value),
            None => copy.env_remove(name),
        };
    }
    copy
}

/// Cargo's plan for a build: each run of a compiler or build script, with its package, platform and features. Nothing is
/// compiled.
pub fn plan(command: &mut Command) -> Result<Vec<Value>> {
    // The plan is an unstable option of cargo's; everything else of this repository does without such.
    command.args(["-Z", "unstable-options", "--unit-graph"]).env("RUSTC_BOOTSTRAP", "1");
    let output = command.output().context("cannot start cargo")?;
    if !output.status.success() {
        anyhow::bail!("cargo makes no plan: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let graph: Value = serde_json::from_slice(&output.stdout).context("cargo's plan is not JSON")?;
    Ok(list(&graph["units"]).to_vec())
}

/// Reads from a build's messages what it made.
pub fn made(output: &str) -> BTreeMap<String, PathBuf> {
    let messages = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter_map(|message| artifact(&message))
        .collect()
}

fn artifact(message: &Value) -> Option<(String, PathBuf)> {
    let name = message["target"]["name"].as_str()?.to_owned();
    // A test program is named like the program that it tests.
    if message["profile"]["test"] == true {
        return None;
    }
    let module =
        || list(&message["filenames"]).iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm"));
    let file = message["executable"].as_str().or_else(module)?;
    Some((name, PathBuf::from(file)))
}

fn member(package: &Value) -> Member {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let is_cdylib = |target: &Value| list(&target["crate_types"]).iter().any(|kind| kind == "cdylib");
    Member {
        name: text(&package["name"]),
        manifest: PathBuf::from(text(&package["manifest_path"])),
        is_component: list(&package["targets"]).iter().any(is_cdylib),
        dependencies: list(&package["dependencies"])
            .iter()
            .map(|dependency| text(&dependency["name"]))
            .collect(),
        metadata: package["metadata"]["clearfold"].clone(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_components_with_tests_are_found() {
        let tested = tested_components(&members().unwrap());
        assert!(
            tested.iter().any(|name| name == "edge-network")
                && !tested.iter().any(|name| name == "decider-card")
        );
    }
}
