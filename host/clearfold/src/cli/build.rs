//! `clearfold build`: builds a folder of Rust into a component. An author needs only this program and Rust.
//!
//! Cargo compiles a module, which is encoded here as a component, `target/NAME.wasm`. The component is not run. This
//! repository's own components are built by `cargo xtask build`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;
use wit_component::{ComponentEncoder, DecodedWasm};

use super::load;

const TARGET: &str = "wasm32-unknown-unknown";
/// Cargo's variable for the flags of that target.
const FLAGS: &str = "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS";
/// Small stack: it is the first part of an instance's memory, and all memory in use is wiped before the next call.
const STACK: &str = "-Clink-arg=-zstack-size=262144";
/// Cargo's variable to compile the standard library itself, where the target is not installed.
const BUILD_STD: &str = "CARGO_UNSTABLE_BUILD_STD";

#[derive(Debug, Args)]
pub(super) struct BuildArgs {
    /// Folder with the component's Cargo.toml
    #[arg(default_value = ".")]
    folder: PathBuf,
}

impl BuildArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let manifest = self.folder.join("Cargo.toml");
        let manifest = manifest.canonicalize().with_context(|| {
            format!("there is no {}; go to the component's folder, or name it", manifest.display())
        })?;
        check_target()?;
        let module = compile(&manifest)?;
        let bytes = encode(&module)?;
        let name = load::stem(&module).replace('_', "-");
        let target = self.folder.join("target");
        let out = target.join(format!("{name}.wasm"));
        std::fs::create_dir_all(&target)
            .and_then(|()| std::fs::write(&out, bytes))
            .with_context(|| format!("{} cannot be written", out.display()))?;
        println!("{}", out.strip_prefix(".").unwrap_or(&out).display());
        Ok(())
    }
}

fn check_target() -> anyhow::Result<()> {
    if std::env::var_os(BUILD_STD).is_some() {
        return Ok(());
    }
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let answer = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output();
    let answer = answer.context("rustc does not start; install Rust by rustup")?;
    if !Path::new(String::from_utf8_lossy(&answer.stdout).trim()).is_dir() {
        bail!("this Rust compiles no WebAssembly yet; run `rustup target add {TARGET}`");
    }
    Ok(())
}

/// Runs cargo, shows its messages, and returns the path of the module that it built.
fn compile(manifest: &Path) -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"]);
    cargo.arg("--manifest-path").arg(manifest);
    if std::env::var_os(FLAGS).is_none() {
        cargo.env(FLAGS, STACK);
    }
    let output =
        cargo.stderr(Stdio::inherit()).output().context("cargo does not start; install Rust by rustup")?;
    if !output.status.success() {
        bail!("cargo could not build {}; it says why above", manifest.display());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ours = |message: &Value| {
        message["reason"] == "compiler-artifact"
            && message["manifest_path"] == manifest.display().to_string().as_str()
    };
    let files = messages.filter(ours).filter_map(|message| message["filenames"].as_array().cloned());
    let mut modules = files.flatten().filter_map(|file| file.as_str().map(PathBuf::from));
    modules.find(|file| file.extension().is_some_and(|ending| ending == "wasm")).with_context(|| {
        format!("{} makes no WebAssembly; it needs crate-type = [\"cdylib\"] under [lib]", manifest.display())
    })
}

fn encode(module: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = std::fs::read(module).with_context(|| format!("{} cannot be read", module.display()))?;
    let encoder = ComponentEncoder::default();
    let encoded = encoder.validate(true).module(&bytes).and_then(|mut encoder| encoder.encode()).with_context(|| {
        "the module cannot become a component: a crate in it imports what its world does not have (clocks of chrono, `js` of \
         uuid or getrandom), or nothing in it is generated from wit/"
    })?;
    // The compiler does not notice that no function of the world is exported.
    if let DecodedWasm::Component(resolve, world) = wit_component::decode(&encoded)?
        && resolve.worlds[world].exports.is_empty()
    {
        bail!(
            "the component exports nothing; `clearfold_guest::export_decider!(…)` or its like is missing in src/lib.rs"
        );
    }
    Ok(encoded)
}
