//! `cargo xtask dev`: what `cargo xtask up` runs, and an edit of a component is live in it seconds later.
//!
//! It watches `components/` and `wit/`. What a change may concern is built, held to its specifications, and put in force
//! in the running host, each step only if the one before succeeded: a mistake is shown, and what runs goes on running. The
//! components of `target/components` are never touched; these are built in parts, for speed, and lie beside them. They are
//! for this session: the next start puts those of `target/components` in their place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use notify::{EventKind, RecursiveMode, Watcher};
use serde_json::Value;

use crate::cargo::Member;
use crate::up::Running;
use crate::{build, cargo, place, up, wasm};

/// An editor that saves writes several times; this long nothing more may come.
const QUIET: Duration = Duration::from_millis(50);
/// Actor and reason that the registry records for components of a session.
const EDITED: [&str; 2] = ["cargo xtask dev", "edited under cargo xtask dev"];
/// Actor and reason for components that replace those of a session.
const BUILT: [&str; 2] =
    ["cargo xtask", "built from the sources, in the place of what cargo xtask dev had built"];
/// Number of the newest commands that a new component decides again before it goes live. Few, because the author waits and
/// means to change decisions anyway.
const DECIDED_AGAIN: &str = "1000";

pub fn run(options: &up::Options) -> Result<()> {
    let mut bench = None;
    up::run_while(options, |running, _| match &mut bench {
        None => {
            bench = Some(Bench::new()?);
            println!("Edit a component: a change is built, held to its specifications, and goes live.\n");
            Ok(())
        }
        Some(bench) => bench.look(running),
    })
}

/// Components under edit: built, watched and deployed.
struct Bench {
    components: Vec<Component>,
    /// The folder of each crate that a component is made of.
    crates: BTreeMap<String, PathBuf>,
    /// Folder of the built components.
    folder: PathBuf,
    changes: Receiver<PathBuf>,
    /// Components that a change concerns and that are not live yet, because they or one before them failed.
    left: Vec<usize>,
    /// It watches as long as it lives.
    _watcher: notify::RecommendedWatcher,
}

struct Component {
    name: String,
    /// The crates of this workspace that it is made of, itself among them.
    crates: BTreeSet<String>,
    /// Folders of its own logic; after a change there it is built first.
    sources: Vec<PathBuf>,
    specs: Vec<PathBuf>,
    /// The handler's name, where a component does not say it itself.
    handler: Option<String>,
    /// Bytes of its last live build, or of the build that the session began with.
    bytes: Vec<u8>,
}

