//! What is let into the sandbox, and what is not.

use std::sync::Arc;

use anyhow::Result;
use clearfold::runtime::{Auditor, Decider, HandlerEngine, Limits, Projector, RuntimeError, Translator};
use clearfold_tests::{Environment, broken_component};
use wasmtime::Engine;
use wasmtime::component::Component;

const HANDLERS: [(&str, &str); 11] = [
    ("translator-gnosis-pay", "clearfold:handlers/translation@0.1.0"),
    ("decider-account", "clearfold:handlers/decision@0.1.0"),
    ("decider-authorization", "clearfold:handlers/decision@0.1.0"),
    ("decider-card", "clearfold:handlers/decision@0.1.0"),
    ("projector-payments", "clearfold:handlers/projection@0.1.0"),
    ("projector-merchants", "clearfold:handlers/projection@0.1.0"),
    ("projector-disputes", "clearfold:handlers/projection@0.1.0"),
    ("projector-balances", "clearfold:handlers/projection@0.1.0"),
    ("projector-card-usage", "clearfold:handlers/projection@0.1.0"),
    ("projector-settlement", "clearfold:handlers/projection@0.1.0"),
    ("auditor-payments", "clearfold:handlers/audit@0.1.0"),
];

fn engine() -> Result<Arc<HandlerEngine>> {
    Ok(Arc::new(HandlerEngine::new(Limits::default())?))
}

fn wasm(name: &str) -> Result<Vec<u8>> {
    Ok(std::fs::read(Environment::read()?.component(name))?)
}

/// Why a component was refused, with all causes; empty if it was let in.
fn refusal<T>(loaded: Result<T, RuntimeError>) -> String {
    loaded.err().map(|error| clearfold::telemetry::chain(&error)).unwrap_or_default()
}

#[test]
fn the_domain_components_import_nothing_and_export_their_world() -> Result<()> {
    let engine = Engine::default();
    for (name, interface) in HANDLERS {
        let component = Component::new(&engine, wasm(name)?)?;
        let world = component.component_type();
        let imports: Vec<&str> = world.imports(&engine).map(|(name, _)| name).collect();
        let exports: Vec<&str> = world.exports(&engine).map(|(name, _)| name).collect();
        assert_eq!((imports, exports), (vec![], vec![interface]), "{name}");
    }
    Ok(())
}

#[test]
fn the_edge_imports_http_and_its_variables_only() -> Result<()> {
    let mut config = wasmtime::Config::new();
    config.wasm_component_model_async(true);
    let engine = Engine::new(&config)?;
    let component = Component::new(&engine, wasm("edge-payments")?)?;
    let world = component.component_type();
    let imports: Vec<&str> = world.imports(&engine).map(|(name, _)| name).collect();
    assert!(!imports.is_empty());
    for import in imports {
        assert!(import.starts_with("wasi:http/") || import.starts_with("spin:variables/"), "{import}");
    }
    Ok(())
}

#[test]
fn a_component_of_another_world_is_refused_with_the_name_of_what_is_missing() -> Result<()> {
    let engine = engine()?;
    let projector = wasm("projector-payments")?;
    let refused = refusal(Decider::load(&engine, "wrong", &projector));
    assert!(
        refused.contains("`wrong`") && refused.contains("clearfold:handlers/decision@0.1.0"),
        "{refused}"
    );
    let refused = refusal(Translator::load(&engine, "wrong", &projector, Vec::new()));
    assert!(refused.contains("clearfold:handlers/translation@0.1.0"), "{refused}");
    let decider = wasm("decider-authorization")?;
    let refused = refusal(Projector::load(&engine, "wrong", &decider));
    assert!(refused.contains("clearfold:handlers/projection@0.1.0"), "{refused}");
    let refused = refusal(Auditor::load(&engine, "wrong", &decider));
    assert!(refused.contains("clearfold:handlers/audit@0.1.0"), "{refused}");
    Ok(())
}

#[test]
fn a_component_with_a_part_of_its_world_is_refused_with_the_name_of_the_rest() -> Result<()> {
    // The interface is there, but all that it has is `describe`.
    let part = r#"(component
        (core module $m (func (export "f") (result i32) i32.const 0))
        (core instance $i (instantiate $m))
        (func $describe (result u32) (canon lift (core func $i "f")))
        (instance $decision (export "describe" (func $describe)))
        (export "clearfold:handlers/decision@0.1.0" (instance $decision)))"#;
    let refused = refusal(Decider::load(&engine()?, "part", &wat::parse_str(part)?));
    for function in ["initial", "decide", "evolve"] {
        assert!(refused.contains(&format!("decision@0.1.0#{function}")), "{refused}");
    }
    Ok(())
}

#[test]
fn a_component_that_wants_more_than_nothing_is_refused_with_the_name_of_it() -> Result<()> {
    let greedy = r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance)))"#;
    let refused = refusal(Decider::load(&engine()?, "greedy", &wat::parse_str(greedy)?));
    assert!(refused.contains("wasi:clocks/wall-clock@0.2.0"), "{refused}");
    Ok(())
}

#[test]
fn what_is_no_component_is_refused() -> Result<()> {
    let whole = wasm("decider-authorization")?;
    let cases: [&[u8]; 4] = [b"", b"\0asm", b"\0asm\x01\0\0\0", &whole[..whole.len() / 2]];
    for bytes in cases {
        let refused = refusal(Decider::load(&engine()?, "none", bytes));
        assert!(refused.contains("cannot be loaded as a WebAssembly component"), "{refused}");
    }
    Ok(())
}

#[test]
fn a_component_that_never_answers_is_stopped_by_its_fuel_or_by_the_clock() -> Result<()> {
    let looping = broken_component(&Environment::read()?, "decider", "(loop br 0) unreachable")?;
    let starved = Limits { fuel: 1_000_000, ..Limits::default() };
    let late = Limits { fuel: u64::MAX, deadline_ms: 50, ..Limits::default() };
    for (limits, reason) in [(starved, "all fuel consumed"), (late, "interrupt")] {
        let engine = Arc::new(HandlerEngine::new(limits)?);
        let refused = refusal(Decider::load(&engine, "looping", &looping));
        assert!(
            refused.contains("component looping") && refused.contains("failed in `describe`"),
            "{refused}"
        );
        assert!(refused.contains(reason), "{refused}");
    }
    Ok(())
}

#[test]
fn a_component_that_traps_is_a_named_fault() -> Result<()> {
    let trapping = broken_component(&Environment::read()?, "projector", "unreachable")?;
    let refused = refusal(Projector::load(&engine()?, "trapping", &trapping));
    assert!(refused.contains("component trapping") && refused.contains("failed in `describe`"), "{refused}");
    Ok(())
}
