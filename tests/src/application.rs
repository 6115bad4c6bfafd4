//! The application in a folder of a test's own: the same manifest, and components that may be others, or signed. What was
//! built stays as it is.

use std::path::PathBuf;

use anyhow::Result;

use crate::{Output, World};

/// A manifest, and the components that it names beside it.
pub struct Application {
    folder: PathBuf,
}

impl Application {
    /// A copy of what was built.
    pub fn of(world: &World) -> Result<Self> {
        let folder = world.file("application");
        let application = Self { folder };
        std::fs::create_dir_all(application.folder.join("target/components"))?;
        std::fs::copy(world.environment.root.join("spin.toml"), application.manifest())?;
        for (component, _) in application.named()? {
            std::fs::copy(world.environment.component(&component), application.file(&component))?;
        }
        Ok(application)
    }

    /// Its `spin.toml`.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.folder.join("spin.toml")
    }

    /// A component's file.
    #[must_use]
    pub fn file(&self, component: &str) -> PathBuf {
        self.folder.join("target/components").join(format!("{component}.wasm"))
    }

    /// Changes what the manifest says.
    pub fn edit(&self, change: impl FnOnce(String) -> String) -> Result<()> {
        Ok(std::fs::write(self.manifest(), change(std::fs::read_to_string(self.manifest())?))?)
    }

    /// Puts another component in the place of one.
    pub fn replace(&self, component: &str, wasm: &[u8]) -> Result<()> {
        Ok(std::fs::write(self.file(component), wasm)?)
    }

    /// Signs every component as it is now.
    pub fn sign(&self, sign: impl Fn(&[u8]) -> Vec<u8>) -> Result<()> {
        for (_, file) in self.named()? {
            std::fs::write(file.with_added_extension("sig"), sign(&std::fs::read(&file)?))?;
        }
        Ok(())
    }

    /// The host's program with this manifest.
    pub fn host_command(&self, world: &World) -> Result<std::process::Command> {
        let mut command = world.host_command()?;
        command.env("MANIFEST", self.manifest());
        Ok(command)
    }

    /// `clearfold deploy` of this manifest.
    pub fn deploy(&self, world: &World, arguments: &[&str]) -> Result<Output> {
        let manifest = self.manifest().display().to_string();
        world.clearfold(&[&["deploy", "--manifest", &manifest][..], arguments].concat())
    }

    /// The components that the manifest names.
    fn named(&self) -> Result<Vec<(String, PathBuf)>> {
        let manifest = std::fs::read_to_string(self.manifest())?;
        let sources = manifest.lines().filter_map(|line| line.strip_prefix("source = \"target/components/"));
        let names = sources.filter_map(|source| source.strip_suffix(".wasm\""));
        Ok(names.map(|name| (name.to_owned(), self.file(name))).collect())
    }
}
