//! Random commands, most of which make no sense.

use clearfold_kernel::{Amount, Asset, ChainSource, ExternalId, Hash, Message, Minor};
use proptest::prelude::*;

use super::super::messages::*;
use super::{asset, time};
use crate::network::{DisputeCycle, DisputeDirection, Network, Residue};

/// Index of `OpenAccount` among the commands.
const OPEN_ACCOUNT: usize = 0;

/// Random choices from which a command and its context are made.
#[derive(Debug, Clone)]
pub(super) struct Draw {
    command: usize,
    ids: [u8; 2],
    log: u8,
    minors: [u16; 3],
    asset: usize,
    choice: u8,
    is_forced: bool,
    /// Lag of the clock behind the number of the step, in seconds.
    pub(super) late_s: u64,
}

pub(super) fn draws() -> impl Strategy<Value = Vec<Draw>> {
    let minors = [0_u16..9, 0..3, 0..3];
    let draw = (
        0..Command::TYPES.len(),
        [0_u8..4, 0..4],
        0_u8..8,
        minors,
        0_usize..8,
        0_u8..3,
        any::<bool>(),
        0_u64..4,
    );
    let draw = draw.prop_map(|(command, ids, log, minors, asset, choice, is_forced, late_s)| Draw {
        command,
        ids,
        log,
        minors,
        asset,
        choice,
        is_forced,
        late_s,
    });
    // The second command opens the account, so that the first one comes before the opening: it is refused, or it is a
    // fact that opens the account itself.
    prop::collection::vec(draw, 1..150).prop_map(|mut draws| {
        draws.iter_mut().skip(1).take(1).for_each(|second| second.command = OPEN_ACCOUNT);
        draws
    })
}

impl Draw {
    /// Mostly one asset, sometimes a second one, at times one that the account did not name.
    fn asset(&self) -> Asset {
        match self.asset {
            0 => asset("GBPe", 18),
            1 | 2 => asset("USDC.e", 6),
            _ => asset("EURe", 18),
        }
    }

    /// Small number, sometimes zero, and now and then the largest amount.
    fn minor(&self, index: usize) -> Minor {
        match self.minors[index] {
            8 => Minor::LARGEST_AMOUNT,
            minor => Minor::new(minor.into()),
        }
    }

    fn amount(&self) -> Amount {
        Amount { minor: self.minor(0), asset: self.asset() }
    }

    /// Half of the time a log that only funding uses, so that some legs become final.
    fn leg(&self) -> ChainSource {
        let of_its_own = ChainSource { log_index: 100, ..self.source() };
        if self.is_forced { self.source() } else { of_its_own }
    }

    /// Amount for commands that are steps of one thing: half of the time a fixed one, so that the steps agree.
    fn agreed_amount(&self) -> Amount {
        let five = Amount { minor: Minor::new(5), asset: asset("EURe", 18) };
        if self.is_forced { self.amount() } else { five }
    }

    fn id(&self, index: usize) -> ExternalId {
        format!("id-{}", self.ids[index]).parse().unwrap()
    }

    fn source(&self) -> ChainSource {
        let (block_hash, transaction_hash) = (Hash([0x01; 32]), Hash([0x02; 32]));
        ChainSource {
            chain_id: 100,
            block_hash,
            block_number: 1,
            transaction_hash,
            log_index: self.log.into(),
        }
    }

    fn pick<T: Copy>(&self, of: [T; 3]) -> T {
        of[usize::from(self.choice)]
    }

