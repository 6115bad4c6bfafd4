//! Components that never end, take all memory, or trap: each costs its own call and nothing else.

use anyhow::Result;
use clearfold_sandbox::{Decides as _, Excess, FaultCause};
use clearfold_tests::Handler;

use crate::contained::{contained, tight, turn};

const WORLDS: [&str; 5] = ["translator", "decider", "saga", "projector", "auditor"];
const LOOP: &str = "(loop $again (br $again)) unreachable";
/// Takes memory until there is none.
const MEMORY_BOMB: &str = "(loop $again (drop (memory.grow (i32.const 16))) (br $again)) unreachable";

#[test]
fn a_trap_in_any_function_of_any_world_is_a_fault_of_that_call() -> Result<()> {
    contained(|room| {
        for world in WORLDS {
            for function in Handler::functions(world) {
                let cause = room.cause(&Handler::good(world).doing(function, "unreachable"), function)?;
                let FaultCause::Trapped { ref reason, .. } = cause else {
                    panic!("{world} {function}: {cause}")
                };
                assert!(reason.contains("`unreachable`"), "{world} {function}: {reason}");
                assert_eq!(cause.code(), "trapped");
            }
        }
        Ok(())
    })
}

#[test]
fn a_loop_without_end_in_any_function_of_any_world_uses_up_its_fuel() -> Result<()> {
    contained(|room| {
        for world in WORLDS {
            for function in Handler::functions(world) {
                let cause = room.cause(&Handler::good(world).doing(function, LOOP), function)?;
                assert_eq!(cause, FaultCause::FuelExhausted { limit: 200_000_000 }, "{world} {function}");
            }
        }
        Ok(())
    })
}

#[test]
fn a_loop_before_the_first_call_is_a_fault_of_it() -> Result<()> {
    contained(|room| {
        let looping = "(func $start (loop $again (br $again))) (start $start)";
        let cause = room.cause(&Handler::good("decider").with(looping), "describe")?;
        assert_eq!(cause.code(), "fuel_exhausted");
        let trapping = "(func $start unreachable) (start $start)";
        let cause = room.cause(&Handler::good("decider").with(trapping), "describe")?;
        assert_eq!(cause.code(), "trapped");
        Ok(())
    })
}

#[test]
fn deep_recursion_overflows_the_sandboxs_stack_and_not_the_hosts() -> Result<()> {
    contained(|room| {
        let deep = "(func $deep (param i64) (result i64) (i64.add (i64.const 1) (call $deep (local.get 0))))";
        let body = "(drop (call $deep (i64.const 1))) unreachable";
        let cause = room.cause(&Handler::good("decider").with(deep).doing("decide", body), "decide")?;
        assert_eq!(cause, FaultCause::StackOverflow { limit_bytes: 512 << 10 });
        Ok(())
    })
}

#[test]
fn a_memory_bomb_gets_the_memory_of_its_limit_and_no_more() -> Result<()> {
    contained(|room| {
        for world in WORLDS {
            let function = *Handler::functions(world).last().unwrap();
            let cause = room.cause(&Handler::good(world).doing(function, MEMORY_BOMB), function)?;
            let FaultCause::MemoryExhausted { wanted_bytes, limit_bytes } = cause else { panic!("{cause}") };
            assert_eq!(limit_bytes, 32 << 20);
            assert!(wanted_bytes > limit_bytes, "{wanted_bytes}");
        }
        // All at once, and all of it written to.
        let greedy = "(drop (memory.grow (i32.const 65000))) unreachable";
        let cause = room.cause(&Handler::good("decider").doing("decide", greedy), "decide")?;
        assert_eq!(cause.code(), "memory_exhausted");
        let filling = "(drop (memory.grow (i32.const 500)))
            (memory.fill (i32.const 0) (i32.const 1) (i32.const 32768000)) unreachable";
        let cause = room.cause(&Handler::good("decider").doing("decide", filling), "decide")?;
        assert_eq!(cause.code(), "trapped");
        Ok(())
    })
}

