//! Admission to the sandbox: accepted and refused components.

use std::sync::Arc;

use anyhow::Result;
use clearfold_base::digest::Digest;
use clearfold_sandbox::{
    Auditor, ComponentKind, Decider, Decides, HandlerEngine, Limits, Projector, RuntimeError, Saga,
    Translator, inspect,
};
use clearfold_tests::{Environment, Handler, broken_component};
use wasmtime::Engine;
use wasmtime::component::Component;

const HANDLERS: [(&str, &str); 13] = [
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
    ("projector-sagas", "clearfold:handlers/projection@0.1.0"),
    ("auditor-payments", "clearfold:handlers/audit@0.1.0"),
    ("saga-authorization", "clearfold:handlers/orchestration@0.1.0"),
];

fn engine() -> Result<Arc<HandlerEngine>> {
    Ok(Arc::new(HandlerEngine::new(Limits::of)?))
}

fn wasm(name: &str) -> Result<Vec<u8>> {
    Ok(std::fs::read(Environment::read()?.component(name))?)
}

/// Error with which a component was refused, with all causes; empty if it was accepted.
fn refusal<T>(loaded: Result<T, RuntimeError>) -> String {
    loaded.err().map(|error| clearfold_base::telemetry::with_causes(&error)).unwrap_or_default()
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
fn an_inspection_says_of_every_component_what_it_is() -> Result<()> {
    let engine = engine()?;
    for (name, interface) in HANDLERS {
        let wasm = wasm(name)?;
        let found = inspect(&engine, name, &wasm)?;
        let (kind, own_name) = name.split_once('-').unwrap();
        assert_eq!(found.kind, kind.parse::<ComponentKind>()?);
        assert_eq!((found.world.as_str(), found.wit_version.as_str()), (kind, "0.1.0"));
        assert_eq!((found.digest, found.size_bytes), (Digest::of(&wasm), wasm.len()));
        assert_eq!((found.imports, found.exports), (vec![], vec![interface.to_owned()]));
        let own_name = own_name.replace('-', "_");
        assert_eq!(found.name, (found.kind != ComponentKind::Translator).then_some(own_name), "{name}");
        assert!(!found.about.is_empty());
    }
    let edge = inspect(&engine, "edge-payments", &wasm("edge-payments")?)?;
    assert_eq!(
        (edge.kind, edge.wit_version.as_str(), edge.name.as_ref()),
        (ComponentKind::Http, "0.3.0", None)
    );
    assert!(edge.imports.iter().any(|import| import.starts_with("wasi:http/types@")), "{:?}", edge.imports);
    Ok(())
}

#[test]
fn a_component_of_another_version_of_its_world_is_refused_with_both_versions() -> Result<()> {
    let engine = engine()?;
    // Both versions have the same length, so the names can be changed in place.
    let mut newer = wasm("decider-card")?;
    let places: Vec<usize> =
        (0..newer.len() - 6).filter(|place| newer[*place..].starts_with(b"@0.1.0")).collect();
    for place in places {
        newer[place + 3] = b'2';
    }
    let refused = refusal(inspect(&engine, "newer", &newer));
    assert!(refused.contains("built against clearfold:handlers@0.2.0, this host runs 0.1.0"), "{refused}");
    let refused = refusal(Decider::load(&engine, "newer", &newer));
    assert!(refused.contains("built against clearfold:handlers/decision@0.2.0"), "{refused}");
    Ok(())
}

#[test]
fn an_inspection_refuses_what_no_world_admits() -> Result<()> {
    let engine = engine()?;
    let core = refusal(inspect(&engine, "core", &wat::parse_str("(module)")?));
    assert!(core.contains("`core`") && core.contains("core module"), "{core}");
    let empty = refusal(inspect(&engine, "empty", &wat::parse_str("(component)")?));
    assert!(empty.contains("it exports nothing, which is no world of this host"), "{empty}");
    let greedy = r#"(component (import "wasi:sockets/tcp@0.2.0" (instance $i))
        (export "wasi:http/handler@0.3.0" (instance $i)))"#;
    let greedy = refusal(inspect(&engine, "greedy", &wat::parse_str(greedy)?));
    assert!(greedy.contains("wasi:sockets/tcp@0.2.0, which an edge component may not"), "{greedy}");
    for bytes in [&b""[..], b"\0asm", &wasm("decider-card")?[..1000]] {
        let refused = refusal(inspect(&engine, "cut", bytes));
        assert!(refused.contains("cannot be loaded as a WebAssembly component"), "{refused}");
    }
    Ok(())
}

#[test]
fn the_edge_imports_http_its_variables_and_the_time_only() -> Result<()> {
    const ALLOWED: [&str; 3] = ["wasi:http/", "spin:variables/", "wasi:clocks/"];
    let mut config = wasmtime::Config::new();
    config.wasm_component_model_async(true);
    let engine = Engine::new(&config)?;
    for name in ["edge-network", "edge-payments", "edge-provider"] {
        let component = Component::new(&engine, wasm(name)?)?;
        let world = component.component_type();
        let imports: Vec<&str> = world.imports(&engine).map(|(name, _)| name).collect();
        assert!(!imports.is_empty());
        for import in imports {
            assert!(ALLOWED.iter().any(|allowed| import.starts_with(allowed)), "{name}: {import}");
        }
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
    let refused = refusal(Saga::load(&engine, "wrong", &decider));
    assert!(refused.contains("clearfold:handlers/orchestration@0.1.0"), "{refused}");
    let refused = refusal(Auditor::load(&engine, "wrong", &decider));
    assert!(refused.contains("clearfold:handlers/audit@0.1.0"), "{refused}");
    Ok(())
}

#[test]
fn a_component_with_a_part_of_its_world_is_refused_with_the_name_of_the_rest() -> Result<()> {
    // The interface is there, but it contains only `describe`.
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
    let starved: fn(ComponentKind) -> Limits = |kind| Limits { fuel: 1_000_000, ..Limits::of(kind) };
    let late: fn(ComponentKind) -> Limits =
        |kind| Limits { fuel: u64::MAX, deadline_ms: 50, ..Limits::of(kind) };
    let reasons = ["it used up its fuel of 1,000,000 units", "it did not answer within 50 ms"];
    for (limits, reason) in [starved, late].into_iter().zip(reasons) {
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

#[test]
fn a_component_as_large_as_other_languages_make_them_fits() -> Result<()> {
    let mut large = Handler::good("decider").with(&"(table 60000 funcref)".repeat(8));
    large.memory_pages = 1_600;
    let wasm = large.build(&Environment::read()?)?;
    let decider = Decider::load(&engine()?, "large", &wasm)?;
    assert_eq!(decider.decide(&[])?.len(), 0);
    Ok(())
}
