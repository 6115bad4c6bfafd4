//! A compiler for `wasm32-unknown-unknown`: the installed one, else rustup's, else Debian's.
//!
//! One target for all components: its standard library imports nothing, so a component imports exactly
//! what its WIT world does.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Result, bail};

use crate::{cargo, place, progress};

pub const TARGET: &str = "wasm32-unknown-unknown";
/// A component's stack in its memory. It lies before everything else, so what does not fit is a trap.
const STACK_BYTES: u32 = 48 << 10;
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std";
const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// Profile of components that run for good.
pub const PROFILE: &str = "component";
/// Profile of components under edit.
pub const DEV_PROFILE: &str = "component-dev";

/// A `cargo build` for the target, complete but for the packages.
pub fn cargo_build(profile: &str) -> Result<Command> {
    let mut command = cargo::cargo();
    command.args(["build", "--target", TARGET, "--profile", profile]);
    // The same component from every home folder, for its digest is written into every event that it decides.
    let remap = format!("--remap-path-prefix={}=cargo", place::cargo_home()?.display());
    // All that an instance begins with is wiped before the next one: little of it. What is left of the last page of 64 KiB
    // is its first heap, and enough for a decision.
    let stack = format!("-Clink-arg=-zstack-size={STACK_BYTES}");
    command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", format!("{remap} {stack}"));
    if let Compiler::OfDebian { linker } = compiler()? {
        command.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=std,panic_abort");
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    }
    Ok(command)
}

/// Compiler for the target on this machine.
enum Compiler {
    Installed,
    OfDebian { linker: PathBuf },
}

/// Looked for once, for an author waits for each of its builds.
fn compiler() -> Result<&'static Compiler> {
    static FOUND: OnceLock<Compiler> = OnceLock::new();
    match FOUND.get() {
        Some(found) => Ok(found),
        None => {
            let found = find_compiler()?;
            Ok(FOUND.get_or_init(|| found))
        }
    }
}

fn find_compiler() -> Result<Compiler> {
    if is_installed() {
        return Ok(Compiler::Installed);
    }
    // Rustup's refusal is remembered, so that a machine without its server asks it once.
    let refused = place::cache()?.join(format!("rustup-has-no-{TARGET}"));
    if !refused.exists() && rustup_adds_it() && is_installed() {
        return Ok(Compiler::Installed);
    }
    if !debian_has_it() {
        install_from_debian()?;
    }
    fs::write(&refused, "Delete this file to let rustup try again.\n").ok();
    Ok(Compiler::OfDebian { linker: linker()? })
}

/// Environment that another cargo needs to compile for the target on this machine.
pub fn environment() -> Result<BTreeMap<String, String>> {
    let command = cargo_build(PROFILE)?;
    let text = |text: &OsStr| text.to_string_lossy().into_owned();
    let set = command.get_envs().filter_map(|(name, value)| Some((text(name), text(value?))));
    let wanted = |name: &str| name.starts_with("RUSTC") || name.ends_with("_LINKER");
    let mut environment: BTreeMap<String, String> = set.filter(|(name, _)| wanted(name)).collect();
    let standard_library =
        command.get_args().find_map(|argument| argument.to_str()?.strip_prefix("-Zbuild-std="));
    environment
        .extend(standard_library.map(|parts| ("CARGO_UNSTABLE_BUILD_STD".to_owned(), parts.to_owned())));
    Ok(environment)
}

fn is_installed() -> bool {
    answer(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]))
        .is_some_and(|folder| Path::new(&folder).is_dir())
}

fn rustup_adds_it() -> bool {
    let mut rustup = Command::new("rustup");
    // Without these it tries for minutes where there is no way out.
    rustup.args(["target", "add", TARGET]).env("RUSTUP_MAX_RETRIES", "1");
    Command::new("rustup").arg("--version").output().is_ok()
        && progress::attempt("asking rustup for the target wasm32-unknown-unknown", &mut rustup)
}

fn debian_has_it() -> bool {
    Path::new(DEBIAN_RUSTC).exists() && Path::new(DEBIAN_SOURCE).exists()
}

fn install_from_debian() -> Result<()> {
    let by_hand = format!(
        "the components need a compiler for {TARGET}: run `rustup target add {TARGET}`, or on Debian as root \
         `apt-get install --no-install-recommends {}`",
        DEBIAN_PACKAGES.join(" ")
    );
    if !place::is_root() || Command::new("apt-get").arg("--version").output().is_err() {
        bail!(by_hand);
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
        command
    };
    let mut install = apt(&["install", "--yes", "--no-install-recommends"]);
    install.args(DEBIAN_PACKAGES);
    let label = "installing Debian's compiler for WebAssembly";
    let installed = progress::attempt(label, &mut install)
        || progress::attempt("reading Debian's package lists", &mut apt(&["update"]))
            && progress::attempt(label, &mut install);
    if !installed || !debian_has_it() {
        bail!("Debian's packages could not be installed; {by_hand}");
    }
    Ok(())
}

/// Finds a linker for WebAssembly: rustup's bundled one, else one on PATH, where Debian's has a version in its name.
fn linker() -> Result<PathBuf> {
    let sysroot = answer(Command::new("rustc").args(["--print", "sysroot"])).unwrap_or_default();
    let host = answer(Command::new("rustc").args(["--print", "host-tuple"])).unwrap_or_default();
    let bundled = Path::new(&sysroot).join("lib/rustlib").join(host).join("bin/rust-lld");
    if bundled.exists() {
        return Ok(bundled);
    }
    let folders: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let names = ["rust-lld", "wasm-ld", "wasm-ld-22", "wasm-ld-21", "wasm-ld-20", "wasm-ld-19"];
    let found = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.exists());
    match found {
        Some(path) => Ok(path),
        None => bail!("no linker for WebAssembly: install `lld`, or Rust by rustup, which brings rust-lld"),
    }
}

fn answer(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
