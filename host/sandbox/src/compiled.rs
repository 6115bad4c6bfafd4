//! Cache of compiled components in files, by the digest of their bytes and a hash of the engine's settings.
//!
//! A file may be lost: the next start then takes seconds longer. A damaged file is detected by its seal and compiled
//! again, because its code is run as it is. The seal protects from damage, not from writers: only the host's own user
//! may be able to write to the folder.

use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::compiler::compile;
use super::target::CompileTarget;
use clearfold_base::digest::Digest;

/// Maximum number of files. Each version of each component has one, so a developer's folder would grow for ever.
const KEPT: usize = 256;
/// Size of the seal that a file begins with, in bytes: the SHA-256 of its name and its code.
const SEAL: usize = 32;

/// Cache of compiled components, for one engine.
pub(super) struct Compiled {
    target: CompileTarget,
    /// None if components are compiled at every start.
    folder: Option<PathBuf>,
    settings: Digest,
}

impl Compiled {
    /// Opens the cache in the user's cache folder.
    pub(super) fn of_user(target: CompileTarget, engine: &Engine) -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
        if folder.is_none() {
            tracing::warn!("components are compiled at every start; set HOME or XDG_CACHE_HOME to keep them");
        }
        let folder = folder.map(|folder| folder.join("clearfold/compiled"));
        Self::new(target, engine, folder.filter(|folder| is_ours(folder)))
    }

    fn new(target: CompileTarget, engine: &Engine, folder: Option<PathBuf>) -> Self {
        let mut settings = Sha256Hasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut settings);
        Self { target, folder, settings: Digest(settings.0.finalize().into()) }
    }

    /// Returns a component, compiled now or earlier.
    pub(super) fn component(&self, engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Component> {
        let Some(folder) = &self.folder else {
            return load(engine, &compile(self.target, engine, wasm)?);
        };
        let name = format!("{}-{}", Digest::of(wasm), self.settings);
        let path = folder.join(&name);
        if let Some(component) = kept(engine, &path, &name) {
            return Ok(component);
        }
        let code = compile(self.target, engine, wasm)?;
        if let Err(error) = keep(folder, &name, &code) {
            tracing::warn!(%error, folder = %folder.display(), "a compiled component could not be kept");
        }
        load(engine, &code)
    }
}

/// Returns true if only this user can write to the folder, whose files are run as code.
fn is_ours(folder: &Path) -> bool {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    let found = made.and_then(|()| fs::metadata(folder));
    let others_may_write = |found: &fs::Metadata| found.mode() & 0o022 != 0;
    let user = rustix::process::geteuid().as_raw();
    match found {
        Ok(found) if found.uid() == user && !others_may_write(&found) => true,
        Ok(_) => {
            let folder = folder.display();
            tracing::warn!(
                %folder,
                "components are compiled at every start, because the folder that keeps them can be written by \
                 others; make it this user's (chown), and writable for nobody else (chmod go-w)"
            );
            false
        }
        Err(error) => {
            tracing::warn!(%error, folder = %folder.display(), "compiled components cannot be kept");
            false
        }
    }
}

/// Loads the component of a file, if the file is undamaged.
fn kept(engine: &Engine, path: &Path, name: &str) -> Option<Component> {
    let bytes = fs::read(path).ok()?;
    let (found, code) = bytes.split_at_checked(SEAL)?;
    if found != seal(name, code) {
        tracing::warn!(file = %path.display(), "a compiled component is damaged and is compiled again");
        return None;
    }
    load(engine, code).ok()
}

fn keep(folder: &Path, name: &str, code: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    // Renaming is atomic, so a reader finds nothing or the whole file.
    let unfinished = folder.join(format!("{name}.{}", std::process::id()));
    fs::write(&unfinished, [&seal(name, code)[..], code].concat())?;
    fs::rename(unfinished, folder.join(name))?;
    let mut files: Vec<(SystemTime, PathBuf)> = fs::read_dir(folder)?
        // Another process may remove files at the same time.
        .filter_map(|entry| entry.and_then(|entry| Ok((entry.metadata()?.modified()?, entry.path()))).ok())
        .collect();
    files.sort();
    // Zero while there is room.
    let too_many = files.len().saturating_sub(KEPT);
    files.iter().take(too_many).try_for_each(|(_, file)| fs::remove_file(file))
}

