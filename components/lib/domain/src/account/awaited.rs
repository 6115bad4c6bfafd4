//! Holds that no clearing has claimed, by what they are for.
//!
//! About one clearing in eight names no payment that is known: its network's id is missing, or another one. Such a clearing
//! posts all the same; the account, which knows all holds of a Safe, says to which of them it belongs. Card, merchant and
//! asset must agree, and the amount: as much as is held, or more within the tolerance for over-capture. One that
//! contradicts the hold in terminal, category or country, or that claims less, is a person's to judge.
//!
//! The question changes nothing. A wrong hold would be released for another purchase, so of several none is taken.

use clearfold_kernel::{Amount, ExternalId, Minor, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::asked::AMBIGUOUS;
use super::messages::{Event, HoldPlaced, MatchClearing, Purchase};
use super::rule::Rule;
use super::state::Books;
use crate::checks;
use crate::network::{
    ClearingMatch, Confidence, Country, FieldText, MatchKey, MerchantCategory, MerchantId, Network,
};
use crate::policy::over_capture::{self, Circumstances};
use crate::policy::{clearing_match, region::Region};

/// Code of the answer that names the only hold that fits.
const MATCHED: &str = "hold_matched";
/// Code of the answer that there is none.
const NOT_MATCHED: &str = "hold_not_matched";

/// Returns the hold and the reason for the match, by the refusal to [`MatchClearing`]; none if the refusal is another one.
pub(crate) fn hold_matched(refused: &Rejection) -> Option<(ExternalId, ClearingMatch)> {
    let (found, id) = refused.detail.rsplit_once(' ').filter(|_| refused.code == MATCHED)?;
    Some((id.parse().ok()?, ClearingMatch::of_written(found)?))
}

/// Refuses the question of a clearing that does not name its card and its merchant: nothing can be compared.
pub(crate) fn not_matched() -> Rejection {
    Rejection::new(NOT_MATCHED, "no hold that is not claimed yet fits the clearing")
}

/// Holds without a claim, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Awaited(Vec<AwaitedHold>);

/// Hold that no clearing has claimed. A state's form has no names, so every field has its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AwaitedHold {
    hold_id: ExternalId,
    asset: String,
    /// Amount that is still held.
    minor: Minor,
    card_id: ExternalId,
    merchant_id: MerchantId,
    category: MerchantCategory,
    country: Country,
    network: Network,
    terminal: Option<FieldText>,
    requested_at: Timestamp,
}

impl AwaitedHold {
    fn of(event: &HoldPlaced, purchase: &Purchase) -> Self {
        let Purchase { card_id, merchant_id, category, country, network, terminal, requested_at } =
            purchase.clone();
        Self {
            hold_id: event.hold_id.clone(),
            asset: event.amount.asset.code.clone(),
            minor: event.amount.minor,
            card_id,
            merchant_id,
            category,
            country,
            network,
            terminal,
            requested_at,
        }
    }

    /// Compares the clearing with the hold; `None` if they have nothing to do with each other.
    fn compare(&self, clearing: &MatchClearing) -> Option<Fit> {
        let is_same = self.hold_id != clearing.payment_id
            && self.card_id == clearing.card_id
            && self.merchant_id == clearing.merchant_id
            && self.asset == clearing.amount.asset.code
            && clearing_match::is_within(self.requested_at, clearing.occurred_at);
        if !is_same {
            return None;
        }
        let terminals = self.terminal.as_ref().zip(clearing.terminal.as_ref());
        let is_other = terminals.is_some_and(|(held, claimed)| held != claimed);
        if is_other || self.category != clearing.category || self.country != clearing.country {
            return Some(Fit::Contradicts);
        }
        let excess = clearing.amount.minor.excess_over(self.minor);
        let amount = match excess {
            Minor::ZERO if clearing.amount.minor < self.minor => return Some(Fit::Below),
            Minor::ZERO => MatchKey::Amount,
            excess if self.tolerates(&clearing.amount, excess) => MatchKey::ToleratedAmount,
            _ => return None,
        };
        let is_whole = terminals.is_some() && amount == MatchKey::Amount;
        let confidence = if is_whole { Confidence::High } else { Confidence::Low };
        let terminal = terminals.map(|_| MatchKey::Terminal);
        let by = [MatchKey::Card, MatchKey::Merchant].into_iter().chain(terminal).chain([amount]).collect();
        Some(Fit::Agrees(ClearingMatch { by, confidence }))
    }

    fn tolerates(&self, claimed: &Amount, excess: Minor) -> bool {
        let region = Region::of(self.country);
        let circumstances = Circumstances { network: self.network, category: self.category, region };
        let held = Amount { minor: self.minor, asset: claimed.asset.clone() };
        over_capture::tolerates(Some(circumstances), &held, excess)
    }
}