#[test]
fn a_memory_that_is_too_large_from_the_beginning_is_refused() -> Result<()> {
    contained(|room| {
        let mut large = Handler::good("decider");
        large.memory_pages = 600;
        let cause = room.cause(&large, "describe");
        let said = cause.map_or_else(|error| format!("{error:#}"), |cause| cause.to_string());
        assert!(said.contains("memory") && said.contains("limit"), "{said}");
        Ok(())
    })
}

#[test]
fn a_table_bomb_is_stopped_at_its_limit() -> Result<()> {
    contained(|room| {
        let bomb =
            "(loop $again (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $again)) unreachable";
        let handler = Handler::good("decider").with("(table $t 1 funcref)").doing("decide", bomb);
        let cause = room.cause(&handler, "decide")?;
        let FaultCause::TableExhausted { limit_elements, .. } = cause else { panic!("{cause}") };
        assert_eq!(limit_elements, 65_536);
        let large = Handler::good("decider").with("(table $t 100000 funcref)");
        let refused = room.refusal("decider", &large.build(&room.environment)?);
        assert!(refused.contains("table") && refused.contains("100000"), "{refused}");
        let many = Handler::good("decider").with(&"(table 1 funcref)".repeat(65));
        assert!(room.refusal("decider", &many.build(&room.environment)?).contains("tables"));
        Ok(())
    })
}

#[test]
fn one_huge_payload_is_not_even_read() -> Result<()> {
    contained(|room| {
        let huge = "(drop (memory.grow (i32.const 400)))
            (i32.store (i32.const 512) (i32.const 65536)) (i32.store (i32.const 516) (i32.const 20000000))
            (i32.const 512)";
        let cause = room.cause(&Handler::good("decider").doing("initial", huge), "initial")?;
        assert_eq!(cause, FaultCause::OutputTooLarge(Excess::Bytes { limit: 8 << 20 }));
        assert_eq!(cause.code(), "output_too_large");
        Ok(())
    })
}

#[test]
fn an_answer_that_is_longer_than_its_own_memory_is_not_read() -> Result<()> {
    contained(|room| {
        let outside = "(i32.store (i32.const 512) (i32.const 8)) (i32.store (i32.const 516) (i32.const -16))
            (i32.const 512)";
        let cause = room.cause(&Handler::good("decider").doing("initial", outside), "initial")?;
        assert!(matches!(cause.code(), "nonsense" | "output_too_large"), "{cause}");
        let elsewhere = "(i32.const -4)";
        let cause = room.cause(&Handler::good("decider").doing("initial", elsewhere), "initial")?;
        assert_eq!(cause.code(), "nonsense", "{cause}");
        Ok(())
    })
}

#[test]
fn an_answer_of_too_many_items_goes_nowhere() -> Result<()> {
    contained(|room| {
        // Lists that all lie at the same place: little memory for the component, much for the host that reads them.
        let lists = |outer: u32| {
            format!(
                "(drop (memory.grow (i32.const 100)))
                (i32.store (i32.const 512) (i32.const 65536)) (i32.store (i32.const 516) (i32.const {outer}))
                (i32.const 512)"
            )
        };
        // Empty lists of keys, which take 24 bytes each in the host.
        let cause = room.cause(&Handler::good("decider").doing("keys", lists(120_000)), "keys")?;
        assert_eq!(cause, FaultCause::OutputTooLarge(Excess::Items { items: 120_000, limit: 100_000 }));
        let cause = room.cause(&Handler::good("decider").doing("keys", lists(800_000)), "keys")?;
        assert_eq!(cause, FaultCause::OutputTooLarge(Excess::Bytes { limit: 8 << 20 }));
        // A thousand lists, each of the same thousand keys.
        let nested = "(drop (memory.grow (i32.const 100)))
            (loop $fill
                (i32.store (i32.add (i32.const 65536) (i32.mul (global.get $n) (i32.const 8))) (i32.const 131072))
                (i32.store (i32.add (i32.const 65540) (i32.mul (global.get $n) (i32.const 8))) (i32.const 1000))
                (global.set $n (i32.add (global.get $n) (i32.const 1)))
                (br_if $fill (i32.lt_u (global.get $n) (i32.const 1000))))
            (i32.store (i32.const 512) (i32.const 65536)) (i32.store (i32.const 516) (i32.const 1000))
            (i32.const 512)";
        let handler =
            Handler::good("decider").with("(global $n (mut i32) (i32.const 0))").doing("keys", nested);
        let cause = room.cause(&handler, "keys")?;
        assert_eq!(cause, FaultCause::OutputTooLarge(Excess::Bytes { limit: 8 << 20 }));
        Ok(())
    })
}

