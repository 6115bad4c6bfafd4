//! Tests that the specifications are complete: every row of the model's tables, every decline reason, every rejection
//! code and every event has a case.

#![expect(clippy::unwrap_used, reason = "a test fails loudly, in its helpers too")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use clearfold_domain::account::Account;
use clearfold_domain::authorization::Authorization;
use clearfold_domain::card::Card;
use clearfold_domain::policy::DeclineReason;
use clearfold_kernel::{Decider, Message};

/// Rows of the model's table of edge cases.
const EDGE_CASES: [&str; 12] = [
    "capture above the authorization",
    "several captures",
    "late presentment",
    "duplicate clearing",
    "refund without original",
    "reversal above what remains, or unmatched",
    "expiry",
    "reorganized funding",
    "money",
    "rounding",
    "clocks",
    "hot account",
];

/// Cases named after bugs that well-known processors have had.
const REGRESSIONS: [&str; 4] = [
    "two concurrent refunds never exceed what was captured",
    "holds always count against the available balance",
    "a rejected hold cannot be captured",
    "an increment is added once",
];

/// Returns the text of all specifications of a decider.
fn specifications(aggregate: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("specs");
    let texts =
        std::fs::read_dir(folder).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    texts.filter(|text| text.contains(&format!("\ndecider: {aggregate}\n"))).collect()
}

/// Returns the values of a YAML member, in all its occurrences.
fn values<'a>(text: &'a str, member: &str) -> BTreeSet<&'a str> {
    let lines =
        text.lines().map(|line| line.split(" # ").next().unwrap_or(line).trim().trim_start_matches("- "));
    lines.filter_map(|line| line.strip_prefix(member)).map(|value| value.trim().trim_matches('"')).collect()
}

/// Returns the codes in the tables of a module's header.
fn documented(module: &str) -> BTreeSet<&str> {
    let cells = module.lines().filter_map(|line| line.strip_prefix("//! | `")?.split(" | ").next());
    cells.flat_map(|cell| cell.split(", ")).map(|code| code.trim_matches('`')).collect()
}

#[test]
fn every_row_of_the_model_has_a_case() {
    let all = ["authorization", "card", "account"].map(specifications).concat();
    let (rows, cases) = (values(&all, "row:"), values(&all, "case:"));
    let missing: Vec<&str> = EDGE_CASES.into_iter().filter(|row| !rows.contains(row)).collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
    let missing: Vec<&str> = REGRESSIONS.into_iter().filter(|case| !cases.contains(case)).collect();
    assert!(missing.is_empty(), "no case named {missing:?}");
    for reason in DeclineReason::ALL {
        assert!(
            rows.contains(format!("decline: {reason}").as_str()),
            "no case for the decline reason {reason}"
        );
    }
}

#[test]
fn every_code_has_a_case_and_every_case_a_documented_code() {
    let checks = include_str!("../src/checks.rs");
    let mut of_all = documented(checks);
    // The kernel rejects what cannot be decoded.
    of_all.extend(["unknown_type", "unknown_schema_version", "malformed_payload", "invalid_id"]);
    of_all.extend(["amount_negative", "amount_too_precise", "amount_too_large"]);
    let mut seen_anywhere = BTreeSet::new();
    for (aggregate, module) in [
        ("authorization", include_str!("../src/authorization/mod.rs")),
        ("card", include_str!("../src/card/mod.rs")),
        ("account", include_str!("../src/account/mod.rs")),
    ] {
        let text = specifications(aggregate);
        let (own, seen) = (documented(module), values(&text, "rejected:"));
        let missing: Vec<_> = own.iter().filter(|code| !seen.contains(*code)).collect();
        assert!(missing.is_empty(), "{aggregate}: no case is refused with {missing:?}");
        let unknown: Vec<_> =
            seen.iter().filter(|code| !own.contains(*code) && !of_all.contains(*code)).collect();
        assert!(unknown.is_empty(), "{aggregate}: {unknown:?} are not documented");
        seen_anywhere.extend(seen.into_iter().map(str::to_owned));
    }
    let missing: Vec<_> = of_all.iter().filter(|code| !seen_anywhere.contains(**code)).collect();
    assert!(missing.is_empty(), "no case is refused with {missing:?}");
}

#[test]
fn every_command_and_every_event_has_a_case() {
    said::<Authorization>();
    said::<Card>();
    said::<Account>();
}

fn said<D: Decider>() {
    let text = specifications(D::AGGREGATE);
    for message in D::Command::TYPES.iter().chain(D::Event::TYPES) {
        let name = message.name;
        let newest = format!("{name} v{}:", message.schema_version);
        let is_said =
            text.contains(&newest) || (message.schema_version == 1 && text.contains(&format!("{name}:")));
        assert!(is_said, "{}: no case speaks of {name} v{}", D::AGGREGATE, message.schema_version);
    }
}