/// Relation of a clearing to a hold of its card and merchant.
enum Fit {
    Agrees(ClearingMatch),
    /// Less is claimed than is held.
    Below,
    /// Terminal, category or country is another one.
    Contradicts,
}

impl Fit {
    /// Steps of the comparison: the first that has a hold decides.
    fn step(&self) -> u8 {
        match self {
            Self::Agrees(found) if found.confidence == Confidence::High => 0,
            Self::Agrees(found) if found.by.contains(&MatchKey::Amount) => 1,
            Self::Agrees(_) => 2,
            Self::Below => 3,
            Self::Contradicts => 4,
        }
    }
}

impl Awaited {
    fn place(&mut self, hold: AwaitedHold, at: Timestamp) {
        self.0.retain(|known| {
            known.hold_id != hold.hold_id && clearing_match::is_within(known.requested_at, at)
        });
        self.0.push(hold);
        if self.0.len() > clearing_match::REMEMBERED {
            self.0.remove(0);
        }
    }

    fn change(&mut self, hold_id: &ExternalId, change: impl Fn(Minor) -> Minor) {
        let known = self.0.iter_mut().find(|known| known.hold_id == *hold_id);
        known.into_iter().for_each(|known| known.minor = change(known.minor));
        self.0.retain(|known| known.minor > Minor::ZERO);
    }

    /// Answers a question. Of the first step that has a hold, exactly one must agree.
    fn answer(&self, clearing: &MatchClearing) -> Rejection {
        let fits = self.0.iter().filter_map(|hold| Some((hold, hold.compare(clearing)?)));
        let mut fits: Vec<(&AwaitedHold, Fit)> = fits.collect();
        let Some(first) = fits.iter().map(|(_, fit)| fit.step()).min() else { return not_matched() };
        fits.retain(|(_, fit)| fit.step() == first);
        if let [(hold, Fit::Agrees(found))] = fits.as_slice()
            && clearing_match::links(hold.network, found.confidence)
        {
            return Rejection::new(MATCHED, format!("{} {}", found.written(), hold.hold_id));
        }
        let named = fits.iter().take(clearing_match::NAMED).map(|(hold, _)| hold.hold_id.as_str());
        Rejection::new(AMBIGUOUS, named.collect::<Vec<_>>().join(" "))
    }
}

impl Rule for MatchClearing {
    fn event(&self, books: &Books, _at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        Err(books.awaited.answer(self))
    }
}

impl Books {
    pub(super) fn placed_awaited(&mut self, event: &HoldPlaced) {
        match &event.purchase {
            Some(purchase) => self.awaited.place(AwaitedHold::of(event, purchase), event.at),
            // A hold that replaces another one is for the same payment.
            None => self.ended_awaited(&event.hold_id),
        }
    }

    pub(super) fn raised_awaited(&mut self, hold_id: &ExternalId, by: Minor) {
        self.awaited.change(hold_id, |minor| minor.plus(by).unwrap_or(minor));
    }

    pub(super) fn lowered_awaited(&mut self, hold_id: &ExternalId, by: Minor) {
        self.awaited.change(hold_id, |minor| minor.excess_over(by));
    }

    /// Forgets a hold that ended, or that a clearing has claimed: the network knows its payment.
    pub(super) fn ended_awaited(&mut self, hold_id: &ExternalId) {
        self.awaited.0.retain(|known| known.hold_id != *hold_id);
    }
}

#[cfg(test)]
mod tests {
    use clearfold_kernel::Asset;
    use serde_json::json;

    use super::*;

    fn euro(minor: u128) -> Amount {
        Amount { minor: Minor::new(minor), asset: Asset { code: "EURe".into(), decimals: 18 } }
    }

    fn hold(id: &str, minor: u128, changes: &serde_json::Value) -> AwaitedHold {
        let mut purchase = json!({
            "card_id": "card-1", "merchant_id": "m1", "category": "5812", "country": "US", "network": "visa",
            "terminal": "T1", "requested_at": "2026-11-22T10:00:00.000Z",
        });
        for (name, value) in changes.as_object().into_iter().flatten() {
            purchase[name] = value.clone();
        }
        let placed = HoldPlaced {
            account: "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap(),
            hold_id: id.parse().unwrap(),
            amount: euro(minor),
            forced: false,
            spent_at: None,
            spend_id: None,
            at: "2026-11-22T10:00:01.000Z".parse().unwrap(),
            asked_by: None,
            purchase: None,
        };
        AwaitedHold::of(&placed, &serde_json::from_value(purchase).unwrap())
    }

