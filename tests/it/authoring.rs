//! The work of an author of components: the examples in other languages, and the projects of `clearfold new`.
//!
//! The tests use only the programs that an author has, and never look inside a component.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clearfold_tests::{Environment, Host, Output, World, eventually};
use serde_json::{Value, json};
use wasmtime::Engine;
use wasmtime::component::Component;

const BUDGET: &str = "example-budget";
const ACCOUNT: &str = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn a_decider_in_typescript_imports_nothing_and_keeps_its_specification() -> Result<()> {
    let environment = Environment::read()?;
    let engine = Engine::default();
    let component = Component::new(&engine, std::fs::read(environment.component(BUDGET))?)?;
    assert_eq!(component.component_type().imports(&engine).count(), 0);

    let mut command = Command::new(&environment.host);
    command.args(["spec", "run"]).arg(environment.component(BUDGET));
    let output = Output::of(command.arg(environment.root.join("examples/budget/specs/budget.yaml")))?;
    assert!(output.status.success() && output.stdout.ends_with("13 passed, 0 failed\n"), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn a_decider_in_typescript_decides_beside_those_in_rust() -> Result<()> {
    let world = World::new().await?;
    let manifest = world.file("spin.toml");
    std::fs::write(&manifest, manifest_with_the_budget(&world.environment)?)?;
    let host = world.host_with(|command| _ = command.env("MANIFEST", &manifest)).await?;

    let opening = json!({"assets": [{"asset": "EURe", "decimals": 18}]});
    let opened = send(&host, "account", ACCOUNT, "OpenAccount", &opening).await?;
    assert_eq!(opened["events"], json!(["AccountOpened"]), "{opened}");
    let euros = |minor: &str| json!({"minor": minor, "asset": "EURe", "decimals": 18});
    let set = json!({"category": "5812", "monthly": euros("100")});
    assert_eq!(send(&host, "budget", "b1", "SetBudget", &set).await?["events"], json!(["BudgetSet"]));
    for (payment, minor, events) in
        [("p1", "60", json!(["SpendingCounted"])), ("p2", "41", json!(["SpendingCounted", "BudgetExceeded"]))]
    {
        let payload = json!({"payment_id": payment, "category": "5812", "amount": euros(minor)});
        let counted = send(&host, "budget", "b1", "CountSpending", &payload).await?;
        assert_eq!(counted["events"], events, "{counted}");
    }
    let again = json!({"payment_id": "p1", "category": "5812", "amount": euros("61")});
    let refused = send(&host, "budget", "b1", "CountSpending", &again).await?;
    assert_eq!(refused["code"], "duplicate_mismatch", "{refused}");
    assert!(host.stop()?.success());

    // The log names the code that decided each command, and deciding again gives the same.
    for (arguments, said) in [
        (["verify"].as_slice(), "events are as they were written"),
        (&["replay", "--verify"], "the same again"),
    ] {
        let mut command = Command::new(&world.environment.host);
        command.args(arguments).env("DATABASE_URL", &world.databases.write_url);
        let output = Output::of(&mut command)?;
        assert!(output.status.success() && output.stdout.contains(said), "{arguments:?}: {output:?}");
    }
    Ok(())
}

/// Each kind is made, built and run against its specification, as an author would. The first build on a machine
/// compiles the standard library; the shared part is kept for the next.
#[tokio::test]
async fn what_clearfold_new_makes_builds_and_keeps_its_specification_at_once() -> Result<()> {
    let environment = Environment::read()?;
    // The same folder every time, one test at a time, so that cargo reuses what it compiled there.
    let shared = compiling()?.remove("CARGO_TARGET_DIR").map(PathBuf::from).context("no CARGO_TARGET_DIR")?;
    std::fs::create_dir_all(&shared)?;
    let lock = File::create(shared.join("lock"))?;
    lock.lock()?;
    let scratch = shared.join("made");
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch)?;
    }
    std::fs::create_dir(&scratch)?;
    // Names that are also words of the generated programs.
    for (kind, name, cases) in [
        ("decider", "event", Some(5)),
        ("projector", "row", Some(2)),
        ("translator", "log", Some(3)),
        ("saga", "step", None),
        ("auditor", "violation", None),
        ("http", "request", None),
    ] {
        let made = author(&environment, &scratch, &["new", kind, name])?;
        assert!(made.status.success() && made.stdout.contains("\nclearfold build\n"), "{made:?}");
        let package = format!("{kind}-{name}");
        let folder = scratch.join(&package);
        // The versions that are already on this machine.
        std::fs::copy(environment.root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
        let built = author(&environment, &folder, &["build"])?;
        let wasm = format!("target/{package}.wasm");
        assert!(built.status.success() && built.stdout == format!("{wasm}\n"), "{built:?}");
        match cases {
            Some(cases) => {
                let held =
                    author(&environment, &folder, &["spec", "run", &wasm, &format!("specs/{name}.yaml")])?;
                assert!(held.stdout.ends_with(&format!("{cases} passed, 0 failed\n")), "{held:?}");
            }
            None => {
                let beginning = match kind {
                    "http" => "wasi:http/",
                    "saga" => "clearfold:handlers/orchestration",
                    _ => "clearfold:handlers/audit",
                };
                exports(&folder.join(&wasm), beginning)?;
                passes_its_own_tests(&folder, &shared)?;
            }
        }
        let lines = std::fs::read_to_string(folder.join("spin.toml"))?;
        assert!(lines.contains(&format!("source = \"{package}/{wasm}\"\n")), "{lines}");
        if kind == "http" {
            goes_live_as_its_author_is_told(&made.stdout, &folder, &package, &lines).await?;
        }
    }
    Ok(())
}

/// Runs `cargo test`, as the author is told to.
fn passes_its_own_tests(folder: &Path, shared: &Path) -> Result<()> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let ended =
        command.args(["test", "--quiet"]).current_dir(folder).env("CARGO_TARGET_DIR", shared).output()?;
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success() && said.contains("1 passed; 0 failed"), "{ended:?}");
    Ok(())
}