impl Bench {
    fn new() -> Result<Self> {
        let members = cargo::members()?;
        let crates = members.iter().filter_map(|member| Some((member.name.clone(), folder_of(member)?)));
        let crates: BTreeMap<String, PathBuf> = crates.collect();
        let components = members.iter().filter(|member| member.is_component);
        let components = components.map(|member| Component::of(member, &members)).collect();
        let folder = place::root().join("target/components-dev");
        place::create(&folder)?;
        let (changed, changes) = channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if matches!(event.kind, EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_)) {
                // Nobody listens any more only when all of this ends.
                event.paths.into_iter().for_each(|path| _ = changed.send(path));
            }
        })?;
        for watched in ["components", "wit"] {
            watcher.watch(&place::root().join(watched), RecursiveMode::Recursive)?;
        }
        let mut bench = Self { components, crates, folder, changes, left: Vec::new(), _watcher: watcher };
        bench.warm_up()?;
        Ok(bench)
    }

    /// Builds all once, so that the first change is as quick as the others.
    fn warm_up(&mut self) -> Result<()> {
        let mut made = BTreeMap::new();
        for group in cargo::component_groups(&cargo::members()?) {
            made.extend(build::modules(&group, wasm::DEV_PROFILE)?);
        }
        for component in &mut self.components {
            component.bytes = place::read(&build::finish(&component.name, &made, &self.folder)?)?;
        }
        Ok(())
    }

    /// Looks whether something was changed, and makes it live.
    fn look(&mut self, running: &Running<'_>) -> Result<()> {
        let mut changed = BTreeSet::new();
        while let Ok(path) =
            self.changes.recv_timeout(if changed.is_empty() { Duration::ZERO } else { QUIET })
        {
            if is_source(&path) {
                changed.insert(path);
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        println!("edited {}", list(&changed));
        let mut live = 0_usize;
        let mut concerned = self.concerned(&changed);
        let left = std::mem::take(&mut self.left);
        concerned.extend(left.into_iter().filter(|index| !concerned.contains(index)).collect::<Vec<_>>());
        for (done, &index) in concerned.iter().enumerate() {
            let component = &mut self.components[index];
            match component.renew(&self.folder, running) {
                Ok(None) => {}
                Ok(Some(line)) => {
                    live += 1;
                    println!("  {:<24} {line}", component.name);
                }
                Err(error) => {
                    // A fault in shared code shows in all components that share it.
                    println!("  {:<24} {error:#}\n  what runs is left as it is", component.name);
                    self.left = concerned.split_off(done);
                    return Ok(());
                }
            }
        }
        let what = if live == 0 { "nothing that runs is changed by it" } else { "done" };
        println!("  {what}, {} after the edit", seconds(began));
        Ok(())
    }

    /// The components that a change may concern, those first whose own business it is.
    fn concerned(&self, changed: &BTreeSet<PathBuf>) -> Vec<usize> {
        let touched: BTreeSet<&str> = changed.iter().filter_map(|path| self.crate_of(path)).collect();
        let is_own = |component: &Component| {
            let own = self
                .crates
                .get(&component.name)
                .into_iter()
                .chain(&component.sources)
                .chain(&component.specs);
            own.into_iter().any(|own| changed.iter().any(|path| path.starts_with(own)))
        };
        let is_made_of = |component: &Component| touched.iter().any(|name| component.crates.contains(*name));
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for (index, component) in self.components.iter().enumerate() {
            if is_own(component) {
                own.push(index);
            } else if is_made_of(component) {
                others.push(index);
            }
        }
        own.append(&mut others);
        own
    }

    /// The crate whose code a file is.
    fn crate_of(&self, path: &Path) -> Option<&str> {
        if path.starts_with(place::root().join("wit")) {
            // Its code is made of `wit/`.
            return Some(cargo::GUEST);
        }
        let inside = self.crates.iter().filter(|(_, folder)| path.starts_with(folder));
        inside.max_by_key(|(_, folder)| folder.components().count()).map(|(name, _)| name.as_str())
    }
}

impl Component {
    fn of(member: &Member, members: &[Member]) -> Self {
        let folder = folder_of(member).unwrap_or_default();
        let paths = |key: &str| {
            let listed = member.metadata[key].as_array().into_iter().flatten();
            // Without the dots, as the watcher names what has changed.
            listed.filter_map(|path| fs::canonicalize(folder.join(path.as_str()?)).ok()).collect()
        };
        Self {
            name: member.name.clone(),
            crates: crates_of(member, members),
            sources: paths("sources"),
            specs: paths("specs"),
            handler: member.metadata["handler"].as_str().map(str::to_owned),
            bytes: Vec::new(),
        }
    }

    /// Builds the component, runs its specifications and puts it in force. Returns a summary, or None if its bytes did not
    /// change.
    fn renew(&mut self, folder: &Path, running: &Running<'_>) -> Result<Option<String>> {
        let began = Instant::now();
        let mut command = wasm::cargo_build(wasm::DEV_PROFILE)?;
        let output = quietly(command.args(["--package", &self.name]).args(cargo::MESSAGES))?;
        if !output.status.success() {
            bail!("does not build:\n{}", String::from_utf8_lossy(&output.stderr).trim_end());
        }
        let made = cargo::made(&String::from_utf8_lossy(&output.stdout));
        let file = build::finish(&self.name, &made, folder)?;
        let bytes = place::read(&file)?;
        if bytes == self.bytes {
            return Ok(None);
        }
        let mut line = format!("built {}", seconds(began));
        if !self.specs.is_empty() {
            line += &format!(" → {}", self.keeps_its_specifications(&file, running)?);
        }
        line += &format!(" → live {}", self.put_in_force(&file, running)?);
        self.bytes = bytes;
        Ok(Some(line))
    }

    fn keeps_its_specifications(&self, file: &Path, running: &Running<'_>) -> Result<String> {
        let began = Instant::now();
        let output = quietly(Command::new(running.host).args(["spec", "run"]).arg(file).args(&self.specs))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let failed: Vec<&str> = text.lines().filter(|line| !line.starts_with("  ok ")).collect();
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("does not keep its specifications:\n{}\n{}", failed.join("\n"), said.trim_end());
        }
        let passed = text.lines().filter(|line| line.starts_with("  ok ")).count();
        Ok(format!("{passed} cases passed {}", seconds(began)))
    }

    fn put_in_force(&self, file: &Path, running: &Running<'_>) -> Result<String> {
        let began = Instant::now();
        put_in_force(running, file, self.handler.as_deref(), EDITED)?;
        Ok(seconds(began))
    }
}

