//! Comparison of the domain's books with the model's, figure by figure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use clearfold_domain::account::LedgerAccount;
use clearfold_kernel::Asset;

use crate::facts::Fact;
use crate::live::Broken;
use crate::values::CENT;
use crate::world::World;
use crate::{books, rows, totals};

fn asset() -> Asset {
    Asset { code: "EURe".into(), decimals: 18 }
}

/// Returns whole cents of an amount in minor units.
pub fn cents(minor: impl Display) -> i128 {
    let minor: i128 = minor.to_string().parse().expect("an amount that fits");
    let cent = i128::try_from(CENT).expect("a small number");
    assert_eq!(minor % cent, 0, "every amount is whole cents");
    minor / cent
}

/// Amounts in whole cents, by what they are of.
pub type Figures = BTreeMap<String, i128>;

/// Compares the states of the deciders with the model.
pub fn compare(facts: &[Fact], world: &World) -> Result<(), Broken> {
    let (model, domain) = (of_model(facts), of_domain(world));
    let names = model.keys().chain(domain.keys());
    differences(names, &model, &domain, "domain")
}

/// Compares the rows of the read store with the model: the figures that it has.
pub fn compare_rows(facts: &[Fact], world: &World) -> Result<(), Broken> {
    let (model, rows) = (of_model(facts), rows::figures(world));
    differences(rows.keys(), &model, &rows, "read store")
}

fn differences<'a>(
    names: impl Iterator<Item = &'a String>,
    model: &Figures,
    other: &Figures,
    of: &str,
) -> Result<(), Broken> {
    let figure = |figures: &Figures, name: &str| figures.get(name).copied().unwrap_or_default();
    let names: BTreeSet<&String> = names.filter(|name| figure(model, name) != figure(other, name)).collect();
    let lines: Vec<String> = names
        .into_iter()
        .map(|name| format!("{name}: model {}, {of} {}", figure(model, name), figure(other, name)))
        .collect();
    if lines.is_empty() { Ok(()) } else { Err(lines.join("; ")) }
}

fn of_model(facts: &[Fact]) -> Figures {
    let mut figures = Figures::new();
    for id in totals::payments(facts) {
        let payment = books::payment(facts, &id);
        for (name, figure) in [
            ("held", payment.held),
            ("on hold in the account", payment.held),
            ("captured", payment.captured()),
            ("against the hold", payment.against_hold),
            ("refunded", payment.refunded),
            ("owed back", payment.owed_back()),
            ("exposed", payment.exposed()),
        ] {
            figures.insert(format!("{id} {name}"), figure);
        }
    }
    let account = totals::account(facts);
    for (name, figure) in [
        ("customer", account.customer),
        ("held", account.held),
        ("available", account.available),
        ("owed back", account.owed_back),
        ("safe", account.safe),
        ("in transit", account.in_transit),
        ("hold", account.hold),
        ("settlement", account.settlement),
        ("suspense", account.suspense),
        ("receivable", account.receivable),
        ("fee", account.fee),
        ("loss", account.loss),
    ] {
        figures.insert(format!("account {name}"), figure);
    }
    figures
}

fn of_domain(world: &World) -> Figures {
    let mut figures = Figures::new();
    for (id, live) in &world.payments {
        let Some(payment) = live.state.payment() else { continue };
        for (name, figure) in [
            ("held", payment.held()),
            ("captured", payment.totals.captured()),
            ("against the hold", payment.totals.against_hold),
            ("refunded", payment.totals.refunded),
            ("owed back", live.state.owed_back()),
            ("exposed", live.state.exposed()),
        ] {
            figures.insert(format!("{id} {name}"), cents(figure));
        }
    }
    let state = &world.account.state;
    for (id, held) in state.holds() {
        figures.insert(format!("{id} on hold in the account"), cents(held.minor));
    }
    let net = |of| state.ledger().map_or(0, |ledger| cents(ledger.net(&asset(), of)));
    let other: [(&str, i128); 12] = [
        ("customer", net(LedgerAccount::Customer)),
        ("held", cents(state.pending(&asset()))),
        ("available", cents(state.available(&asset()))),
        ("owed back", cents(state.owed_back(&asset()))),
        ("safe", net(LedgerAccount::Safe)),
        ("in transit", net(LedgerAccount::InTransit)),
        ("hold", net(LedgerAccount::Hold)),
        ("settlement", net(LedgerAccount::Settlement)),
        ("suspense", net(LedgerAccount::Suspense)),
        ("receivable", net(LedgerAccount::Receivable)),
        ("fee", net(LedgerAccount::Fee)),
        ("loss", net(LedgerAccount::Loss)),
    ];
    figures.extend(other.map(|(name, figure)| (format!("account {name}"), figure)));
    assert_eq!(net(LedgerAccount::Rounding), 0, "nothing is rounded");
    figures
}
