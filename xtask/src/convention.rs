//! `cargo component build`, for authors who are used to it: it must make of this workspace's sources the same component.
//!
//! A check of `cargo xtask ci` alone, because cargo-component is compiled from source, once per machine. Of the component
//! nothing is compiled twice: cargo-component encodes what `cargo xtask build` has compiled.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{build, cargo, place, progress, tools, wasm};

/// The component that is made this way. Any handler would do.
const COMPONENT: &str = "decider-card";
const SPECIFICATION: &str = "components/lib/domain/specs/card.yaml";

/// Compares the component of cargo-component with ours, and runs its specification.
pub fn check() -> Result<()> {
    let ours = build::components(Some(COMPONENT))?;
    let ours = ours.get(COMPONENT).context("the build made no component")?;
    let host = build::programs(false)?.host;
    let theirs = component()?;
    let (ours, seen) = (inspected(&host, ours)?, inspected(&host, &theirs)?);
    if ours != seen {
        bail!(
            "cargo-component makes another component of {COMPONENT} than `cargo xtask build`:\n{seen}\n{ours}"
        );
    }
    let mut specification = Command::new(&host);
    specification.args(["spec", "run"]).arg(&theirs).arg(place::root().join(SPECIFICATION));
    let printed =
        progress::run("running the specification of cargo-component's component", &mut specification)?;
    if !printed.ends_with(" passed, 0 failed\n") {
        bail!("the component of cargo-component does not keep {SPECIFICATION}:\n{printed}");
    }
    Ok(())
}

/// Description of a component by the host, without the figures in which tools may differ.
fn inspected(host: &Path, component: &Path) -> Result<Value> {
    let mut inspect = Command::new(host);
    inspect.args(["component", "inspect", "--json"]).arg(component);
    let mut seen: Value = serde_json::from_str(&progress::run("inspecting a component", &mut inspect)?)?;
    let said = seen.as_object_mut().context("`component inspect --json` prints an object")?;
    if said.remove("digest").is_none() || said.remove("size_bytes").is_none() {
        bail!("`component inspect --json` names no digest or size: {seen}");
    }
    Ok(seen)
}

/// Makes the component. The answer: where it lies.
fn component() -> Result<PathBuf> {
    let program = tools::cargo_component()?;
    let like = wasm::cargo_build(wasm::PROFILE)?;
    let mut command = cargo::through(&program);
    command.arg("component").args(like.get_args()).args(["--package", COMPONENT]);
    for (name, value) in like.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let made = progress::run(&format!("building {COMPONENT} with cargo-component"), &mut command);
    // It writes bindings beside the sources, which generate their own.
    fs::remove_file(place::root().join("components/deciders/card/src/bindings.rs")).ok();
    made?;
    let file = format!("{}.wasm", COMPONENT.replace('-', "_"));
    let made = place::root().join("target").join(wasm::TARGET).join(wasm::PROFILE).join(file);
    let kept = place::root().join("target/cargo-component").join(format!("{COMPONENT}.wasm"));
    place::create(kept.parent().context("a folder")?)?;
    fs::copy(&made, &kept).with_context(|| format!("cargo-component made no {}", made.display()))?;
    Ok(kept)
}
