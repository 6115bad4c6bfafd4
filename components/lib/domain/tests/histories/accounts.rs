//! Commands that concern the account alone: deposits, settlement, fees, and commands that must be rejected.

use clearfold_domain::account::{
    AssignReturn, BookClearing, BookClearingReversal, BookDispute, BookFunding, BookReceivable, ChargeFee,
    Command as Accounts, DelayQueue, DisputeStep, FundingStep, LowerCause, LowerHold, ObserveDelayQueue,
    OpenAccount, RaiseHold, RecordDeposit, RecordReturn, RecordSettlement, RecordWithdrawal,
    RecoverReceivable, RefundOutcome, ResolveRefund, ResolveSuspense, RevertDeposit, RevertWithdrawal,
    SettlementDirection, SuspenseOutcome,
};
use clearfold_domain::network::Residue;
use clearfold_kernel::{Amount, Asset, ChainSource, ExternalId, Minor};

use crate::dice::Dice;
use crate::live::Broken;
use crate::values::{CENT, around, euro, price};
use crate::world::{Command, Sent, World};

fn nothing() -> Minor {
    Minor::ZERO
}

impl World {
    pub fn open_account(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        let asset = |code: &str, decimals| Asset { code: code.into(), decimals };
        let mut assets = vec![asset("EURe", 18), asset("USDC.e", 6)];
        if dice.one_in(24) {
            assets.push(asset("EURe", 18));
        }
        self.tell(Accounts::OpenAccount(OpenAccount { assets }))
    }

    pub fn deposit(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        let amount = match dice.below(12) {
            0 => price(dice),
            1 => {
                Amount { minor: Minor::new(90_000_000), asset: Asset { code: "USDC.e".into(), decimals: 6 } }
            }
            _ => euro((20 + dice.below(200) as u128) * 100 * CENT),
        };
        let (source, occurred_at) = (self.source(), self.now());
        self.tell_by_chain(Accounts::RecordDeposit(RecordDeposit { amount, source, occurred_at }))
    }

    fn tell(&mut self, command: Accounts) -> Result<(), Broken> {
        self.send(&Sent::new(Command::Account(command))).map(drop)
    }

    fn tell_by_chain(&mut self, command: Accounts) -> Result<(), Broken> {
        self.send(&Sent::by_chain(Command::Account(command))).map(drop)
    }

    /// Sends a command that concerns the account alone.
    pub fn of_account(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        match dice.below(30) {
            0 => self.open_account(dice),
            1..5 => self.deposit(dice),
            5..7 => {
                let (amount, source, occurred_at) = (price(dice), self.source(), self.now());
                self.tell_by_chain(Accounts::RecordWithdrawal(RecordWithdrawal {
                    amount,
                    source,
                    occurred_at,
                }))
            }
            7..9 => {
                let source = self.known(dice, |command| match command {
                    Accounts::RecordDeposit(deposit) => Some(deposit.source.clone()),
                    _ => None,
                });
                let source = source.unwrap_or_else(|| self.source());
                self.tell_by_chain(Accounts::RevertDeposit(RevertDeposit { source }))
            }
            9 | 10 => {
                let source = self.known(dice, |command| match command {
                    Accounts::RecordWithdrawal(withdrawal) => Some(withdrawal.source.clone()),
                    _ => None,
                });
                let source = source.unwrap_or_else(|| self.source());
                self.tell_by_chain(Accounts::RevertWithdrawal(RevertWithdrawal { source }))
            }
            11 | 12 => {
                let state = dice.weighted(&[(1, DelayQueue::Waiting), (2, DelayQueue::Empty)]);
                let source = self.source();
                self.tell_by_chain(Accounts::ObserveDelayQueue(ObserveDelayQueue { state, source }))
            }
            13 => {
                let (clearing_id, outcome) = (self.id("clr"), SuspenseOutcome::Charged);
                self.tell(Accounts::ResolveSuspense(ResolveSuspense { clearing_id, outcome, hold_id: None }))
            }
            14 => {
                let (refund_id, outcome) = (self.id("rfd"), RefundOutcome::Paid);
                self.tell(Accounts::ResolveRefund(ResolveRefund { refund_id, outcome, payment_id: None }))
            }
            15 => {
                let (amount, source) = (price(dice), self.source());
                self.tell_by_chain(Accounts::RecordReturn(RecordReturn { amount, source }))
            }
            16..18 => self.receivable(dice),
            18 => {
                let (settlement_id, amount) = (self.id("stl"), price(dice));
                let direction = dice.pick(&[SettlementDirection::Paid, SettlementDirection::Received]);
                self.tell(Accounts::RecordSettlement(RecordSettlement { settlement_id, direction, amount }))
            }
            19 => {
                let (fee_id, amount) = (self.id("fee"), price(dice));
                self.tell(Accounts::ChargeFee(ChargeFee { fee_id, amount }))
            }
            _ => self.what_is_refused(dice),
        }
    }

    /// Returns a value of an accepted command of the account, if there was such a command.
    fn known<T>(&self, dice: &mut Dice, of: impl Fn(&Accounts) -> Option<T>) -> Option<T> {
        let mut found: Vec<T> = self
            .accepted
            .iter()
            .filter_map(|sent| match &sent.command {
                Command::Account(command) => of(command),
                _ => None,
            })
            .collect();
        if found.is_empty() { None } else { Some(found.swap_remove(dice.below(found.len()))) }
    }

