//! The process that compiles: its results, its limits, and its errors about bytes that are no component.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clearfold_sandbox::{Bounds, CompileError, CompileTarget, Compiler};
use clearfold_tests::{Environment, eventually};
use wasmtime::Engine;

/// Many functions that each take a compiler long, and that nothing calls.
fn laborious(functions: usize) -> Result<Vec<u8>> {
    let step = "(local.set 0 (i32.add (i32.mul (local.get 0) (local.get 1)) (i32.load (local.get 0))))\
                (if (local.get 0) (then (local.set 1 (i32.xor (local.get 1) (local.get 0)))))";
    let function = format!("(func (param i32 i32) {})", step.repeat(100));
    Ok(wat::parse_str(format!("(component (core module (memory 1) {}))", function.repeat(functions)))?)
}

fn compile(bounds: Bounds, wasm: &[u8]) -> Result<Result<Vec<u8>, CompileError>> {
    Ok(Compiler::new(&Environment::read()?.host, bounds).compile(CompileTarget::Handler, wasm))
}

#[test]
fn it_makes_code_or_says_what_is_wrong_with_the_component() -> Result<()> {
    let code = compile(Bounds::default(), &laborious(1)?)??;
    assert_eq!(Engine::detect_precompiled(&code), Some(wasmtime::Precompiled::Component));
    for wasm in [&b""[..], b"nonsense", &laborious(1)?[..100]] {
        let refused = compile(Bounds::default(), wasm)?.unwrap_err();
        let here = format!("{:#}", Engine::default().precompile_component(wasm).unwrap_err());
        assert!(
            matches!(&refused, CompileError::Refused(why) if *why == here.replace('\n', " ")),
            "{refused}"
        );
    }
    Ok(())
}

#[test]
fn it_ends_when_a_component_takes_more_than_its_bounds() -> Result<()> {
    let wasm = laborious(10_000)?;
    for (bounds, said) in [
        (Bounds { seconds: 1, ..Bounds::default() }, "may take 1 s of processor time and 4096 MiB of memory"),
        (
            Bounds { memory_bytes: 64 << 20, ..Bounds::default() },
            "may take 120 s of processor time and 64 MiB of memory",
        ),
    ] {
        let ended = compile(bounds, &wasm)?.unwrap_err();
        assert!(matches!(ended, CompileError::Unfinished { .. }), "{ended}");
        assert!(ended.to_string().contains(said), "{ended}");
    }
    Ok(())
}

#[test]
fn it_says_how_it_is_asked() -> Result<()> {
    let (size, unknown) = ("1073741824", ["cook", "1", "1073741824", "patient"]);
    for arguments in
        [&[][..], &["handler"], &["handler", "one", "1", "patient"], &["edge", "1", size, "1"], &unknown]
    {
        let asked =
            Command::new(Environment::read()?.host).arg("compile-component").args(arguments).output()?;
        let said = String::from_utf8(asked.stderr)?;
        assert!(
            !asked.status.success()
                && said.contains("<handler | edge> <seconds> <bytes> <patient | hurried>"),
            "{said}"
        );
    }
    Ok(())
}

/// A compilation of half a minute is ended when the process that asked for it is gone, however it ended.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn it_ends_with_its_parent() -> Result<()> {
    let component = tempfile::NamedTempFile::new()?;
    std::fs::write(component.path(), laborious(20_000)?)?;
    let asks = "\"$0\" compile-component handler 120 4294967296 patient < \"$1\" > /dev/null & echo $!; wait";
    let mut parent = Command::new("sh")
        .args(["-c", asks])
        .arg(Environment::read()?.host)
        .arg(component.path())
        .stdout(Stdio::piped())
        .spawn()?;
    let said = BufReader::new(parent.stdout.take().context("it was piped")?).lines().next();
    let id = said.context("it says which process it started")??;
    let threads = || std::fs::read_dir(format!("/proc/{id}/task")).map_or(0, Iterator::count);
    eventually("the compiler is at work", async || Ok((threads() > 1).then_some(()))).await?;
    let began = Instant::now();
    parent.kill()?;
    parent.wait()?;
    // There may be no parent left to collect its exit status; then its name stays, without threads.
    eventually("the compiler ends", async || Ok((threads() <= 1).then_some(()))).await?;
    assert!(began.elapsed() < Duration::from_secs(5), "it ended when it was done: {:?}", began.elapsed());
    Ok(())
}