#[test]
fn an_answer_that_is_no_text_is_nonsense() -> Result<()> {
    contained(|room| {
        // Error whose text is not UTF-8.
        let garbled = "(i32.store (i32.const 512) (i32.const 1)) (i32.store (i32.const 516) (i32.const 600))
            (i32.store (i32.const 520) (i32.const 4)) (i32.store (i32.const 600) (i32.const -1)) (i32.const 512)";
        for (world, function) in [("auditor", "audit"), ("projector", "keys")] {
            let handler = Handler::good(world).doing(function, garbled);
            let cause = room.cause(&handler, function)?;
            assert_eq!(cause.code(), "nonsense", "{world}: {cause}");
            assert!(cause.to_string().contains("utf-8"), "{world}: {cause}");
        }
        Ok(())
    })
}

#[test]
fn a_real_decider_that_panics_names_where() -> Result<()> {
    contained(|room| {
        let wasm = std::fs::read(room.environment.component("decider-authorization"))?;
        let decider = clearfold_sandbox::Decider::load(&room.engine, "decider-authorization", &wasm)?;
        let fault = decider.decide(&[turn(b"no state of its own")]).unwrap_err();
        let FaultCause::Trapped { within, .. } = &fault.cause else { panic!("{fault}") };
        assert!(within.iter().any(|name| name.contains("decide")), "{within:?}");
        let said = fault.to_string();
        assert!(
            said.contains("component decider-authorization (") && said.contains("failed in `decide`"),
            "{said}"
        );
        let fuel = tight(clearfold_sandbox::ComponentKind::Decider).fuel;
        let (_, used) = decider.decide_counted(&[turn(decider.initial())])?;
        assert!((10_000..fuel / 100).contains(&used), "{used} units");
        Ok(())
    })
}

#[test]
fn a_payload_that_is_nested_as_deep_as_json_may_be_does_not_overflow_a_components_own_stack() -> Result<()> {
    const COMMANDS: [&str; 6] = [
        "RequestAuthorization",
        "RecordSwipe",
        "RecordAdvice",
        "PresentClearing",
        "ForcePost",
        "RecordRefund",
    ];
    contained(|room| {
        let wasm = std::fs::read(room.environment.component("decider-authorization"))?;
        let decider = clearfold_sandbox::Decider::load(&room.engine, "decider-authorization", &wasm)?;
        for command in COMMANDS {
            for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
                for depth in [40, 60, 125, 127, 128, 2_000] {
                    let mut turn = turn(decider.initial());
                    let message = &mut turn.commands[0].message;
                    message.type_ = command.to_owned();
                    let mut payload = String::from_utf8(message.payload.clone())?;
                    let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                    payload.insert_str(1, &format!("\"unknown\":{nested},"));
                    message.payload = payload.into_bytes();
                    let decided = decider.decide(&[turn]);
                    assert!(decided.is_ok(), "{command} {open} {depth}: {}", decided.unwrap_err());
                }
            }
        }
        Ok(())
    })
}
