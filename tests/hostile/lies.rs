//! Components that describe themselves wrongly, or return impossible answers.

use anyhow::Result;
use clearfold_sandbox::{Decides as _, Entry};
use clearfold_tests::{Described, Handler};

use crate::contained::{Loaded, contained, observation, turn};

#[test]
fn a_good_handler_of_each_world_is_let_in() -> Result<()> {
    contained(|room| {
        for world in ["translator", "decider", "saga", "projector", "auditor"] {
            let wasm = Handler::good(world).build(&room.environment)?;
            assert_eq!(room.refusal(world, &wasm), "");
        }
        Ok(())
    })
}

#[test]
fn a_lie_in_the_descriptor_is_refused_with_what_is_wrong() -> Result<()> {
    /// World, expected error, and the lie.
    type Lie = (&'static str, &'static str, fn(&mut Described));
    let lies: [Lie; 23] = [
        ("decider", "no name of an aggregate", |described| described.name = "Not A Name"),
        ("decider", "no name of an aggregate", |described| described.name = ""),
        ("decider", "no name of an aggregate", |described| described.name = "a-b"),
        ("decider", "`saga` is reserved", |described| described.name = "saga"),
        ("decider", "takes no commands", |described| described.parts = vec![]),
        ("decider", "stands twice", |described| described.parts = vec!["Do", "Do"]),
        ("decider", "for a name", |described| described.parts = vec![""]),
        ("decider", "schema version 0", |described| described.schema_version = 0),
        ("decider", "schema version 4294967295", |described| described.schema_version = u32::MAX),
        ("decider", "states' version is 0", |described| described.version = 0),
        ("saga", "no name of a saga", |described| described.name = "a-b"),
        ("saga", "`saga` is reserved", |described| described.name = "saga"),
        ("saga", "has no step", |described| described.parts = vec![]),
        ("saga", "stands twice", |described| described.parts = vec!["do", "do"]),
        ("saga", "no name for a step", |described| described.parts = vec!["do_this"]),
        ("saga", "both are at least 1", |described| described.version = 0),
        ("projector", "no name for a projection", |described| described.name = "x; DROP TABLE events"),
        ("projector", "is reserved", |described| described.name = "pg_catalog"),
        ("projector", "versions begin with 1", |described| described.version = 0),
        ("projector", "owns no table", |described| described.parts = vec![]),
        ("projector", "stands twice", |described| described.parts = vec!["t", "t"]),
        ("auditor", "knows no invariant", |described| described.parts = vec![]),
        ("auditor", "no name for a code", |described| described.parts = vec!["A \"code\""]),
    ];
    contained(|room| {
        for (world, said, lie) in lies {
            let mut handler = Handler::good(world);
            lie(&mut handler.described);
            let refused = room.refusal(world, &handler.build(&room.environment)?);
            assert!(refused.contains("`hostile`") && refused.contains(said), "{world}, {said}: {refused}");
        }
        Ok(())
    })
}

#[test]
fn an_entry_that_was_not_named_cannot_have_changed() -> Result<()> {
    // One answer: no state, one changed entry called `other`, one accepted command without events.
    let answer = r#"(data (i32.const 2048)
        "\10\08\00\00\01\00\00\00\00\00\00\00\00\00\00\00"
        "\00\00\00\00\00\00\00\00\30\08\00\00\01\00\00\00\50\08\00\00\01\00\00\00\00\00\00\00\00\00\00\00"
        "\70\08\00\00\05\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00"
        "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00"
        "other")"#;
    contained(|room| {
        let handler = Handler::good("decider").with(answer).doing("decide", "(i32.const 2048)");
        let Loaded::Decider(decider) = room.load("decider", &handler.build(&room.environment)?)? else {
            panic!("a decider");
        };
        let mut asked = turn(b"{}");
        let fault = decider.decide(std::slice::from_ref(&asked)).unwrap_err();
        assert_eq!(fault.cause.code(), "nonsense");
        assert!(fault.to_string().contains("`other`, which it did not name"), "{fault}");
        // The same answer is valid where the entry was named.
        asked.entries.push(Entry { key: "other".into(), value: Some(vec![1]) });
        assert_eq!(decider.decide(&[asked])?.len(), 1);
        Ok(())
    })
}

#[test]
fn a_flow_that_could_not_be_undone_is_nonsense() -> Result<()> {
    contained(|room| {
        let observing = |steps: &[&str]| {
            let mut handler = Handler::good("saga").with(&plans(steps)).doing("observe", "(i32.const 2048)");
            handler.described.parts = vec!["take", "settle", "report"];
            handler
        };
        for (steps, said) in [
            (["settle", "take"].as_slice(), "the compensatable step `take` after a pivot one"),
            (&["report", "settle"], "the pivot step `settle` after a retriable one"),
            (&["settle", "settle"], "a second pivot, `settle`"),
            (&["take", "guess"], "the step `guess`, which it does not describe"),
            (&[], "the flow `a` has no step"),
        ] {
            let cause = room.cause(&observing(steps), "observe")?;
            assert!(cause.code() == "nonsense" && cause.to_string().contains(said), "{steps:?}: {cause}");
        }
        let wasm = observing(&["take", "settle", "report"]).build(&room.environment)?;
        let Loaded::Saga(saga) = room.load("saga", &wasm)? else { panic!("a saga") };
        let observed = saga.observe(&[observation()])?;
        let planned = observed[0].as_ref().map(|observed| observed.flows[0].steps.len());
        assert_eq!(planned, Ok(3));
        Ok(())
    })
}

/// Lays out an answer of `observe` at 2048: for one observation, one flow `a` in the lane `a` with these steps.
fn plans(steps: &[&str]) -> String {
    let number = |number: usize| u32::try_from(number).unwrap();
    let texts_at = 2112 + 16 * number(steps.len());
    let texts = format!("a{}", steps.concat());
    // The list, its one answer without a memory, the flow, and the steps without arguments.
    let mut words = vec![2056, 1, 0, 0, 0, 0, 0, 0, 2088, 1];
    words.extend([texts_at, 1, texts_at, 1, 2112, number(steps.len())]);
    let mut at = texts_at + 1;
    for step in steps {
        words.extend([at, number(step.len()), 0, 0]);
        at += number(step.len());
    }
    let bytes = words.iter().flat_map(|word| word.to_le_bytes());
    let bytes: String = bytes.map(|byte| format!("\\{byte:02x}")).collect();
    format!(r#"(data (i32.const 2048) "{bytes}{texts}")"#)
}

#[test]
fn an_answer_of_the_wrong_length_is_nonsense() -> Result<()> {
    contained(|room| {
        for (world, function) in [
            ("decider", "decide"),
            ("decider", "keys"),
            ("saga", "observe"),
            ("saga", "run"),
            ("saga", "compensate"),
        ] {
            let cause = room.cause(&Handler::good(world), function)?;
            assert_eq!((cause.code(), cause.to_string().as_str()), ("nonsense", "0 answers to 1 questions"));
        }
        Ok(())
    })
}
