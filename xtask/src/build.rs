//! `cargo xtask build`: the host as a program, every component as a file in `target/components`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{cargo, place, wasm};

const ENCODER: &str = "clearfold-encode";

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

/// A component of which the benchmark of the sandbox compares variants, and the feature of each variant.
const COMPARED: (&str, [&str; 2]) = ("decider-authorization", ["default-allocator", "serde-json-writer"]);

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
/// One call of cargo builds a group whose members have the same features (`cargo xtask features` checks it), because a
/// component's bytes must not depend on which others there are.
pub fn components(only: Option<&str>) -> Result<BTreeMap<String, PathBuf>> {
    let mut groups = cargo::component_groups(&cargo::members()?);
    if let Some(only) = only {
        if !groups.iter().flatten().any(|name| name == only) {
            bail!("there is no component {only}; there are {}", groups.concat().join(", "));
        }
        groups = vec![vec![only.to_owned()]];
    }
    place::create(&components_folder())?;
    let mut components = BTreeMap::new();
    for group in &groups {
        let made = modules(group, wasm::PROFILE)?;
        for name in group {
            components.insert(name.clone(), finish(name, &made, &components_folder())?);
        }
    }
    Ok(components)
}

/// Builds the variants that the benchmark of the sandbox compares, `FEATURE/NAME.wasm` in the folder.
pub fn variants() -> Result<PathBuf> {
    let folder = place::root().join("target/component-variants");
    let (name, features) = COMPARED;
    for feature in features {
        let mut command = wasm::cargo_build(wasm::PROFILE)?;
        command.args(["--package", name, "--features", feature]);
        let made = cargo::build(&format!("building {name} with {feature}"), &mut command)?;
        let folder = folder.join(feature);
        place::create(&folder)?;
        finish(name, &made, &folder)?;
    }
    Ok(folder)
}

/// Builds the modules of components that have the same features.
pub fn modules(group: &[String], profile: &str) -> Result<BTreeMap<String, PathBuf>> {
    let mut command = wasm::cargo_build(profile)?;
    command.args(group.iter().flat_map(|name| ["--package", name]));
    let label = match group {
        [name] => format!("building {name}"),
        [first, ..] => format!("building {} components like {first}", group.len()),
        [] => return Ok(BTreeMap::new()),
    };
    cargo::build(&label, &mut command)
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

/// Encodes a module by a program of its own: what it is made of takes longer to compile than all of xtask.
fn encode(module: &Path) -> Result<Vec<u8>> {
    let mut child = Command::new(encoder()?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // The program reads all before it writes anything. If it stops early, its status says so.
    child.stdin.take().context("the encoder has an input")?.write_all(&place::read(module)?).ok();
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

fn encoder() -> Result<&'static Path> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    if let Some(built) = BUILT.get() {
        return Ok(built);
    }
    let mut command = cargo::cargo();
    command.args(["build", "--bin", ENCODER]);
    let made = cargo::build("building the encoder of components", &mut command)?;
    let program = made.get(ENCODER).cloned().context("the build made no encoder")?;
    Ok(BUILT.get_or_init(|| program))
}