/// Runs the last command that `clearfold new` has printed, against a host whose `spin.toml` has the printed lines but
/// another program behind them.
async fn goes_live_as_its_author_is_told(
    printed: &str,
    folder: &Path,
    package: &str,
    lines: &str,
) -> Result<()> {
    let world = World::new().await?;
    let environment = &world.environment;
    let manifest = world.file("spin.toml");
    let other = environment.component("edge-payments").display().to_string();
    let lines = lines.replace(&format!("{package}/target/{package}.wasm"), &other);
    std::fs::write(&manifest, manifest_with(environment, &lines)?)?;
    let host = world.host_with(|command| _ = command.env("MANIFEST", &manifest)).await?;
    assert_eq!(host.get("/request/1").await?.status, 404);

    let command = printed.lines().find(|line| line.starts_with("clearfold component deploy "));
    let arguments: Vec<&str> = command.context("no such command is printed")?.split(' ').skip(1).collect();
    let mut command = Command::new(&environment.host);
    command.args(&arguments).current_dir(folder).env("DATABASE_URL", &world.databases.write_url);
    let deployed = Output::of(&mut command)?;
    assert!(deployed.status.success(), "{deployed:?}");
    eventually("the new component answers", async || {
        let answer = host.get("/request/1").await?;
        Ok((answer.body == json!({"path": "/request/1"})).then_some(()))
    })
    .await
}

#[test]
fn clearfold_new_overwrites_nothing_and_explains_a_bad_name() -> Result<()> {
    let environment = Environment::read()?;
    let scratch = tempfile::tempdir()?;
    std::fs::write(scratch.path().join("auditor-taken"), "mine")?;
    for (arguments, said) in [
        (["new", "auditor", "taken"], "auditor-taken is there already, and nothing is overwritten"),
        (["new", "decider", "my-thing"], "the letters a to z only"),
        (["new", "saga", "my-thing"], "a saga's name has the letters a to z only"),
        (["new", "http", "../away"], "is no name for a http"),
        (["new", "sage", "x"], "possible values: translator, decider, saga, projector, auditor, http"),
    ] {
        let refused = author(&environment, scratch.path(), &arguments)?;
        assert!(refused.stderr.contains(said) || refused.stdout.contains(said), "{arguments:?}: {refused:?}");
    }
    assert_eq!(std::fs::read_to_string(scratch.path().join("auditor-taken"))?, "mine");
    assert_eq!(std::fs::read_dir(scratch.path())?.count(), 1);
    Ok(())
}

