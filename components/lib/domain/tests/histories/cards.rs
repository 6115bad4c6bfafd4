//! Commands that concern a card alone: from its cardholder, changes of its rules, and spends that no payment here
//! asks for.

use clearfold_domain::card::{
    Allowed, CloseCard, CloseCause, Command as Cards, ExpiryMonth, FreezeCard, FreezeReason, IssueCard,
    Limit, Portion, RecordSpend, ReleaseSpend, RenewCard, ReserveSpend, ResetPinTries, Rules, Scope,
    SetRules, Span, UnfreezeCard, Velocity,
};
use clearfold_domain::network::TransactionType;
use clearfold_domain::verification::{Check, CheckRules};
use clearfold_kernel::Minor;

use crate::dice::Dice;
use crate::live::Broken;
use crate::values::{CENT, around, checks, euro, merchant, price};
use crate::world::{ACCOUNT, CARDS, Command, Sent, World};

fn rules(dice: &mut Dice) -> Rules {
    let most = |cents: u128| euro(cents * CENT);
    let mut rules = Rules {
        limits: Vec::new(),
        velocity: Vec::new(),
        categories: Allowed::All,
        countries: Allowed::All,
        checks: None,
    };
    if dice.one_in(3) {
        let amount = most(1_000 + dice.below(4_000) as u128);
        rules.limits.push(Limit::of_amount(Span::Transaction, amount));
    }
    if dice.one_in(3) {
        let per = dice.pick(&[Span::Day, Span::Week, Span::Month, Span::Year, Span::AllTime]);
        rules.limits.push(Limit::of_amount(per, most(3_000 + dice.below(20_000) as u128)));
    }
    if dice.one_in(3) {
        rules.limits.push(limit_at_some_merchants(dice));
    }
    if dice.one_in(3) {
        rules.velocity.push(Velocity { max_count: 3, window_s: dice.pick(&[60, 3_600, 86_400]) });
    }
    if dice.one_in(3) {
        rules.categories = Allowed::AllBut(["7995".to_owned().try_into().expect("a category")].into());
    }
    if dice.one_in(3) {
        rules.countries = Allowed::AllBut(["KP".to_owned().try_into().expect("a country")].into());
    }
    if dice.one_in(4) {
        let all = [Check::Cvv, Check::ExpiryDate, Check::Address, Check::ThreeDs];
        let require = dice.pick(&[Check::ThreeDs, Check::Cvv]);
        let require = dice.one_in(2).then_some(require).into_iter().collect();
        rules.checks = Some(CheckRules { decline_if_wrong: all.into(), require });
    }
    if dice.one_in(32) {
        rules.velocity.push(Velocity { max_count: 0, window_s: 60 });
    }
    rules
}

fn month(text: &str) -> ExpiryMonth {
    text.to_owned().try_into().expect("a month")
}

fn limit_at_some_merchants(dice: &mut Dice) -> Limit {
    let categories = ["5812", "5411"].map(|code| code.to_owned().try_into().expect("a category"));
    let merchants = ["merchant-0", "merchant-1"].map(|id| id.parse().expect("a merchant's id"));
    let scopes = [
        Scope::Categories(categories.into()),
        Scope::Merchants(merchants.into()),
        Scope::Types([TransactionType::Cash].into()),
    ];
    let per = dice.pick(&[Span::Week, Span::Year, Span::AllTime]);
    let scope = Some(dice.pick(&scopes));
    if dice.one_in(2) {
        return Limit { per, amount: None, max_count: Some(2), scope };
    }
    let amount = Some(euro((2_000 + dice.below(5_000) as u128) * CENT));
    // Refused if the span is long.
    let scope = if dice.one_in(8) { Some(Scope::EachMerchant) } else { scope };
    Limit { per, amount, max_count: None, scope }
}

impl World {
    pub fn issue(&mut self, id: &str, dice: &mut Dice) -> Result<(), Broken> {
        let account = ACCOUNT.parse().expect("an address");
        // Dice of its own, so that another rule of cards does not change everything that comes after it.
        let dice = &mut Dice::new(dice.below(1 << 16) as u64);
        let expires = dice.one_in(3).then(|| month(dice.pick(&["2026-11", "2026-12", "2029-11"])));
        self.tell_card(id, Cards::IssueCard(IssueCard { account, rules: rules(dice), expires }))
    }

    fn tell_card(&mut self, id: &str, command: Cards) -> Result<(), Broken> {
        self.send(&Sent::new(Command::Card(id.to_owned(), command))).map(drop)
    }

    /// Sends a command that concerns a card alone.
    pub fn of_card(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        let id = dice.pick(&CARDS);
        let reason = dice.pick(&[FreezeReason::Holder, FreezeReason::Exposure]);
        match dice.below(40) {
            0 => {
                let cause = dice.pick(&[None, Some(CloseCause::Lost), Some(CloseCause::Stolen)]);
                self.tell_card(id, Cards::CloseCard(CloseCard { cause }))
            }
            1..5 => self.tell_card(id, Cards::FreezeCard(FreezeCard { reason })),
            5..17 => self.tell_card(id, Cards::UnfreezeCard(UnfreezeCard { reason })),
            17..19 => self.issue(id, dice),
            19 => self.renew(id, dice),
            20..25 => self.tell_card(id, Cards::SetRules(SetRules { rules: rules(dice) })),
            25..30 => {
                let spend = ReserveSpend {
                    reservation_id: self.id("spend"),
                    authorization_id: self.id("elsewhere"),
                    amount: price(dice),
                    merchant: merchant(dice),
                    checks: checks(dice),
                    transaction_type: dice.pick(&[None, Some(TransactionType::Cash)]),
                };
                self.tell_card(id, Cards::ReserveSpend(spend))
            }
            30..32 => {
                let spend = RecordSpend {
                    reservation_id: self.id("spend"),
                    authorization_id: self.id("elsewhere"),
                    amount: price(dice),
                    merchant: None,
                    transaction_type: None,
                };
                self.tell_card(id, Cards::RecordSpend(spend))
            }
            _ => self.release(id, dice),
        }
    }

    fn renew(&mut self, id: &str, dice: &mut Dice) -> Result<(), Broken> {
        let expires = month(dice.pick(&["2026-10", "2027-02", "2029-11"]));
        self.tell_card(id, Cards::RenewCard(RenewCard { expires }))?;
        if dice.one_in(2) { self.tell_card(id, Cards::ResetPinTries(ResetPinTries {})) } else { Ok(()) }
    }

    /// Releases a reservation that belongs to no payment here, or that never arrived.
    fn release(&mut self, id: &str, dice: &mut Dice) -> Result<(), Broken> {
        let own: Vec<_> = self
            .accepted
            .iter()
            .filter_map(|sent| match &sent.command {
                Command::Card(card, Cards::ReserveSpend(spend))
                    if card == id && spend.reservation_id.as_str().starts_with("spend-") =>
                {
                    Some((spend.reservation_id.clone(), spend.amount.clone()))
                }
                _ => None,
            })
            .collect();
        let fresh = (self.id("spend"), price(dice));
        let (reservation_id, amount) = dice.pick_recent(&own).cloned().unwrap_or(fresh);
        let part = Portion::Part(around(dice, &amount).minor.max(Minor::new(1)));
        let amount = dice.weighted(&[(1, Portion::Everything), (3, part)]);
        let release_id = self.id("rel");
        self.tell_card(id, Cards::ReleaseSpend(ReleaseSpend { reservation_id, release_id, amount }))
    }
}
