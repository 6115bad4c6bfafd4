//! Bytes that are refused before they run: no component, too large, of another world, or with imports that are not
//! allowed.

use anyhow::Result;
use clearfold_sandbox::MAX_COMPONENT_BYTES;
use clearfold_tests::Handler;

use crate::contained::contained;

const WORLDS: [&str; 5] = ["translator", "decider", "saga", "projector", "auditor"];

#[test]
fn truncated_bytes_are_refused_wherever_they_end() -> Result<()> {
    contained(|room| {
        let whole = Handler::good("decider").build(&room.environment)?;
        for end in (0..whole.len()).step_by(7) {
            let refused = room.refusal("decider", &whole[..end]);
            // A cut before a custom section, whose number is 0, may leave a valid component: only comments are
            // missing.
            assert!(!refused.is_empty() || whole[end] == 0, "{end} bytes of {} came in", whole.len());
        }
        Ok(())
    })
}

#[test]
fn a_single_changed_byte_never_does_more_than_fail() -> Result<()> {
    contained(|room| {
        let whole = Handler::good("decider").build(&room.environment)?;
        for place in (0..whole.len()).step_by(11) {
            let mut changed = whole.clone();
            changed[place] ^= 0x5a;
            // Some bytes are names or padding, so some of these are accepted. The checks of the frame must hold all
            // the same.
            drop(room.load("decider", &changed));
        }
        Ok(())
    })
}

#[test]
fn a_core_module_is_refused_as_such() -> Result<()> {
    contained(|room| {
        let refused = room.refusal("decider", &wat::parse_str("(module)")?);
        assert!(refused.contains("WebAssembly module"), "{refused}");
        Ok(())
    })
}

#[test]
fn a_huge_file_is_refused_before_it_is_looked_at() -> Result<()> {
    contained(|room| {
        let refused = room.refusal("decider", &vec![0; MAX_COMPONENT_BYTES + 1]);
        assert!(refused.contains("67108865 bytes") && refused.contains("64 MiB"), "{refused}");
        Ok(())
    })
}

#[test]
fn code_that_is_made_to_take_long_is_refused_before_it_is_compiled() -> Result<()> {
    contained(|room| {
        let component = |functions: &str| wat::parse_str(format!("(component (core module {functions}))"));
        let refused = room.refusal("decider", &component(&"(func)".repeat(20_001))?);
        assert!(refused.contains("20,001 functions, which takes too long to compile"), "{refused}");
        let refused = room.refusal("decider", &component(&format!("(func {})", "nop ".repeat(128 << 10)))?);
        assert!(refused.contains("a function of") && refused.contains("128 KiB"), "{refused}");
        // Within the limit it is compiled, and refused for its world.
        let refused = room.refusal("decider", &component(&"(func)".repeat(1_000))?);
        assert!(refused.contains("does not export"), "{refused}");
        Ok(())
    })
}

#[test]
fn a_component_of_another_world_is_refused_by_every_world() -> Result<()> {
    contained(|room| {
        for is in WORLDS {
            let wasm = Handler::good(is).build(&room.environment)?;
            for asked in WORLDS.into_iter().filter(|asked| *asked != is) {
                let refused = room.refusal(asked, &wasm);
                assert!(refused.contains(&format!("it is no {asked}")), "{refused}");
                assert!(refused.contains("clearfold:handlers/"), "{refused}");
            }
        }
        Ok(())
    })
}

#[test]
fn every_import_is_named_in_the_refusal() -> Result<()> {
    const WANTED: [&str; 6] = [
        "wasi:clocks/monotonic-clock@0.2.0",
        "wasi:random/random@0.2.0",
        "wasi:filesystem/types@0.2.0",
        "wasi:sockets/tcp@0.2.0",
        "wasi:http/outgoing-handler@0.2.0",
        "spin:postgres/postgres@3.0.0",
    ];
    let all: String = WANTED.iter().map(|name| format!("(import \"{name}\" (instance))")).collect();
    contained(|room| {
        for world in WORLDS {
            let refused = room.refusal(world, &wat::parse_str(format!("(component {all})"))?);
            for name in WANTED {
                assert!(refused.contains(&format!("`{name}`")), "{world}: {refused}");
            }
            let function = r#"(component (import "log" (func (param "text" string))))"#;
            assert!(room.refusal(world, &wat::parse_str(function)?).contains("`log`"));
        }
        Ok(())
    })
}
