//! Paths of the repository and of this machine's cache, and small helpers for files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// The repository that this xtask belongs to.
pub fn root() -> PathBuf {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&manifest).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The folder for what is installed once per machine. For root it is one that an unprivileged Postgres
/// can read, which root's home is not.
pub fn cache() -> Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = if let Some(folder) = set("CLEARFOLD_CACHE") {
        folder
    } else if is_root() {
        PathBuf::from("/var/cache/clearfold")
    } else if let Some(folder) = set("XDG_CACHE_HOME") {
        folder.join("clearfold")
    } else {
        let home = set("HOME").context("neither CLEARFOLD_CACHE nor HOME is set; set one of them")?;
        home.join(".cache/clearfold")
    };
    create(&folder)?;
    fs::canonicalize(&folder).with_context(|| format!("cannot use the cache folder {}", folder.display()))
}

/// Folder of cargo's downloads.
pub fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = std::env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = std::env::var_os("HOME").context("neither CARGO_HOME nor HOME is set; set one of them")?;
    Ok(Path::new(&home).join(".cargo"))
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Creates a folder and its parents, with an error that names it.
pub fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

pub fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Writes a file unless it already says this, so that whoever watches its time sees no change.
pub fn write_if_changed(file: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(file).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    let temporary = file.with_extension("new");
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, file))
        .with_context(|| format!("cannot write {}", file.display()))
}

/// All files below a folder, sorted; none if it does not exist. `node_modules` is passed over.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if !path.is_dir() {
            found.push(path);
        } else if entry.file_name() != "node_modules" {
            found.extend(files_below(&path));
        }
    }
    found.sort();
    found
}

/// A digest of files: their names below `base` and their bytes.
pub fn digest(base: &Path, files: &[PathBuf]) -> Result<String> {
    let mut hasher = Sha256::new();
    for file in files {
        let bytes = read(file)?;
        let name = file.strip_prefix(base).unwrap_or(file).to_string_lossy();
        for part in [name.as_bytes(), &bytes] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    Ok(hex::encode(hasher.finalize()))
}

/// Random characters for a password of a private database.
pub fn random_hex() -> Result<String> {
    use std::io::Read;
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("cannot read /dev/urandom")?;
    Ok(hex::encode(bytes))
}

/// A folder inside the repository's `target` for logs and stamps of these jobs.
pub fn work_folder() -> Result<PathBuf> {
    let folder = root().join("target/xtask");
    create(&folder)?;
    Ok(folder)
}