    fn receivable(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        let owed = self.known(dice, |command| match command {
            Accounts::BookReceivable(receivable) => {
                Some((receivable.receivable_id.clone(), receivable.amount.clone()))
            }
            _ => None,
        });
        match owed {
            Some((receivable_id, owed)) if !dice.one_in(3) => {
                let (recovery_id, amount) = (self.id("rcv"), around(dice, &owed));
                self.tell(Accounts::RecoverReceivable(RecoverReceivable {
                    recovery_id,
                    receivable_id,
                    amount,
                }))
            }
            _ if dice.one_in(4) => {
                let (recovery_id, receivable_id, amount) = (self.id("rcv"), self.id("owed"), price(dice));
                self.tell(Accounts::RecoverReceivable(RecoverReceivable {
                    recovery_id,
                    receivable_id,
                    amount,
                }))
            }
            _ => {
                let (receivable_id, amount) = (self.id("owed"), price(dice));
                self.tell(Accounts::BookReceivable(BookReceivable { receivable_id, amount }))
            }
        }
    }

    /// Sends a booking that no payment asks for. None may have an effect, whatever the state.
    fn what_is_refused(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        let hold_id = self.known(dice, |command| match command {
            Accounts::PlaceHold(place) => Some(place.hold_id.clone()),
            _ => None,
        });
        let hold_id = hold_id.unwrap_or_else(|| self.id("auth"));
        let held = self.account.state.holds().get(hold_id.as_str()).map_or(nothing(), |held| held.minor);
        let above = held.plus(Minor::new(1)).expect("far below 2^128");
        match dice.below(12) {
            11 => {
                let (reversal_id, clearing_id, hold_id) = (self.id("rvl"), self.id("clr"), self.id("auth"));
                let amount = price(dice);
                let reversal = BookClearingReversal { reversal_id, clearing_id, hold_id, amount };
                self.tell(Accounts::BookClearingReversal(reversal))
            }
            10 => self.assign_too_much(dice),
            9 => {
                let (dispute_id, step, amount) = (self.id("dsp"), DisputeStep::Won, price(dice));
                let awarded = amount.minor.plus(Minor::new(1)).ok();
                self.tell(Accounts::BookDispute(BookDispute { hold_id, dispute_id, step, amount, awarded }))
            }
            0 => {
                let (change_id, amount) = (self.id("msg"), above);
                let cause = LowerCause::Reversed;
                self.tell(Accounts::LowerHold(LowerHold { hold_id, change_id, amount, cause }))
            }
            1 | 2 => self.claim(hold_id, [nothing(), held], Residue::default()),
            3 => {
                let residue = Residue { over: Minor::new(1), under: Minor::new(1) };
                self.claim(hold_id, [Minor::new(5), nothing()], residue)
            }
            4 => self.raise_what_is_not_there(dice),
            5 => {
                let source = self.source();
                let step = dice.pick(&[FundingStep::Finalized, FundingStep::Reorged]);
                self.fund(hold_id, step, euro(5), source)
            }
            6 | 7 => {
                let leg = self.known(dice, |command| match command {
                    Accounts::BookFunding(funding) if funding.step != FundingStep::Included => {
                        Some(funding.clone())
                    }
                    _ => None,
                });
                // A leg that was reorganized away and came back is in transit, so it can go on.
                let leg = leg
                    .filter(|leg| !self.is_overtaken(&Command::Account(Accounts::BookFunding(leg.clone()))));
                let Some(leg) = leg else { return self.deposit(dice) };
                let other = match leg.step {
                    FundingStep::Finalized => FundingStep::Reorged,
                    _ => FundingStep::Finalized,
                };
                self.fund(leg.hold_id, other, leg.amount, leg.source)
            }
            _ => {
                let decided = self.known(dice, |command| match command {
                    Accounts::BookDispute(dispute) if dispute.step != DisputeStep::Provisional => {
                        Some(dispute.clone())
                    }
                    _ => None,
                });
                let Some(decided) = decided else { return self.deposit(dice) };
                let (step, awarded) = (DisputeStep::Provisional, None);
                self.tell(Accounts::BookDispute(BookDispute { step, awarded, ..decided }))
            }
        }
    }

    fn claim(
        &mut self,
        hold_id: ExternalId,
        [beyond_hold, released]: [Minor; 2],
        residue: Residue,
    ) -> Result<(), Broken> {
        let claim = BookClearing {
            clearing_id: self.id("clr"),
            hold_id,
            against_hold: Minor::new(1),
            beyond_hold,
            released,
            asset: euro(1).asset,
            residue,
        };
        self.tell(Accounts::BookClearing(claim))
    }

    /// Assigns more of a return to a payment than came back.
    fn assign_too_much(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        let refund = self.known(dice, |command| match command {
            Accounts::BookRefund(refund) => Some((refund.refund_id.clone(), refund.amount.clone())),
            _ => None,
        });
        let Some((refund_id, Amount { minor, asset })) = refund else { return self.deposit(dice) };
        let amount = Amount { minor: minor.plus(Minor::new(1)).expect("far below 2^128"), asset };
        let hold_id = self.id("auth");
        self.tell(Accounts::AssignReturn(AssignReturn { refund_id, hold_id, amount }))
    }

    fn raise_what_is_not_there(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        let (hold_id, change_id, amount) = (self.id("auth"), self.id("msg"), price(dice));
        self.tell(Accounts::RaiseHold(RaiseHold { hold_id, change_id, amount, forced: false }))
    }

    fn fund(
        &mut self,
        hold_id: ExternalId,
        step: FundingStep,
        amount: Amount,
        source: ChainSource,
    ) -> Result<(), Broken> {
        self.tell_by_chain(Accounts::BookFunding(BookFunding { hold_id, step, amount, source }))
    }
}
