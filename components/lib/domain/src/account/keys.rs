//! Keys of the entries that a command or an event needs: the ids that it names, each with the kinds of identity under
//! which it is looked up.
//!
//! A rule that reads another entry must name its key here. If a key is missing, the turn fails and decides nothing.

use clearfold_kernel::{ChainSource, ExternalId};

use super::asked::asked_key;
use super::dispute::dispute_key;
use super::dispute_money::money_key;
use super::held::held_key;
use super::identity::{Identity, Kind};
use super::messages::{Command, Event};
use super::receivable::owed_key;

/// Keys that deciding a command reads, and folding the events that it causes.
pub(super) fn of_command(command: &Command) -> Vec<String> {
    match command {
        Command::OpenAccount(_) => Vec::new(),
        Command::ObserveDelayQueue(command) => of_log(&command.source),
        Command::RecordDeposit(command) => of_log(&command.source),
        Command::RevertDeposit(command) => of_log(&command.source),
        Command::RecordWithdrawal(command) => of_log(&command.source),
        Command::RevertWithdrawal(command) => of_log(&command.source),
        Command::RecordReturn(command) => of_log(&command.source),
        Command::PlaceHold(command) => {
            let holds = of_hold(&command.hold_id, &[Kind::Hold, Kind::ForcedHold]);
            holds.into_iter().chain(command.asked_by.as_ref().map(asked_key)).collect()
        }
        Command::FindHold(command) => vec![asked_key(&command.asked_by)],
        Command::VoidHold(command) => of_hold(&command.hold_id, &[Kind::ForcedHold]),
        Command::RaiseHold(command) => on_hold(&command.hold_id, Kind::Raise, &command.change_id),
        Command::LowerHold(command) => on_hold(&command.hold_id, Kind::Lowering, &command.change_id),
        Command::BookClearing(command) => on_hold(&command.hold_id, Kind::Clearing, &command.clearing_id),
        Command::BookClearingReversal(command) => {
            on_hold(&command.hold_id, Kind::ClearingReversal, &command.reversal_id)
        }
        Command::BookRefundReversal(command) => {
            let id = Identity::of_hold(Kind::RefundReversal, &command.reported_on, &command.reversal_id);
            [of_id(&command.refund_id, &[Kind::Refund]), vec![id.key()]].concat()
        }
        Command::SuspendClearing(command) => {
            vec![Identity::within(Kind::Suspension, command.hold_id.as_ref(), &command.clearing_id).key()]
        }
        Command::ResolveSuspense(command) => {
            let scopes = command.hold_id.iter().map(Some).chain([None]);
            let ids = scopes.flat_map(|scope| {
                let within = |kind| Identity::within(kind, scope, &command.clearing_id).key();
                [Kind::Suspension, Kind::Resolution].map(within)
            });
            ids.collect()
        }
        Command::BookFunding(command) => of_leg(&command.hold_id, &command.source),
        Command::BookRefund(command) => {
            let log = command.source.iter().flat_map(of_log);
            log.chain(of_id(&command.refund_id, &[Kind::Refund])).collect()
        }
        Command::ResolveRefund(command) => {
            let ids = of_id(&command.refund_id, &[Kind::Refund, Kind::RefundResolution]);
            ids.into_iter().chain(command.payment_id.as_ref().map(held_key)).collect()
        }
        Command::ReadRefund(command) => of_id(&command.refund_id, &[Kind::Refund]),
        Command::AssignReturn(command) => {
            let kinds = [Kind::RefundResolution, Kind::ReturnAssignment];
            let ids = of_id(&command.refund_id, &kinds);
            [ids, vec![held_key(&command.hold_id)]].concat()
        }
        Command::BookDispute(command) => {
            let kinds = [Kind::ProvisionalCredit, Kind::DisputeOutcome];
            let money = money_key(&dispute_key(&command.hold_id, &command.dispute_id));
            kinds.map(|kind| command.identity(kind).key()).into_iter().chain([money]).collect()
        }
        Command::BookDisputeMoney(command) => {
            let id = Identity::of_hold(Kind::DisputeMoney, &command.hold_id, &command.record_id);
            vec![id.key(), money_key(&dispute_key(&command.hold_id, &command.dispute_id))]
        }
        Command::BookReceivable(command) => {
            let id = &command.receivable_id;
            [of_id(id, &[Kind::Receivable]), vec![owed_key(id)]].concat()
        }
        Command::RecoverReceivable(command) => {
            [of_id(&command.recovery_id, &[Kind::Recovery]), vec![owed_key(&command.receivable_id)]].concat()
        }
        Command::RecordSettlement(command) => of_id(&command.settlement_id, &[Kind::Settlement]),
        Command::ChargeFee(command) => of_id(&command.fee_id, &[Kind::Fee]),
        Command::MatchSpend(command) => {
            let mut keys = of_hold(&command.spend_id, &[Kind::Hold, Kind::ForcedHold]);
            keys.extend(of_id(&command.spend_id, &[Kind::Match]));
            keys
        }
        Command::FindSpend(_) => Vec::new(),
        Command::ReadMatch(command) => of_id(&command.spend_id, &[Kind::Match]),
        Command::MoveFunding(command) => {
            let mut keys = of_move(&command.spend_id, &command.payment_id, &command.source);
            keys.push(Identity::moved(&command.spend_id, command.link, command.to).key());
            keys
        }
        Command::MatchClearing(_) => Vec::new(),
        Command::MoveClearing(command) => vec![
            Identity::claim_moved(&command.posted_on, command.link, command.to).key(),
            held_key(&command.posted_on),
            held_key(&command.payment_id),
        ],
    }
}

