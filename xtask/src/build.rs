//! `cargo xtask build`: the host as a program, every component as a file in `target/components`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use wit_component::ComponentEncoder;

use crate::{cargo, place, wasm};

#[derive(Args)]
pub struct Options {
    /// End with one line of JSON that says where everything is.
    #[arg(long)]
    json: bool,
    /// Build the host with optimizations. Components always are.
    #[arg(long)]
    release: bool,
    /// Build this component only, and not the host.
    #[arg(long, value_name = "NAME", conflicts_with = "release")]
    component: Option<String>,
}

/// The programs of this workspace.
pub struct Programs {
    pub host: PathBuf,
    pub devchain: PathBuf,
}

pub fn run(options: &Options) -> Result<()> {
    let components = components(options.component.as_deref())?;
    let host = if options.component.is_none() { Some(programs(options.release)?.host) } else { None };
    if options.json {
        println!(r#"{{"host":{},"components":{}}}"#, serde_json::json!(host), serde_json::json!(components));
        return Ok(());
    }
    for path in host.iter().chain(components.values()) {
        println!("{}", path.display());
    }
    Ok(())
}

/// Builds the host and the development chain's program.
pub fn programs(release: bool) -> Result<Programs> {
    let mut command = cargo::cargo();
    command.arg("build").args(cargo::native(&cargo::members()?)).args([
        "--bin",
        "clearfold",
        "--bin",
        "devchain",
    ]);
    if release {
        command.arg("--release");
    }
    programs_of(&cargo::build("building the host", &mut command)?)
}

/// Finds the programs among what a build made.
pub fn programs_of(made: &BTreeMap<String, PathBuf>) -> Result<Programs> {
    let find =
        |name: &str| made.get(name).cloned().with_context(|| format!("the build made no program {name}"));
    Ok(Programs { host: find("clearfold")?, devchain: find("devchain")? })
}

/// The folder that holds the components, `NAME.wasm` each.
pub fn components_folder() -> PathBuf {
    place::root().join("target/components")
}

/// Builds all components, or one of them. The answer: where each lies.
///
/// Each is a build of its own: cargo chooses features by what is built together, and a component's bytes
/// must not depend on which others there are.
pub fn components(only: Option<&str>) -> Result<BTreeMap<String, PathBuf>> {
    let members = cargo::members()?.into_iter().filter(|member| member.is_component);
    let mut names: Vec<String> = members.map(|member| member.name).collect();
    if let Some(only) = only {
        if !names.iter().any(|name| name == only) {
            bail!("there is no component {only}; there are {}", names.join(", "));
        }
        names = vec![only.to_owned()];
    }
    place::create(&components_folder())?;
    names.into_iter().map(|name| component(&name).map(|path| (name, path))).collect()
}

fn component(name: &str) -> Result<PathBuf> {
    let mut command = wasm::cargo_build(wasm::PROFILE)?;
    let made = cargo::build(&format!("building {name}"), command.args(["--package", name]))?;
    finish(name, &made, &components_folder())
}

/// Makes a component of the module that a build has made, `NAME.wasm` in the folder.
pub fn finish(name: &str, made: &BTreeMap<String, PathBuf>, folder: &Path) -> Result<PathBuf> {
    // A library is named with underscores where its package may have hyphens.
    let module = made.get(&name.replace('-', "_")).or_else(|| made.get(name));
    let module = module.with_context(|| format!("the build of {name} made no module"))?;
    let bytes = encode(module).with_context(|| {
        format!(
            "{name} cannot be encoded as a component; it may import what its WIT world does not have: crates that \
             use wasm-bindgen (clocks of chrono, uuid's or getrandom's `js`) do so"
        )
    })?;
    let path = folder.join(format!("{name}.wasm"));
    place::write_if_changed(&path, &bytes)?;
    Ok(path)
}

fn encode(module: &Path) -> Result<Vec<u8>> {
    ComponentEncoder::default().validate(true).module(&place::read(module)?)?.encode()
}
