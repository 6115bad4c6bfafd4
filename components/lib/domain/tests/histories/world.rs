//! One account with its cards and payments, and all commands that are in flight between them.
//!
//! Every command goes through [`World::send`], which checks everything that must hold.

use std::collections::BTreeMap;

use clearfold_domain::account::{self, Account};
use clearfold_domain::authorization::{self, Authorization};
use clearfold_domain::bookings;
use clearfold_domain::card::{self, Card};
use clearfold_domain::invariants::{Happened, Tally};
use clearfold_domain::network::MatchBasis;
use clearfold_kernel::{Asset, CommandContext, Encoded, Message, Minor, Timestamp, Violation};

use crate::coverage::Coverage;
use crate::facts;
use crate::fees;
use crate::live::{Broken, Live};
use crate::pending::Pending;

pub const ACCOUNT: &str = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub const ANOTHER_ACCOUNT: &str = "0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
pub const CARDS: [&str; 3] = ["card-1", "card-2", "card-3"];
/// 2026-11-22T10:00:00Z.
const BEGIN_MS: u64 = 1_795_341_600_000;

/// Command with the stream that it is for.
#[derive(Debug, Clone)]
pub enum Command {
    Account(account::Command),
    Card(String, card::Command),
    Payment(String, authorization::Command),
}

#[derive(Debug, Clone)]
pub struct Sent {
    pub command: Command,
    pub actor: &'static str,
    pub routing_key: &'static str,
}

/// Number of events that a command caused, or the code of its rejection.
pub type Answer = Result<usize, String>;

#[derive(Default)]
pub struct World {
    pub now_ms: u64,
    /// Milliseconds by which the host's clock is behind, during a step of the history.
    pub behind_ms: u64,
    pub account: Live<Account>,
    pub cards: BTreeMap<String, Live<Card>>,
    pub payments: BTreeMap<String, Live<Authorization>>,
    /// Ids of the payments, in the order in which they began.
    pub order: Vec<String>,
    pub queue: Vec<Pending>,
    /// Commands that were accepted and had an effect.
    pub accepted: Vec<Sent>,
    pub coverage: Coverage,
    /// Record of the history, line by line; None if it is not printed.
    pub script: Option<Vec<String>>,
    tally: Tally,
    names: u64,
}

impl World {
    pub fn new(is_read: bool) -> Self {
        Self { now_ms: BEGIN_MS, script: is_read.then(Vec::new), ..Self::default() }
    }

    /// Makes a name that is not used yet.
    pub fn name(&mut self, of: &str) -> String {
        self.names += 1;
        format!("{of}-{}", self.names)
    }

    pub fn number(&mut self) -> u64 {
        self.names += 1;
        self.names
    }

    /// Sends a command and checks everything that must hold afterwards.
    pub fn send(&mut self, sent: &Sent) -> Result<Answer, Broken> {
        let answer = match &sent.command {
            Command::Account(command) => self.send_to_account(command, sent),
            Command::Card(id, command) => self.send_to_card(id, command, sent),
            Command::Payment(id, command) => self.send_to_payment(id, command, sent),
        };
        let answer = answer.map_err(|broken| format!("{}: {broken}", self.shown(sent)))?;
        if let Some(script) = &mut self.script {
            let at = clock(self.now_ms - self.behind_ms);
            script.push(format!("{at} {} → {answer:?}", sent.shown()));
        }
        if answer.as_ref().is_ok_and(|count| *count > 0) {
            self.accepted.push(sent.clone());
        }
        Ok(answer)
    }

    fn shown(&mut self, sent: &Sent) -> String {
        let shown = sent.shown();
        if let Some(script) = &mut self.script {
            script.push(format!("broken by {shown}"));
        }
        shown
    }

    fn context(&self, id: &str, sent: &Sent) -> CommandContext {
        CommandContext {
            id: id.to_owned(),
            routing_key: sent.routing_key.to_owned(),
            actor: sent.actor.to_owned(),
            accepted_at: clock(self.now_ms - self.behind_ms),
        }
    }