/// The one place that knows how a component comes into a running host.
fn put_in_force(
    running: &Running<'_>,
    file: &Path,
    handler: Option<&str>,
    [by, why]: [&str; 2],
) -> Result<()> {
    let mut command = Command::new(running.host);
    command.args(["component", "deploy"]).arg(file);
    command.args(["--activate", "--by", by, "--expect-divergence", why, "--last", DECIDED_AGAIN]);
    if let Some(handler) = handler {
        command.args(["--handler", handler]);
    }
    let output = quietly(command.envs(running.environment.iter().cloned()))?;
    if !output.status.success() {
        bail!("is not taken in by the host:\n{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(())
}

/// A component that an earlier session has left in force.
#[derive(Debug, PartialEq, Eq)]
struct Stale {
    component: String,
    /// The handler's name, where a component does not say it itself.
    handler: Option<String>,
}

/// Puts what the sources are built into in the place of what earlier sessions had built. What was edited then may be
/// edited back since, and what runs for longer shall be optimized. What others put in force stands.
pub fn give_way(running: &Running<'_>) -> Result<()> {
    let mut command = Command::new(running.host);
    let output =
        quietly(command.args(["component", "list", "--json"]).envs(running.environment.iter().cloned()))?;
    if !output.status.success() {
        bail!(
            "the host does not list its components:\n{}",
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    let listed = serde_json::from_slice(&output.stdout).context("the list of components is not JSON")?;
    for Stale { component, handler } in stale(&listed) {
        let file = build::components_folder().join(format!("{component}.wasm"));
        // One that the sources do not have any more is nobody's to replace.
        if file.exists() {
            put_in_force(running, &file, handler.as_deref(), BUILT).with_context(|| component.clone())?;
            eprintln!("{component}: what an earlier `cargo xtask dev` had built is replaced.");
        }
    }
    Ok(())
}

/// Components in force that a session put there.
fn stale(listed: &Value) -> Vec<Stale> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = |key: &str| listed[key].as_array().cloned().unwrap_or_default();
    let components = all("components");
    let by_us = all("handlers").into_iter().filter(|handler| handler["by"] == EDITED[0]);
    by_us
        .filter_map(|handler| {
            let component = components.iter().find(|component| component["digest"] == handler["digest"])?;
            let is_named = ["translator", "http"].iter().any(|kind| handler["kind"] == *kind);
            let named = is_named.then(|| text(&handler["name"]));
            Some(Stale { component: text(&component["name"]), handler: named })
        })
        .collect()
}

/// A component's crate and all of this workspace that it depends on.
fn crates_of(member: &Member, members: &[Member]) -> BTreeSet<String> {
    let mut found = BTreeSet::from([member.name.clone()]);
    let mut left = vec![member];
    while let Some(member) = left.pop() {
        let depended_on = members.iter().filter(|other| member.dependencies.contains(&other.name));
        left.extend(depended_on.filter(|other| found.insert(other.name.clone())));
    }
    found
}

fn folder_of(member: &Member) -> Option<PathBuf> {
    member.manifest.parent().map(Path::to_path_buf)
}

/// Returns true if a file is a source or specification of components, and not an editor's temporary file.
fn is_source(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or(".");
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    !name.starts_with('.') && ["rs", "toml", "wit", "yaml", "json"].contains(&ending)
}

fn quietly(command: &mut Command) -> Result<Output> {
    let output = command.stdin(Stdio::null()).output();
    output.with_context(|| format!("cannot start {}", command.get_program().display()))
}

fn list(changed: &BTreeSet<PathBuf>) -> String {
    let root = place::root();
    let names = changed.iter().map(|path| path.strip_prefix(&root).unwrap_or(path).display().to_string());
    names.collect::<Vec<_>>().join(", ")
}

/// `1.9 s`
fn seconds(since: Instant) -> String {
    crate::progress::seconds(since.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_editor_leaves_beside_a_file_is_no_change() {
        for name in ["rules.rs", "Cargo.toml", "card.yaml", "decider.wit"] {
            assert!(is_source(&Path::new("components/lib/domain/src").join(name)), "{name}");
        }
        for name in [".rules.rs.swp", "rules.rs~", ".#rules.rs", "4913", ".rs"] {
            assert!(!is_source(&Path::new("components/lib/domain/src").join(name)), "{name}");
        }
    }

    #[test]
    fn only_what_a_session_put_in_force_is_replaced() {
        let handler = |kind: &str, name: &str, digest: &str, by: &str| serde_json::json!({"kind": kind, "name": name, "digest": digest, "by": by});
        let component = |name: &str, digest: &str| serde_json::json!({"name": name, "digest": digest});
        let listed = serde_json::json!({
            "handlers": [
                handler("decider", "card", "c1", "cargo xtask dev"),
                handler("decider", "account", "a1", "host here"),
                handler("projector", "payments", "p1", "cargo xtask"),
                handler("translator", "gnosis-pay", "t1", "cargo xtask dev"),
            ],
            "components": [
                component("decider-card", "c0"), component("decider-card", "c1"), component("decider-account", "a1"),
                component("projector-payments", "p1"), component("translator-gnosis-pay", "t1"),
            ],
        });
        let stale_one = |component: &str, handler: Option<&str>| Stale {
            component: component.to_owned(),
            handler: handler.map(str::to_owned),
        };
        let expected =
            [stale_one("decider-card", None), stale_one("translator-gnosis-pay", Some("gnosis-pay"))];
        assert_eq!(stale(&listed), expected);
    }

    #[test]
    fn every_component_says_what_it_is_held_to() {
        let members = cargo::members().unwrap();
        for member in members.iter().filter(|member| member.is_component) {
            let component = Component::of(member, &members);
            for (key, found) in [("specs", component.specs.len()), ("sources", component.sources.len())] {
                let listed = member.metadata[key].as_array().map_or(0, Vec::len);
                assert_eq!(found, listed, "{}: one of its {key} is not there", member.name);
            }
            assert!(component.crates.contains(&member.name) && !component.crates.contains("clearfold"));
        }
        let specs = |name: &str| {
            let member = members.iter().find(|member| member.name == name).unwrap();
            Component::of(member, &members).specs.len()
        };
        assert_eq!(
            (specs("decider-card"), specs("decider-authorization"), specs("auditor-payments")),
            (6, 21, 0)
        );
    }
}
