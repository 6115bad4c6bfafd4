//! `clearfold spin install`: writes two plugins into Spin's folder.
//!
//! The plugin `trigger-clearfold` is what `spin up` starts for `[[trigger.clearfold]]`; the plugin `clearfold` is
//! what `SPIN_DEPLOY_PLUGIN=clearfold spin deploy` starts with the arguments `deploy …`. Both are this program.
//! It writes into Spin's folder only, and fetches nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::{Value, json};

use super::trigger;

/// Name of the plugin of `spin deploy`, and of `spin clearfold …`.
const DEPLOYER: &str = "clearfold";

#[derive(Debug, Args)]
pub(in crate::cli) struct InstallArgs {
    /// Spin's data folder. Without it, the one that Spin uses for this user
    #[arg(long, env = "SPIN_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Copy this program instead of linking to it. A copy stays as it is when this program is rebuilt or removed
    #[arg(long)]
    copy: bool,
}

impl InstallArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let folder = match self.data_dir {
            Some(folder) => std::path::absolute(folder).context("SPIN_DATA_DIR (--data-dir) is no path")?,
            None => default_folder(|name| std::env::var_os(name).map(PathBuf::from))
                .context("Spin's folder is not known, as HOME is not set; give it with --data-dir")?,
        };
        let program = std::env::current_exe().context("the path of this program cannot be determined")?;
        for (name, description) in [
            (trigger::NAME, "Runs the handlers of an application: [[trigger.clearfold]]"),
            (DEPLOYER, "Deploys handlers to a running host, after they were verified"),
        ] {
            let plugins = folder.join("plugins");
            let installed = plugins.join(name).join(name);
            place(&program, &installed, self.copy)?;
            let how = if self.copy { "a copy of" } else { "a link to" };
            println!("wrote {}, {how} {}", installed.display(), program.display());
            let manifest = plugins.join("manifests").join(format!("{name}.json"));
            write(&manifest, &plugin(name, description))?;
            println!("wrote {}", manifest.display());
        }
        println!(
            "next: set what `clearfold up` needs (DATABASE_URL, READ_DATABASE_URL, CHAIN_RPC_URLS), then run \
             `spin up` where spin.toml is; `SPIN_DEPLOY_PLUGIN=clearfold spin deploy` hands a deploy to this program"
        );
        Ok(())
    }
}

/// Determines Spin's default data folder.
fn default_folder(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let given = variable("XDG_DATA_HOME").filter(|folder| folder.is_absolute());
    Some(given.or_else(|| Some(variable("HOME")?.join(".local/share")))?.join("spin"))
}

/// Makes the plugin's description, as `spin plugin install` would write it. Spin reads from it only whether the
/// plugin fits this machine and this Spin; the package's address would be read by an installation from the network.
fn plugin(name: &str, description: &str) -> Value {
    let arch = if cfg!(target_arch = "aarch64") { "aarch64" } else { "amd64" };
    json!({
        "name": name,
        "description": description,
        "version": env!("CARGO_PKG_VERSION"),
        "spinCompatibility": ">=4.1",
        "license": env!("CARGO_PKG_LICENSE"),
        "packages": [{"os": "linux", "arch": arch, "url": "file:///dev/null", "sha256": "0".repeat(64)}],
    })
}

/// Installs the program at `path`, in the place of an earlier installation.
fn place(program: &Path, path: &Path, copy: bool) -> anyhow::Result<()> {
    let folder = path.parent().context("a plugin has a folder")?;
    std::fs::create_dir_all(folder).with_context(|| cannot(folder))?;
    ensure!(!path.is_dir(), "{} is a folder, where the plugin's program belongs; remove it", path.display());
    // It is written beside `path` and then renamed, so that a Spin that starts it meanwhile finds the old or the new
    // one.
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let placed = match copy {
        true => std::fs::copy(program, &beside).map(drop),
        false => std::os::unix::fs::symlink(program, &beside),
    };
    placed.and_then(|()| std::fs::rename(&beside, path)).with_context(|| cannot(path))
}

fn write(path: &Path, content: &Value) -> anyhow::Result<()> {
    let folder = path.parent().context("a manifest has a folder")?;
    std::fs::create_dir_all(folder).with_context(|| cannot(folder))?;
    std::fs::write(path, format!("{content:#}\n")).with_context(|| cannot(path))
}

fn cannot(path: &Path) -> String {
    format!("{} cannot be written; give another folder with --data-dir, or make it writable", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spins_folder_follows_from_the_users() {
        let folder = |set: &[(&str, &str)]| {
            default_folder(|name| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value))
            })
        };
        assert_eq!(folder(&[("HOME", "/home/a")]), Some("/home/a/.local/share/spin".into()));
        assert_eq!(folder(&[("HOME", "/h"), ("XDG_DATA_HOME", "/data")]), Some("/data/spin".into()));
        assert_eq!(folder(&[("HOME", "/h"), ("XDG_DATA_HOME", "data")]), Some("/h/.local/share/spin".into()));
        assert_eq!(folder(&[]), None);
    }
}