    fn send_to_account(&mut self, command: &account::Command, sent: &Sent) -> Result<Answer, Broken> {
        let context = self.context(ACCOUNT, sent);
        let decided = self.account.take(command, &context)?;
        let answer = self.coverage.count("account", &decided)?;
        let stream = format!("account-{ACCOUNT}");
        for event in decided.iter().flatten() {
            holds(&self.tally.observe(&stream, Happened::Account(event)))?;
            if let account::Event::SpendMatched(event) = event {
                let (payment_id, basis) = (event.payment_id.clone(), event.basis);
                self.queue.push(Pending::link(event.spend_id.as_str(), payment_id, basis));
            }
        }
        for event in decided.iter().flatten() {
            self.refund_matched(event);
        }
        if let Err(named) = &decided
            && let Some((_, spend)) = named.detail.split_once(' ').filter(|_| named.code == "spend_matched")
        {
            self.queue.extend(match command {
                account::Command::FindSpend(find) => {
                    Some(Pending::link(spend, find.payment_id.clone(), MatchBasis::OnlyOne))
                }
                account::Command::PlaceHold(hold) => {
                    Some(Pending::expect(&hold.hold_id, spend, hold.amount.clone()))
                }
                _ => None,
            });
        }
        holds(&self.tally.compare_account(&stream, &self.account.state))?;
        Ok(answer)
    }

    fn send_to_card(&mut self, id: &str, command: &card::Command, sent: &Sent) -> Result<Answer, Broken> {
        let context = self.context(id, sent);
        let decided = self.cards.entry(id.to_owned()).or_default().take(command, &context)?;
        let answer = self.coverage.count("card", &decided)?;
        for event in decided.iter().flatten() {
            holds(&self.tally.observe(&format!("card-{id}"), Happened::Card(event)))?;
        }
        Ok(answer)
    }

    fn send_to_payment(
        &mut self,
        id: &str,
        command: &authorization::Command,
        sent: &Sent,
    ) -> Result<Answer, Broken> {
        let context = self.context(id, sent);
        if !self.payments.contains_key(id) {
            self.order.push(id.to_owned());
        }
        let payment = self.payments.entry(id.to_owned()).or_default();
        let mut before = payment.state.clone();
        let decided = payment.take(command, &context)?;
        if let Err(refused) = &decided {
            facts::is_kept(&before, command, &context, &refused.code)?;
        }
        let answer = self.coverage.count("authorization", &decided)?;
        let (stream, hold_id) = (format!("authorization-{id}"), id.parse().expect("our own id"));
        for event in decided.iter().flatten() {
            holds(&self.tally.observe(&stream, Happened::Authorization(event)))?;
            let of_account =
                bookings::of_account(&hold_id, &before, event).map_err(|error| error.to_string())?;
            let of_card = bookings::of_card(&hold_id, &before, event).map_err(|error| error.to_string())?;
            self.queue.extend(of_account.into_iter().map(|command| Pending::account_booking(id, command)));
            self.queue
                .extend(of_card.into_iter().map(|(card, command)| Pending::card_booking(id, card, command)));
            if let Some((other, command)) =
                bookings::of_payment(&hold_id, &before, event).map_err(|error| error.to_string())?
            {
                self.queue.push(Pending::to_payment(id, other.as_str(), command));
            }
            self.begin_saga(id, event);
            self.follow_link(id, &before, event);
            self.follow_clearing(id, &before, event)?;
            let after = <Authorization as clearfold_kernel::Decider>::evolve(before.clone(), event);
            self.find_spend(id, &before, &after);
            before = after;
        }
        if let Err(named) = &decided
            && let Some((payment_id, _)) =
                named.detail.split_once(' ').filter(|_| named.code == "return_of_linked_spend")
        {
            self.queue.push(Pending::to_payment(id, payment_id, command.clone()));
        }
        holds(&self.tally.compare_authorization(&stream, &self.payments[id].state))?;
        Ok(answer)
    }

    /// Checks what must hold of every stream at any time.
    pub fn folds(&mut self) -> Result<(), Broken> {
        self.account.folds()?;
        self.cards.values().try_for_each(Live::folds)?;
        self.payments.values().try_for_each(Live::folds)
    }

    pub fn take_snapshots(&mut self) -> Result<(), Broken> {
        self.account.take_snapshot()?;
        self.cards.values_mut().try_for_each(Live::take_snapshot)?;
        self.payments.values_mut().try_for_each(Live::take_snapshot)
    }