/// Keys that folding an event reads: its identities, and the other entries that it changes.
pub(super) fn of_event(event: &Event) -> Vec<String> {
    let besides = match event {
        Event::HoldPlaced(event) => {
            [held_key(&event.hold_id)].into_iter().chain(event.asked_by.as_ref().map(asked_key)).collect()
        }
        Event::HoldPrevented(event) => vec![asked_key(&event.asked_by)],
        Event::HoldRaised(event) => vec![held_key(&event.hold_id)],
        Event::HoldLowered(event) => vec![held_key(&event.hold_id)],
        Event::HoldVoided(event) => vec![held_key(&event.hold_id)],
        Event::ClearingBooked(event) => vec![held_key(&event.hold_id)],
        Event::ClearingReversalBooked(event) => vec![held_key(&event.hold_id)],
        Event::ClearingMoved(event) => vec![held_key(&event.posted_on), held_key(&event.payment_id)],
        Event::FundingBooked(event) => of_leg(&event.hold_id, &event.source),
        Event::FundingMoved(event) => of_move(&event.spend_id, &event.payment_id, &event.source),
        Event::RefundResolved(event) => event.payment_id.iter().map(held_key).collect(),
        Event::ReturnAssigned(event) => vec![held_key(&event.hold_id)],
        Event::DisputeBooked(event) => vec![money_key(&event.key())],
        Event::DisputeMoneyBooked(event) => vec![money_key(&event.key())],
        Event::ReceivableBooked(event) => vec![owed_key(&event.receivable_id)],
        Event::ReceivableRecovered(event) => vec![owed_key(&event.receivable_id)],
        _ => Vec::new(),
    };
    let ids = event.identities();
    let logs = ids.iter().filter_map(Identity::reorg).collect::<Vec<_>>();
    ids.iter().chain(&logs).map(Identity::key).chain(besides).collect()
}

/// Keys of a log, and of its reorganization.
fn of_log(source: &ChainSource) -> Vec<String> {
    let log = Identity::log(source);
    log.reorg().iter().chain([&log]).map(Identity::key).collect()
}

/// Keys of a funding leg's log, of its reorganization, of its finality, and of the hold that it funds.
fn of_leg(hold_id: &ExternalId, source: &ChainSource) -> Vec<String> {
    let mut keys = of_log(source);
    keys.extend([Identity::finality(source).key(), held_key(hold_id)]);
    keys
}

/// Keys of a log, and of both sides that its money can belong to.
fn of_move(spend_id: &ExternalId, payment_id: &ExternalId, source: &ChainSource) -> Vec<String> {
    let mut keys = of_leg(spend_id, source);
    keys.push(held_key(payment_id));
    keys.extend(of_id(spend_id, &[Kind::ForcedHold]));
    keys
}

fn of_id(id: &ExternalId, kinds: &[Kind]) -> Vec<String> {
    kinds.iter().map(|kind| Identity::new(*kind, id).key()).collect()
}

fn of_hold(hold_id: &ExternalId, kinds: &[Kind]) -> Vec<String> {
    let mut keys = of_id(hold_id, kinds);
    keys.push(held_key(hold_id));
    keys
}

/// Keys of a hold, and of a change to it that has an id of its own within the hold's payment.
fn on_hold(hold_id: &ExternalId, kind: Kind, id: &ExternalId) -> Vec<String> {
    vec![Identity::of_hold(kind, hold_id, id).key(), held_key(hold_id)]
}
