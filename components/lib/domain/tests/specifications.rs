//! Runs the specifications of `specs/` against the domain's functions. `tests/it/spec.rs` runs the same files against
//! the built components.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

use clearfold_domain::account::Account;
use clearfold_domain::authorization::Authorization;
use clearfold_domain::balances::Balances;
use clearfold_domain::card::Card;
use clearfold_domain::card_usage::CardUsage;
use clearfold_domain::disputes::Disputes;
use clearfold_domain::gnosis_pay::GnosisPay;
use clearfold_domain::merchants::Merchants;
use clearfold_domain::payments::Payments;
use clearfold_domain::sagas::Sagas;
use clearfold_domain::settlement::Settlement;
use clearfold_kernel::{Decider, Projector, Translator};
use clearfold_spec::{NativeDecider, NativeProjector, NativeTranslator, Specification, Verdict};

#[test]
fn account() {
    decider::<Account>(include_str!("../specs/account.yaml"));
    decider::<Account>(include_str!("../specs/account_reversals.yaml"));
    decider::<Account>(include_str!("../specs/account_ledger.yaml"));
    decider::<Account>(include_str!("../specs/account_opening.yaml"));
    decider::<Account>(include_str!("../specs/account_refunds.yaml"));
    decider::<Account>(include_str!("../specs/account_returns.yaml"));
    decider::<Account>(include_str!("../specs/account_spends.yaml"));
    decider::<Account>(include_str!("../specs/account_disputes.yaml"));
    decider::<Account>(include_str!("../specs/account_numbers.yaml"));
    decider::<Account>(include_str!("../specs/account_matches.yaml"));
    decider::<Account>(include_str!("../specs/account_clearing_links.yaml"));
}

#[test]
fn authorization() {
    decider::<Authorization>(include_str!("../specs/authorization.yaml"));
    decider::<Authorization>(include_str!("../specs/authorization_increments.yaml"));
    decider::<Authorization>(include_str!("../specs/authorization_clearings.yaml"));
    decider::<Authorization>(include_str!("../specs/authorization_funding.yaml"));
    decider::<Authorization>(include_str!("../specs/authorization_legs.yaml"));
    decider::<Authorization>(include_str!("../specs/authorization_links.yaml"));
    decider::<Authorization>(include_str!("../specs/authorization_disputes.yaml"));
    decider::<Authorization>(include_str!("../specs/authorization_partial.yaml"));
    decider::<Authorization>(include_str!("../specs/authorization_suspense.yaml"));
    decider::<Authorization>(include_str!("../specs/authorization_amounts.yaml"));
    decider::<Authorization>(include_str!("../specs/authorization_tolerances.yaml"));
    decider::<Authorization>(include_str!("../specs/reversals_of_clearings.yaml"));
    decider::<Authorization>(include_str!("../specs/reversals_of_refunds.yaml"));
    decider::<Authorization>(include_str!("../specs/authorization_details.yaml"));
    decider::<Authorization>(include_str!("../specs/authorization_single.yaml"));
    decider::<Authorization>(include_str!("../specs/authorization_dispute_money.yaml"));
    decider::<Authorization>(include_str!("../specs/authorization_ambiguous.yaml"));
    decider::<Authorization>(include_str!("../specs/authorization_beside.yaml"));
    decider::<Authorization>(include_str!("../specs/authorization_overtaken.yaml"));
    decider::<Authorization>(include_str!("../specs/authorization_fees.yaml"));
    decider::<Authorization>(include_str!("../specs/authorization_clearing_links.yaml"));
}

#[test]
fn card() {
    decider::<Card>(include_str!("../specs/card.yaml"));
    decider::<Card>(include_str!("../specs/card_spend.yaml"));
    decider::<Card>(include_str!("../specs/card_limits.yaml"));
    decider::<Card>(include_str!("../specs/card_checks.yaml"));
    decider::<Card>(include_str!("../specs/card_types.yaml"));
    decider::<Card>(include_str!("../specs/card_reservations.yaml"));
}

#[test]
fn balances() {
    projector::<Balances>(include_str!("../specs/balances.yaml"));
}

#[test]
fn card_usage() {
    projector::<CardUsage>(include_str!("../specs/card_usage.yaml"));
}

#[test]
fn gnosis_pay() {
    translator::<GnosisPay>(include_str!("../specs/gnosis_pay.yaml"));
    translator::<GnosisPay>(include_str!("../specs/gnosis_pay_movements.yaml"));
}

#[test]
fn sagas() {
    projector::<Sagas>(include_str!("../specs/sagas.yaml"));
}

#[test]
fn payments() {
    projector::<Payments>(include_str!("../specs/payments.yaml"));
    projector::<Payments>(include_str!("../specs/payments_flags.yaml"));
    projector::<Payments>(include_str!("../specs/payments_links.yaml"));
    projector::<Payments>(include_str!("../specs/payments_reversals.yaml"));
    projector::<Payments>(include_str!("../specs/payments_clearing_links.yaml"));
}

#[test]
fn merchants() {
    projector::<Merchants>(include_str!("../specs/merchants.yaml"));
}

#[test]
fn disputes() {
    projector::<Disputes>(include_str!("../specs/disputes.yaml"));
    projector::<Disputes>(include_str!("../specs/disputes_money.yaml"));
}

#[test]
fn settlement() {
    projector::<Settlement>(include_str!("../specs/settlement.yaml"));
    projector::<Settlement>(include_str!("../specs/settlement_reversals.yaml"));
    projector::<Settlement>(include_str!("../specs/settlement_disputes.yaml"));
    projector::<Settlement>(include_str!("../specs/settlement_fees.yaml"));
    projector::<Settlement>(include_str!("../specs/settlement_clearing_links.yaml"));
}

fn decider<D: Decider>(file: &str) {
    let Specification::Decider(file) = Specification::read(file).unwrap() else {
        panic!("no decider's file")
    };
    passed(&file.run(&NativeDecider::<D>::default()).unwrap());
}

fn projector<P: Projector>(file: &str) {
    let Specification::Projector(file) = Specification::read(file).unwrap() else {
        panic!("no projector's file")
    };
    passed(&file.run(&NativeProjector::<P>::default()).unwrap());
}

fn translator<T: Translator>(file: &str) {
    let Specification::Translator(file) = Specification::read(file).unwrap() else {
        panic!("no translator's file")
    };
    passed(&file.run(&NativeTranslator::<T>::new(file.contracts())));
}

fn passed(verdicts: &[Verdict]) {
    let failed: Vec<String> =
        verdicts.iter().filter(|verdict| !verdict.passed()).map(Verdict::to_string).collect();
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}