    /// Checks what must hold at the end, when no command is in flight.
    pub fn settled(&mut self) -> Result<(), Broken> {
        self.account.folds_as_stored()?;
        self.cards.values_mut().try_for_each(Live::folds_as_stored)?;
        self.payments.values_mut().try_for_each(Live::folds_as_stored)?;
        for (id, live) in &self.payments {
            let (owed_back, stated) = (live.state.owed_back(), live.state.legs.owed_back);
            if owed_back != stated {
                return Err(format!("{id} owes {owed_back} back and states {stated}"));
            }
        }
        self.owes_as_stated()?;
        fees::agree(&self.payments)?;
        if self.is_open() { holds(&self.tally.settle(&format!("account-{ACCOUNT}"))) } else { Ok(()) }
    }

    /// Checks that the account owes back what its payments owe, unless a `Spend` is linked to a payment that cannot have
    /// it: then an operator unlinks it.
    fn owes_as_stated(&self) -> Result<(), Broken> {
        let is_halfway = |(id, live): (&String, &Live<Authorization>)| {
            let payment = live.state.linked_to().map(|payment_id| self.payments.get(payment_id.as_str()));
            let has =
                |live: &Live<Authorization>| live.state.links.taken.keys().any(|spend| spend.as_str() == id);
            payment.is_some_and(|payment| !payment.is_some_and(has))
        };
        if self.payments.iter().any(is_halfway) {
            return Ok(());
        }
        let mut stated: BTreeMap<Asset, Minor> = BTreeMap::new();
        for live in self.payments.values() {
            if let Some(payment) = live.state.payment() {
                let sum = stated.entry(payment.asset.clone()).or_default();
                *sum = sum.plus(live.state.owed_back()).map_err(|error| error.to_string())?;
            }
        }
        for (asset, stated) in stated {
            let owed = self.account.state.owed_back(&asset);
            if self.is_open() && owed != stated {
                return Err(format!(
                    "{stated} {} is owed back by the payments, {owed} by the books",
                    asset.code
                ));
            }
        }
        Ok(())
    }

    /// Returns true if something else makes the observations of pulls.
    pub const fn has_chain(&self) -> bool {
        false
    }

    pub fn is_open(&self) -> bool {
        self.account.state.is_open()
    }
}

fn holds(violations: &[Violation]) -> Result<(), Broken> {
    if violations.is_empty() {
        return Ok(());
    }
    let lines = violations.iter().map(|violation| {
        format!("{}: {} ({})", violation.invariant, violation.detail, violation.streams.join(", "))
    });
    Err(lines.collect::<Vec<_>>().join("; "))
}

impl Command {
    pub fn encode(&self) -> Encoded {
        match self {
            Self::Account(command) => command.encode(),
            Self::Card(_, command) => command.encode(),
            Self::Payment(_, command) => command.encode(),
        }
        .expect("a command can be written")
    }

    /// Decodes a command of the same stream from its kind and payload; None if it is not valid.
    pub fn with_payload(&self, kind: &str, payload: &[u8]) -> Option<Self> {
        fn read<M: Message>(kind: &str, payload: &[u8]) -> Option<M> {
            let version = M::TYPES.iter().find(|known| known.name == kind)?.schema_version;
            M::decode(kind, version, payload).ok()
        }
        Some(match self {
            Self::Account(_) => Self::Account(read(kind, payload)?),
            Self::Card(id, _) => Self::Card(id.clone(), read(kind, payload)?),
            Self::Payment(id, _) => Self::Payment(id.clone(), read(kind, payload)?),
        })
    }
}

fn clock(ms: u64) -> Timestamp {
    Timestamp::from_ms(ms).expect("before the year 10000")
}

impl Sent {
    pub fn new(command: Command) -> Self {
        Self { command, actor: "api", routing_key: ACCOUNT }
    }

    pub fn by_chain(command: Command) -> Self {
        Self { actor: CommandContext::CHAIN, ..Self::new(command) }
    }

    pub fn by_saga(command: Command) -> Self {
        Self { actor: CommandContext::SAGA, ..Self::new(command) }
    }

    fn shown(&self) -> String {
        let to = match &self.command {
            Command::Account(_) => "account",
            Command::Card(id, _) | Command::Payment(id, _) => id,
        };
        let Encoded { kind, payload, .. } = self.command.encode();
        let payload = String::from_utf8_lossy(&payload);
        let by = if self.actor == "api" { String::new() } else { format!(" by {}", self.actor) };
        format!("{to} ← {kind}{by} {payload}")
    }
}
