//! The contracts of the development chain, compiled by `contracts/compile.mjs`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{place, progress, tools};

/// The folder of compiled contracts; compiled anew only if a source has changed.
pub fn artifacts() -> Result<PathBuf> {
    let sources = place::root().join("contracts");
    let out = place::root().join("target/contracts");
    let mut files = place::files_below(&sources.join("solidity"));
    files.extend(["bytecode.sha256", "compile.mjs", "package-lock.json"].map(|name| sources.join(name)));
    let digest = place::digest(&sources, &files)?;
    let stamp = place::work_folder()?.join("contracts.digest");
    if out.is_dir() && fs::read_to_string(&stamp).is_ok_and(|last| last == digest) {
        return Ok(out);
    }
    let modules = tools::install("solc", &sources)?;
    let mut command = Command::new("node");
    command.current_dir(place::root()).arg(sources.join("compile.mjs"));
    command.arg("--modules").arg(modules).arg("--out").arg(&out);
    progress::run("compiling the contracts", &mut command)?;
    place::write_if_changed(&stamp, digest.as_bytes())?;
    Ok(out)
}