    pub(super) fn command(&self) -> Command {
        let (source, amount, occurred_at) = (self.source(), self.amount(), time(0));
        let (id, other) = (self.id(0), self.id(1));
        match Command::TYPES[self.command].name {
            "OpenAccount" => {
                let (one, two) = (vec![asset("EURe", 18)], vec![asset("EURe", 18), asset("USDC.e", 6)]);
                Command::OpenAccount(OpenAccount { assets: self.pick([&two, &two, &one]).clone() })
            }
            "ObserveDelayQueue" => {
                let state = self.pick([DelayQueue::Empty, DelayQueue::Empty, DelayQueue::Waiting]);
                Command::ObserveDelayQueue(ObserveDelayQueue { state, source })
            }
            "RecordDeposit" => Command::RecordDeposit(RecordDeposit { amount, source, occurred_at }),
            "RevertDeposit" => Command::RevertDeposit(RevertDeposit { source }),
            "RecordWithdrawal" => Command::RecordWithdrawal(RecordWithdrawal { amount, source, occurred_at }),
            "RevertWithdrawal" => Command::RevertWithdrawal(RevertWithdrawal { source }),
            "PlaceHold" => Command::PlaceHold(PlaceHold {
                hold_id: id,
                amount,
                forced: self.is_forced,
                partial: false,
                unless_spent: false,
                asked_by: self.asked_by(),
                purchase: self.purchase(),
            }),
            "RaiseHold" => Command::RaiseHold(RaiseHold {
                hold_id: id,
                change_id: other,
                amount,
                forced: self.is_forced,
            }),
            "LowerHold" => {
                let cause = self.pick([LowerCause::Reversed, LowerCause::Reversed, LowerCause::Expired]);
                Command::LowerHold(LowerHold { hold_id: id, change_id: other, amount: self.minor(1), cause })
            }
            "VoidHold" => Command::VoidHold(VoidHold { hold_id: id }),
            "BookClearing" => Command::BookClearing(self.clearing()),
            "SuspendClearing" => Command::SuspendClearing(SuspendClearing {
                clearing_id: other,
                amount,
                hold_id: self.scope(),
            }),
            "ResolveSuspense" => {
                let outcome = self.pick([
                    SuspenseOutcome::Charged,
                    SuspenseOutcome::Returned,
                    SuspenseOutcome::Returned,
                ]);
                Command::ResolveSuspense(ResolveSuspense {
                    clearing_id: other,
                    outcome,
                    hold_id: self.scope(),
                })
            }
            "BookFunding" => Command::BookFunding(self.funding()),
            "RecordReturn" => Command::RecordReturn(RecordReturn { amount, source }),
            "BookRefund" => {
                let link = self.pick([RefundLink::Linked, RefundLink::Unlinked, RefundLink::Unlinked]);
                let source = self.is_forced.then_some(source);
                let reported_on = Some(other);
                Command::BookRefund(BookRefund { refund_id: id, amount, link, source, reported_on })
            }
            "ResolveRefund" => {
                let outcome =
                    self.pick([RefundOutcome::Paid, RefundOutcome::TakenBack, RefundOutcome::Returned]);
                // Only one payment is funded.
                let payment_id = self.is_forced.then(|| "id-0".parse().unwrap());
                Command::ResolveRefund(ResolveRefund { refund_id: id, outcome, payment_id })
            }
            "BookDispute" => Command::BookDispute(self.dispute()),
            "BookDisputeMoney" => Command::BookDisputeMoney(self.dispute_money()),
            "BookReceivable" => Command::BookReceivable(BookReceivable { receivable_id: id, amount }),
            "RecoverReceivable" => Command::RecoverReceivable(RecoverReceivable {
                recovery_id: other,
                receivable_id: id,
                amount,
            }),
            "RecordSettlement" => {
                use SettlementDirection::{Paid, Received};
                let direction = self.pick([Paid, Paid, Received]);
                Command::RecordSettlement(RecordSettlement { settlement_id: id, direction, amount })
            }
            "ChargeFee" => Command::ChargeFee(ChargeFee { fee_id: id, amount }),
            "MatchSpend" => Command::MatchSpend(MatchSpend { spend_id: id, amount, occurred_at }),
            "FindSpend" => Command::FindSpend(FindSpend { payment_id: id, amount }),
            "ReadMatch" => Command::ReadMatch(ReadMatch { spend_id: id }),
            "MoveFunding" => Command::MoveFunding(self.moved()),
            "BookRefundReversal" => Command::BookRefundReversal(BookRefundReversal {
                reversal_id: other.clone(),
                refund_id: id,
                reported_on: other,
                amount,
            }),
            "BookClearingReversal" => Command::BookClearingReversal(BookClearingReversal {
                reversal_id: other,
                clearing_id: "id-0".parse().unwrap(),
                hold_id: id,
                amount,
            }),
            "ReadRefund" => Command::ReadRefund(ReadRefund { refund_id: id }),
            "AssignReturn" => Command::AssignReturn(AssignReturn {
                refund_id: id,
                hold_id: "id-0".parse().unwrap(),
                amount,
            }),
            "FindHold" => Command::FindHold(FindHold {
                asked_by: id,
                message_id: other,
                amount: self.pick([None, None, Some(self.minor(1))]),
            }),
            "MatchClearing" => Command::MatchClearing(self.question()),
            "MoveClearing" => Command::MoveClearing(self.claim_moved()),
            new => panic!("{new} is drawn nowhere"),
        }
    }

