//! A copy of the application in a test's own folder: the same manifest, with components that may be replaced or
//! signed. The built components stay unchanged.

use std::path::PathBuf;

use anyhow::Result;

use crate::{Output, World};

/// Manifest with its components beside it.
pub struct Application {
    folder: PathBuf,
}

impl Application {
    /// Copies the manifest and the built components.
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

    /// Path of its `spin.toml`.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.folder.join("spin.toml")
    }

    /// Path of a component's file.
    #[must_use]
    pub fn file(&self, component: &str) -> PathBuf {
        self.folder.join("target/components").join(format!("{component}.wasm"))
    }

    /// Changes the text of the manifest.
    pub fn edit(&self, change: impl FnOnce(String) -> String) -> Result<()> {
        Ok(std::fs::write(self.manifest(), change(std::fs::read_to_string(self.manifest())?))?)
    }

    /// Removes a saga from the manifest, so that nothing follows from what is recorded.
    pub fn remove_saga(&self, name: &str, component: &str) -> Result<()> {
        let lines = format!(
            "[[trigger.clearfold]]\nkind = \"saga\"\nname = \"{name}\"\ncomponent = \"{component}\"\n\n"
        );
        anyhow::ensure!(
            std::fs::read_to_string(self.manifest())?.contains(&lines),
            "the manifest has no saga `{name}`"
        );
        self.edit(|manifest| manifest.replace(&lines, ""))
    }

    /// Replaces a component.
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

    /// Command of the host with this manifest.
    pub fn host_command(&self, world: &World) -> Result<std::process::Command> {
        let mut command = world.host_command()?;
        command.env("MANIFEST", self.manifest());
        Ok(command)
    }

    /// Runs `clearfold deploy` with this manifest.
    pub fn deploy(&self, world: &World, arguments: &[&str]) -> Result<Output> {
        let manifest = self.manifest().display().to_string();
        world.clearfold(&[&["deploy", "--manifest", &manifest][..], arguments].concat())
    }

    /// Components that the manifest names, with their files.
    fn named(&self) -> Result<Vec<(String, PathBuf)>> {
        let manifest = std::fs::read_to_string(self.manifest())?;
        let sources = manifest.lines().filter_map(|line| line.strip_prefix("source = \"target/components/"));
        let names = sources.filter_map(|source| source.strip_suffix(".wasm\""));
        Ok(names.map(|name| (name.to_owned(), self.file(name))).collect())
    }
}
