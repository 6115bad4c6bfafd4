//! `clearfold spec run`: the domain's specifications against the built components, as any author runs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use clearfold_tests::{Environment, Output};
use serde_json::Value;

const SPECIFICATIONS: [(&str, &str); 56] = [
    // One of each world first: the test of differences takes these.
    ("decider-authorization", "authorization.yaml"),
    ("translator-gnosis-pay", "gnosis_pay.yaml"),
    ("projector-payments", "payments.yaml"),
    ("projector-payments", "payments_flags.yaml"),
    ("projector-payments", "payments_links.yaml"),
    ("projector-payments", "payments_reversals.yaml"),
    ("projector-payments", "payments_clearing_links.yaml"),
    ("decider-authorization", "authorization_clearings.yaml"),
    ("decider-authorization", "authorization_funding.yaml"),
    ("decider-authorization", "authorization_legs.yaml"),
    ("decider-authorization", "authorization_links.yaml"),
    ("decider-authorization", "authorization_clearing_links.yaml"),
    ("decider-authorization", "authorization_disputes.yaml"),
    ("decider-authorization", "authorization_increments.yaml"),
    ("decider-authorization", "authorization_partial.yaml"),
    ("decider-authorization", "authorization_ambiguous.yaml"),
    ("decider-authorization", "authorization_beside.yaml"),
    ("decider-authorization", "authorization_overtaken.yaml"),
    ("decider-authorization", "authorization_suspense.yaml"),
    ("decider-authorization", "authorization_amounts.yaml"),
    ("decider-authorization", "authorization_tolerances.yaml"),
    ("decider-authorization", "reversals_of_clearings.yaml"),
    ("decider-authorization", "reversals_of_refunds.yaml"),
    ("decider-authorization", "authorization_details.yaml"),
    ("decider-authorization", "authorization_single.yaml"),
    ("decider-authorization", "authorization_dispute_money.yaml"),
    ("decider-authorization", "authorization_fees.yaml"),
    ("decider-account", "account.yaml"),
    ("decider-account", "account_reversals.yaml"),
    ("decider-account", "account_ledger.yaml"),
    ("decider-account", "account_opening.yaml"),
    ("decider-account", "account_refunds.yaml"),
    ("decider-account", "account_returns.yaml"),
    ("decider-account", "account_spends.yaml"),
    ("decider-account", "account_disputes.yaml"),
    ("decider-account", "account_numbers.yaml"),
    ("decider-account", "account_matches.yaml"),
    ("decider-account", "account_clearing_links.yaml"),
    ("decider-card", "card.yaml"),
    ("decider-card", "card_spend.yaml"),
    ("decider-card", "card_limits.yaml"),
    ("decider-card", "card_checks.yaml"),
    ("decider-card", "card_types.yaml"),
    ("decider-card", "card_reservations.yaml"),
    ("projector-merchants", "merchants.yaml"),
    ("projector-disputes", "disputes.yaml"),
    ("projector-disputes", "disputes_money.yaml"),
    ("projector-balances", "balances.yaml"),
    ("projector-card-usage", "card_usage.yaml"),
    ("projector-settlement", "settlement.yaml"),
    ("projector-settlement", "settlement_reversals.yaml"),
    ("projector-settlement", "settlement_disputes.yaml"),
    ("projector-settlement", "settlement_fees.yaml"),
    ("projector-settlement", "settlement_clearing_links.yaml"),
    ("translator-gnosis-pay", "gnosis_pay_movements.yaml"),
    ("projector-sagas", "sagas.yaml"),
];

fn folder(environment: &Environment) -> PathBuf {
    environment.root.join("components/lib/domain/specs")
}

fn run(component: &str, arguments: &[&Path]) -> Result<Output> {
    let environment = Environment::read()?;
    let mut command = Command::new(&environment.host);
    command.args(["spec", "run"]).arg(environment.component(component)).args(arguments);
    Output::of(&mut command)
}

#[test]
fn every_specification_holds_for_its_built_component() -> Result<()> {
    let folder = folder(&Environment::read()?);
    for (component, file) in SPECIFICATIONS {
        let file = folder.join(file);
        let output = run(component, &[&file])?;
        assert!(output.status.success(), "{output:?}");
        let cases = std::fs::read_to_string(&file)?.matches("\n  - case: ").count();
        let passed = output.stdout.lines().filter(|line| line.starts_with("  ok ")).count();
        assert_eq!(passed, cases, "{output:?}");
        assert!(output.stdout.ends_with(&format!("\n{cases} passed, 0 failed\n")), "{output:?}");
    }
    // The list above contains all files of the folder.
    assert_eq!(std::fs::read_dir(folder)?.count(), SPECIFICATIONS.len());
    Ok(())
}

#[test]
fn a_wrong_specification_fails_with_a_readable_difference() -> Result<()> {
    let folder = folder(&Environment::read()?);
    let scratch = tempfile::tempdir()?;
    let wrong = [
        ("rejected: ", "expected rejected: not_"),
        ("code: ", "expected the refusals [\"not_"),
        ("status: ", ".status: expected \"not_"),
    ];
    for ((component, file), (right, said)) in SPECIFICATIONS.into_iter().zip(wrong) {
        let text = std::fs::read_to_string(folder.join(file))?;
        let wrong_file = scratch.path().join(file);
        std::fs::write(&wrong_file, text.replacen(right, &format!("{right}not_"), 1))?;
        let output = run(component, &[&wrong_file])?;
        assert!(!output.status.success(), "{output:?}");
        assert!(output.stdout.contains(said) && output.stdout.contains(" passed, 1 failed\n"), "{output:?}");
        assert_eq!(output.stdout.matches("  FAILED  ").count(), 1, "{output:?}");
        assert!(output.stderr.contains(" fails 1 of "), "{output:?}");
    }
    Ok(())
}

#[test]
fn what_cannot_be_run_is_one_line_with_the_remedy() -> Result<()> {
    let folder = folder(&Environment::read()?);
    let scratch = tempfile::tempdir()?;
    let misspelt = scratch.path().join("misspelt.yaml");
    let text = std::fs::read_to_string(folder.join("authorization.yaml"))?;
    std::fs::write(&misspelt, text.replacen("\ncases:", "\ncsaes:", 1))?;
    let authorization = folder.join("authorization.yaml");
    for (component, file, said) in [
        ("decider-authorization", misspelt.as_path(), "misspelt.yaml is no specification: line "),
        ("decider-authorization", misspelt.as_path(), "unknown field `csaes`"),
        (
            "decider-authorization",
            Path::new("none.yaml"),
            "the specification none.yaml cannot be read; correct the path",
        ),
        ("none", &authorization, "none.wasm cannot be read; build it with `cargo xtask build`"),
        ("projector-payments", &authorization, "it does not export `clearfold:handlers/decision@0.1.0`"),
    ] {
        let output = run(component, &[file])?;
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        assert!(output.stderr.starts_with("clearfold: ") && output.stderr.lines().count() == 1, "{output:?}");
        assert!(output.stderr.contains(said), "{output:?}");
    }
    Ok(())
}

#[test]
fn machines_get_a_line_of_json_for_each_case() -> Result<()> {
    let file = folder(&Environment::read()?).join("authorization_clearings.yaml");
    let output = run("decider-authorization", &[Path::new("--json"), &file])?;
    let cases = output.stdout.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    assert!(cases.iter().all(|case| case["passed"] == true && case["differences"] == serde_json::json!([])));
    assert!(cases.iter().any(|case| case["row"] == "several captures"), "{output:?}");
    Ok(())
}
