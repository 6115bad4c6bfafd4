//! Random values as the outside world sends them: mostly plausible, and often at the limits.

use clearfold_domain::network::{Details, Merchant, Presented};
use clearfold_domain::policy::assets;
use clearfold_domain::verification::CardChecks;
use clearfold_kernel::{Amount, Asset, ChainSource, ExternalId, Hash, Minor, Timestamp};

use crate::dice::Dice;
use crate::world::World;

pub const CENT: u128 = 10_u128.pow(16);

pub fn euro(minor: u128) -> Amount {
    Amount { minor: Minor::new(minor), asset: Asset { code: "EURe".into(), decimals: 18 } }
}

/// Draws an amount that a customer pays: mostly euros, and at times pounds, which no account names at opening.
pub fn price(dice: &mut Dice) -> Amount {
    let cents = 1 + dice.below(4_000) as u128;
    match dice.below(24) {
        0 => euro(1),
        1 => euro(Minor::LARGEST_AMOUNT.get()),
        2..5 => {
            Amount { minor: Minor::new(cents * 10_000), asset: Asset { code: "USDC.e".into(), decimals: 6 } }
        }
        5 => Amount { minor: Minor::new(cents * CENT), asset: Asset { code: "GBPe".into(), decimals: 18 } },
        _ => euro(cents * CENT),
    }
}

/// Draws an amount around another one: as much, a part, a little more, the smallest, and amounts that must be
/// rejected.
pub fn around(dice: &mut Dice, amount: &Amount) -> Amount {
    // Around zero there is no plausible amount, so any price is drawn, which must be rejected.
    let base = if amount.minor == Minor::ZERO { price(dice).minor.get() } else { amount.minor.get() };
    let minor = match dice.below(40) {
        0 => 0,
        1 => Minor::LARGEST_AMOUNT.get() + 1,
        2 => Minor::LARGEST_AMOUNT.get(),
        3 | 4 => 1,
        5 | 6 => base + 1,
        7..10 => base.saturating_add(base / 5),
        10..14 => base.saturating_sub(1),
        14..22 => base / 2,
        22..26 => base / 3,
        _ => base,
    };
    Amount { minor: Minor::new(minor), ..amount.clone() }
}

/// Draws a price in dollars, and returns it with the amount in euros that a network makes of it: rounded half to even or
/// up, with a fee, far away, and of a rate that converts nothing.
pub fn converted(dice: &mut Dice) -> (Amount, Presented) {
    let asset = Asset { code: "USD".into(), decimals: 2 };
    let rates = ["0.9234", "1.0817", "0.87", "1"].map(|rate| rate.parse().expect("a rate"));
    let amount = Amount { minor: Minor::new(2 + dice.below(3_000) as u128), asset };
    let mut presented = Presented { amount, rate: dice.pick(&rates) };
    let known = assets::find("EURe").expect("a known asset");
    let charged = presented.charge(known).expect("a small amount").charged.minor.get();
    let billed = match dice.below(12) {
        0 | 1 => charged + CENT,
        2 => charged + charged / 33,
        3 => charged * 2,
        4 => charged / 3 + 1,
        _ => charged,
    };
    if dice.one_in(12) {
        presented.rate = "0.00".parse().expect("a rate");
    }
    (euro(billed), presented)
}

pub fn merchant(dice: &mut Dice) -> Merchant {
    let categories = [(3, "5812"), (2, "5411"), (2, "7011"), (2, "4121"), (2, "5542"), (1, "7995")];
    let countries = [(4, "DE"), (2, "US"), (1, "GB"), (3, "IT"), (1, "KP")];
    let number = dice.below(4);
    serde_json::from_value(serde_json::json!({
        "id": format!("merchant-{number}"),
        "name": format!("Merchant {number}"),
        "category": dice.weighted(&categories),
        "country": dice.weighted(&countries),
    }))
    .expect("a merchant")
}

/// Draws what the network states of card and holder: nothing, checks that are passed, and at times one that is not.
pub fn checks(dice: &mut Dice) -> Option<CardChecks> {
    if dice.one_in(2) {
        return None;
    }
    let mut checks = serde_json::json!({"entry": dice.pick(&["chip", "ecommerce", "recurring"])});
    if dice.one_in(3) {
        checks["pin"] = dice.weighted(&[(3, "matched"), (3, "not_matched"), (1, "unavailable")]).into();
    }
    let passed = [("cvv", "matched"), ("three_ds", "authenticated"), ("token", "active")];
    let failed = [
        ("cvv", "not_matched"),
        ("cryptogram", "not_matched"),
        ("expiry_date", "not_matched"),
        ("address", "not_matched"),
        ("three_ds", "failed"),
        ("token", "suspended"),
    ];
    let (check, outcome) = if dice.one_in(4) { dice.pick(&failed) } else { dice.pick(&passed) };
    checks[check] = outcome.into();
    Some(serde_json::from_value(checks).expect("results of checks"))
}

fn hash(number: u64) -> Hash {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&number.to_be_bytes());
    Hash(bytes)
}

impl World {
    pub fn id(&mut self, of: &str) -> ExternalId {
        self.name(of).parse().expect("our own id")
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.now_ms).expect("before the year 10000")
    }

    pub fn transaction(&mut self) -> Hash {
        hash(self.number())
    }

    /// Makes a log that was not seen before.
    pub fn source(&mut self) -> ChainSource {
        let number = self.number();
        ChainSource {
            chain_id: 100,
            block_hash: hash(number),
            block_number: number,
            transaction_hash: hash(number + 1_000_000),
            log_index: number % 7,
        }
    }
}

/// Numbers of requests.
const STANS: [&str; 4] = ["004711", "004712", "004713", "004714"];

/// Draws the numbers of a request.
pub fn asked_by(dice: &mut Dice) -> ExternalId {
    let (network, stan) = (dice.pick(&["visa", "mastercard"]), dice.pick(&STANS));
    format!("{network}-40000001-{stan}-632610004711-1795341600").parse().expect("an id")
}

/// Draws what a message states besides what decides: nothing, or facts that change no amount.
pub fn details(dice: &mut Dice) -> Option<Box<Details>> {
    let kind = dice.pick(&["purchase", "cash"]);
    let stan = dice.pick(&STANS);
    let mut stated = serde_json::json!({"transaction_type": kind, "acquirer": "40000001", "stan": stan, "additional": {"de_63": "x"}});
    if !dice.one_in(4) {
        // All are of one second, so that they repeat.
        stated["retrieval_reference"] = "632610004711".into();
        stated["original"] = serde_json::json!({"transmitted_at": "2026-11-22T10:00:00.000Z"});
    }
    dice.one_in(4).then(|| serde_json::from_value(stated).expect("details"))
}