#[test]
fn what_cannot_be_built_says_what_to_do() -> Result<()> {
    let environment = Environment::read()?;
    let scratch = tempfile::tempdir()?;
    let nowhere = author(&environment, scratch.path(), &["build"])?;
    assert!(nowhere.stderr.contains("go to the component's folder, or name it"), "{nowhere:?}");

    std::fs::create_dir(scratch.path().join("src"))?;
    std::fs::write(scratch.path().join("src/lib.rs"), "#[unsafe(no_mangle)] pub extern \"C\" fn f() {}")?;
    let manifest = scratch.path().join("Cargo.toml");
    let package = "[package]\nname = \"bare\"\nedition = \"2024\"\n";
    std::fs::write(&manifest, format!("{package}[workspace]\n"))?;
    let library = author(&environment, scratch.path(), &["build"])?;
    assert!(library.stderr.contains("it needs crate-type = [\"cdylib\"] under [lib]"), "{library:?}");

    std::fs::write(&manifest, format!("{package}[lib]\ncrate-type = [\"cdylib\"]\n[workspace]\n"))?;
    let module = author(&environment, scratch.path(), &["build"])?;
    assert!(!module.status.success(), "{module:?}");
    assert!(module.stderr.contains("the component exports nothing"), "{module:?}");

    std::fs::write(scratch.path().join("src/lib.rs"), "pub fn f() -> u8 { \"one\" }")?;
    let mistaken = author(&environment, scratch.path(), &["build"])?;
    assert!(
        mistaken.stderr.contains("mismatched types") && mistaken.stderr.contains("says why above"),
        "{mistaken:?}"
    );
    Ok(())
}

/// Runs the host's program in a folder, where Rust can compile WebAssembly.
fn author(environment: &Environment, folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(&environment.host);
    // Without the time-out of a minute that other programs have: it may compile the standard library.
    let ended = command.args(arguments).current_dir(folder).envs(compiling()?).output()?;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes);
    Ok(Output { status: ended.status, stdout: text(ended.stdout)?, stderr: text(ended.stderr)? })
}

/// Environment of an author's cargo.
fn compiling() -> Result<BTreeMap<String, String>> {
    let said = std::env::var("CLEARFOLD_AUTHORING");
    Ok(serde_json::from_str(&said.context("CLEARFOLD_AUTHORING is not set; run `cargo xtask test`")?)?)
}

/// Checks that a component exports a name with this beginning.
fn exports(file: &Path, beginning: &str) -> Result<()> {
    let mut config = wasmtime::Config::new();
    config.wasm_component_model_async(true);
    let engine = Engine::new(&config)?;
    let component = Component::new(&engine, std::fs::read(file)?)?;
    let found = component.component_type().exports(&engine).any(|(name, _)| name.starts_with(beginning));
    assert!(found, "{} does not export {beginning}", file.display());
    Ok(())
}

/// The project's manifest, with the lines that the example asks to add.
fn manifest_with_the_budget(environment: &Environment) -> Result<String> {
    let example = environment.root.join("examples/budget/spin.toml");
    manifest_with(environment, &std::fs::read_to_string(example).context("the example has no spin.toml")?)
}

/// The project's manifest, with more of one component.
fn manifest_with(environment: &Environment, lines: &str) -> Result<String> {
    let project =
        std::fs::read_to_string(environment.root.join("spin.toml")).context("spin.toml is missing")?;
    let components = format!("source = \"{}/", environment.components.display());
    Ok(format!("{project}\n{lines}").replace("source = \"target/components/", &components))
}

/// Sends a command under a new key, and returns the body of the answer.
async fn send(host: &Host, aggregate: &str, id: &str, kind: &str, payload: &Value) -> Result<Value> {
    let body = json!({
        "aggregate": aggregate, "id": id, "account": ACCOUNT, "type": kind, "schema_version": 1, "payload": payload,
    });
    let key = format!("{aggregate}/{id}/{kind}/{payload}");
    Ok(host.command_to(&key, &body).await?.body)
}