fn seal(name: &str, code: &[u8]) -> [u8; SEAL] {
    Sha256::new().chain_update(name).chain_update(code).finalize().into()
}

#[expect(
    unsafe_code,
    reason = "compiled code is run as it is: it comes from this engine, now or under a seal"
)]
fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `precompile_component` of an engine with the same settings made the code, and it is undamaged.
    unsafe { Component::deserialize(engine, code) }
}

/// SHA-256 for a value that can only be hashed through the standard library's trait.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        // Required by the trait and never called: the digest is taken instead.
        0
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const ADDING: &str = r#"(component
        (core module $m (func (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))
        (core instance $i (instantiate $m))
        (func (export "f") (param "x" u32) (result u32) (canon lift (core func $i "f"))))"#;

    fn answer(engine: &Engine, component: &Component) -> u32 {
        let mut store = wasmtime::Store::new(engine, ());
        let instance = wasmtime::component::Linker::new(engine).instantiate(&mut store, component).unwrap();
        let add = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "f").unwrap();
        add.call(&mut store, (41,)).unwrap().0
    }

    #[test]
    fn a_file_that_is_lost_or_damaged_only_costs_time() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let compiled =
            Compiled::new(CompileTarget::Handler, &engine, Some(folder.path().join("made/when/needed")));
        let wasm = wat::parse_str(ADDING).unwrap();
        let component = || compiled.component(&engine, &wasm).unwrap();
        assert_eq!(answer(&engine, &component()), 42);
        let kept_in = compiled.folder.clone().unwrap();
        let file = || fs::read_dir(&kept_in).unwrap().next().unwrap().unwrap().path();
        let whole = fs::read(file()).unwrap();

        fs::remove_file(file()).unwrap();
        assert_eq!(answer(&engine, &component()), 42);
        assert_eq!(fs::read(file()).unwrap(), whole, "made anew");
        // In many places, most of them in the middle of the code.
        for place in (0..whole.len()).step_by(whole.len() / 40) {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            for bytes in [&damaged[..], &whole[..place], b"nonsense"] {
                fs::write(file(), bytes).unwrap();
                assert_eq!(answer(&engine, &component()), 42);
                assert_eq!(fs::read(file()).unwrap(), whole, "damaged at {place}");
            }
        }
    }

    #[test]
    fn a_file_is_of_one_component_and_one_engine() {
        let folder = tempfile::tempdir().unwrap();
        let (one, mut fuelled) = (Engine::default(), wasmtime::Config::new());
        let other = Engine::new(fuelled.consume_fuel(true)).unwrap();
        let kept_for = |engine| Compiled::new(CompileTarget::Handler, engine, Some(folder.path().into()));
        let (of_one, of_other) = (kept_for(&one), kept_for(&other));
        assert_ne!(of_one.settings, of_other.settings);
        let wasm = wat::parse_str(ADDING).unwrap();
        of_one.component(&one, &wasm).unwrap();
        // A file under the name of another engine's file is not used.
        let name =
            |compiled: &Compiled| folder.path().join(format!("{}-{}", Digest::of(&wasm), compiled.settings));
        fs::rename(name(&of_one), name(&of_other)).unwrap();
        assert!(kept(&other, &name(&of_other), "another name").is_none());
        of_other.component(&other, &wasm).unwrap();
    }

    #[test]
    fn a_folder_that_others_may_write_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("clearfold/compiled");
        assert!(is_ours(&made));
        let allow = |mode| fs::set_permissions(&made, fs::Permissions::from_mode(mode)).unwrap();
        for (mode, ours) in [(0o755, true), (0o775, false), (0o702, false), (0o700, true)] {
            allow(mode);
            assert_eq!(is_ours(&made), ours, "{mode:o}");
        }
    }

    #[test]
    fn without_a_folder_components_are_compiled() {
        let engine = Engine::default();
        let wasm = wat::parse_str(ADDING).unwrap();
        for folder in [None, Some(PathBuf::from("/proc/no/such/folder"))] {
            let component =
                Compiled::new(CompileTarget::Handler, &engine, folder).component(&engine, &wasm).unwrap();
            assert_eq!(answer(&engine, &component), 42);
        }
    }
}
