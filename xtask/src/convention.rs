//! `cargo component build`, for who is used to it: a component that cargo-component made of this workspace.
//!
//! Nothing is built for it twice: it gets what `cargo xtask build` has compiled, and makes its component of that.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{cargo, place, progress, tools, wasm};

/// The component that is made this way. Any handler would do.
const COMPONENT: &str = "decider-card";

/// Makes it. The answer: where it lies.
pub fn component() -> Result<PathBuf> {
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
