//! The process that compiles: what it makes, what it may take, and what it says of a component that is none.

use std::process::Command;

use anyhow::Result;
use clearfold::runtime::{Bounds, Code, CompileError, Compiler};
use clearfold_tests::Environment;
use wasmtime::Engine;

/// Functions that each keep a compiler busy, and nothing that anybody would call.
fn laborious(functions: usize) -> Result<Vec<u8>> {
    let step = "(local.set 0 (i32.add (i32.mul (local.get 0) (local.get 1)) (i32.load (local.get 0))))\
                (if (local.get 0) (then (local.set 1 (i32.xor (local.get 1) (local.get 0)))))";
    let function = format!("(func (param i32 i32) {})", step.repeat(100));
    Ok(wat::parse_str(format!("(component (core module (memory 1) {}))", function.repeat(functions)))?)
}

fn compile(bounds: Bounds, wasm: &[u8]) -> Result<Result<Vec<u8>, CompileError>> {
    Ok(Compiler::new(&Environment::read()?.host, bounds).compile(Code::Handler, wasm))
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