    fn claim(minor: u128, changes: &serde_json::Value) -> MatchClearing {
        let mut claim = json!({
            "payment_id": "unknown", "card_id": "card-1", "merchant_id": "m1", "category": "5812", "country": "US",
            "terminal": "T1", "amount": euro(minor), "occurred_at": "2026-11-24T00:00:00.000Z",
        });
        for (name, value) in changes.as_object().into_iter().flatten() {
            claim[name] = value.clone();
        }
        serde_json::from_value(claim).unwrap()
    }

    fn asked(holds: &[AwaitedHold], claim: &MatchClearing) -> String {
        let Rejection { code, detail } = Awaited(holds.to_vec()).answer(claim);
        if code == NOT_MATCHED { code } else { format!("{code}: {detail}") }
    }

    #[test]
    fn the_only_hold_of_card_and_merchant_is_found_by_terminal_and_amount() {
        let holds = [hold("p1", 100, &json!({})), hold("p2", 90, &json!({}))];
        let found = "hold_matched: high card,merchant,terminal,amount p1";
        assert_eq!(asked(&holds, &claim(100, &json!({}))), found);
        let found = hold_matched(&Awaited(holds.to_vec()).answer(&claim(100, &json!({})))).unwrap();
        assert_eq!((found.0.as_str(), found.1.confidence), ("p1", Confidence::High));
        let without = json!({"terminal": null});
        assert_eq!(asked(&holds, &claim(100, &without)), "hold_matched: low card,merchant,amount p1");
        let tip = claim(120, &without);
        assert_eq!(asked(&holds, &tip), "hold_matched: low card,merchant,tolerated_amount p1");
    }

    #[test]
    fn of_several_none_is_taken_and_a_better_one_is_taken_before_the_others() {
        let holds = [
            hold("p1", 100, &json!({"terminal": null})),
            hold("p2", 100, &json!({"terminal": null})),
            hold("p3", 90, &json!({})),
        ];
        assert_eq!(asked(&holds, &claim(100, &json!({}))), "hold_ambiguous: p1 p2");
        let mut more = holds.to_vec();
        more.push(hold("p4", 100, &json!({})));
        let found = "hold_matched: high card,merchant,terminal,amount p4";
        assert_eq!(asked(&more, &claim(100, &json!({}))), found);
    }

    #[test]
    fn what_contradicts_or_is_more_than_is_claimed_is_named_and_not_taken() {
        let holds = [hold("p1", 100, &json!({}))];
        for other in [json!({"terminal": "T2"}), json!({"category": "5411"}), json!({"country": "DE"})] {
            assert_eq!(asked(&holds, &claim(100, &other)), "hold_ambiguous: p1", "{other}");
        }
        assert_eq!(asked(&holds, &claim(99, &json!({}))), "hold_ambiguous: p1");
    }

    #[test]
    fn another_card_merchant_asset_time_or_payment_is_no_candidate() {
        let holds = [hold("p1", 100, &json!({}))];
        let pounds = json!({"minor": "100", "asset": "GBPe", "decimals": 18});
        for other in [
            json!({"card_id": "card-2"}),
            json!({"merchant_id": "m2"}),
            json!({"amount": pounds}),
            json!({"amount": euro(121)}),
            json!({"payment_id": "p1"}),
            json!({"occurred_at": "2026-11-21T09:59:59.999Z"}),
            json!({"occurred_at": "2026-12-23T10:00:00.001Z"}),
        ] {
            assert_eq!(asked(&holds, &claim(100, &other)), NOT_MATCHED, "{other}");
        }
    }

    #[test]
    fn the_oldest_are_forgotten_and_what_is_not_held_any_more() {
        let mut awaited = Awaited::default();
        let at = "2026-11-22T10:00:01.000Z".parse().unwrap();
        for number in 0..=clearing_match::REMEMBERED {
            awaited.place(hold(&format!("p{number}"), 100, &json!({})), at);
        }
        assert_eq!(awaited.0.len(), clearing_match::REMEMBERED);
        assert_eq!(awaited.0[0].hold_id.as_str(), "p1");
        let id = "p1".parse().unwrap();
        awaited.change(&id, |minor| minor.excess_over(Minor::new(40)));
        assert_eq!(awaited.0[0].minor, Minor::new(60));
        awaited.change(&id, |minor| minor.excess_over(Minor::new(60)));
        assert_eq!(awaited.0[0].hold_id.as_str(), "p2");
        let late = "2026-12-24T10:00:01.000Z".parse().unwrap();
        awaited.place(hold("late", 100, &json!({"requested_at": "2026-12-24T10:00:00.000Z"})), late);
        assert_eq!(awaited.0.len(), 1);
    }
}