    /// Purchase that a hold is for, if it is stated: of one of few cards.
    fn purchase(&self) -> Option<Box<Purchase>> {
        let MatchClearing { card_id, merchant_id, category, country, .. } = self.question();
        let (network, requested_at, terminal) = (Network::Visa, time(0), None);
        let purchase = Purchase { card_id, merchant_id, category, country, network, terminal, requested_at };
        (self.choice > 0).then(|| Box::new(purchase))
    }

    /// Question for the hold of a clearing.
    fn question(&self) -> MatchClearing {
        MatchClearing {
            payment_id: self.id(0),
            card_id: self.id(1),
            merchant_id: "m".parse().unwrap(),
            category: "5812".to_owned().try_into().unwrap(),
            country: self.pick(["DE", "DE", "US"]).to_owned().try_into().unwrap(),
            terminal: None,
            amount: self.amount(),
            occurred_at: time(0),
        }
    }

    /// Move of a claim between two of the payments, there and back.
    fn claim_moved(&self) -> MoveClearing {
        let to = self.pick([ClaimedOn::Payment, ClaimedOn::Payment, ClaimedOn::Origin]);
        let back = to == ClaimedOn::Origin;
        let zero = Minor::ZERO;
        MoveClearing {
            posted_on: self.id(0),
            payment_id: self.id(1),
            clearing_id: "linked".parse().unwrap(),
            link: self.log.into(),
            to,
            amount: self.amount(),
            against_hold: if back { zero } else { self.minor(1).min(self.minor(0)) },
            released: if back { zero } else { self.minor(2) },
            held: if back { self.minor(1) } else { zero },
        }
    }

    /// Numbers of a hold's request, if it states them.
    fn asked_by(&self) -> Option<ExternalId> {
        (self.choice > 0).then(|| self.id(1))
    }

    /// Payment of a clearing in suspense, if it is stated.
    fn scope(&self) -> Option<ExternalId> {
        (self.choice > 0).then(|| self.id(0))
    }

    /// Claim against a hold and beyond it, at times with a residue of its conversion, or with one that cannot be.
    fn clearing(&self) -> BookClearing {
        let residue = self.pick([
            Residue::default(),
            Residue { over: Minor::ZERO, under: Minor::new(1) },
            Residue { over: Minor::new(1), under: Minor::new(1) },
        ]);
        BookClearing {
            clearing_id: self.id(1),
            hold_id: self.id(0),
            against_hold: self.minor(1),
            beyond_hold: self.minor(0),
            released: self.minor(2),
            asset: self.asset(),
            residue,
        }
    }

    /// Step of a leg, always of the same hold, so that the steps agree.
    fn funding(&self) -> BookFunding {
        let step = self.pick([FundingStep::Included, FundingStep::Finalized, FundingStep::Reorged]);
        let hold_id = "id-0".parse().unwrap();
        BookFunding { hold_id, step, amount: self.agreed_amount(), source: self.leg() }
    }

    /// Move of the one payment's leg, there and back.
    fn moved(&self) -> MoveFunding {
        let to = self.pick([FundedBy::Payment, FundedBy::Payment, FundedBy::Spend]);
        MoveFunding {
            spend_id: "id-0".parse().unwrap(),
            payment_id: "id-1".parse().unwrap(),
            link: self.pick([1, 2, 3]),
            is_gone: self.pick([false, false, true]),
            to,
            held: if to == FundedBy::Spend { self.agreed_amount().minor } else { Minor::ZERO },
            amount: self.agreed_amount(),
            source: self.leg(),
        }
    }

    /// Money of one of the disputes, at times of none, and at times of a withdrawal that moves nothing.
    fn dispute_money(&self) -> BookDisputeMoney {
        let cycle =
            self.pick([DisputeCycle::Chargeback, DisputeCycle::Representment, DisputeCycle::Withdrawal]);
        BookDisputeMoney {
            record_id: self.id(1),
            hold_id: self.id(1),
            dispute_id: self.id(0),
            cycle,
            direction: self.pick([
                DisputeDirection::Received,
                DisputeDirection::Paid,
                DisputeDirection::Paid,
            ]),
            amount: self.amount(),
        }
    }

    /// Step of a dispute; a won one is at times won in part.
    fn dispute(&self) -> BookDispute {
        BookDispute {
            hold_id: self.id(1),
            dispute_id: self.id(0),
            step: self.pick([DisputeStep::Provisional, DisputeStep::Won, DisputeStep::Lost]),
            amount: self.agreed_amount(),
            awarded: self.pick([None, None, Some(self.minor(1))]),
        }
    }
}
