//! One account with its cards and payments, and the saga that works between them.
//!
//! Every command goes through [`World::send`], which checks the model's invariants. Inputs of one instance are decided
//! in the order in which they came; everything else may come in any order.

use std::collections::BTreeMap;

use clearfold_domain::account::{self, Account};
use clearfold_domain::authorization::{self, Authorization, Payment, Status};
use clearfold_domain::card::{self, Card};
use clearfold_domain::invariants::{Happened, Tally};
use clearfold_kernel::{
    Asset, CommandContext, Decider, Encoded, Message, Minor, Rejection, Timestamp, Violation,
};

use crate::chain::Chain;
use crate::dice::Dice;
use crate::engine::{Child, Doing, Input, Instance, Place};
use crate::live::{Broken, Live};

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
    pub account: Live<Account>,
    pub cards: BTreeMap<String, Live<Card>>,
    pub payments: BTreeMap<String, Live<Authorization>>,
    pub instances: BTreeMap<String, Instance>,
    /// Ids of the payments, in the order in which they began.
    pub order: Vec<String>,
    /// Ids of the payments of whose instances something can be done now.
    pub queue: Vec<String>,
    /// Commands that were accepted and had an effect.
    pub accepted: Vec<Sent>,
    /// One in this number of the saga's commands cannot be decided.
    pub fails_one_in: usize,
    /// True if the host has money pulled on chain.
    pub offers_pulls: bool,
    pub chain: Chain,
    tally: Tally,
    names: u64,
}

impl World {
    pub fn new() -> Self {
        Self { now_ms: BEGIN_MS, fails_one_in: usize::MAX, ..Self::default() }
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
        let decided = self.decide(sent)?;
        Ok(decided.map_err(|rejection| rejection.code))
    }

    fn decide(&mut self, sent: &Sent) -> Result<Result<usize, Rejection>, Broken> {
        let decided = match &sent.command {
            Command::Account(command) => self.tell_account(command, sent),
            Command::Card(id, command) => self.tell_the_card(id, command, sent),
            Command::Payment(id, command) => self.tell_payment(id, command, sent),
        };
        let decided = decided.map_err(|broken| format!("{:?}: {broken}", sent.command))?;
        if decided.as_ref().is_ok_and(|count| *count > 0) {
            self.accepted.push(sent.clone());
        }
        self.refresh();
        Ok(decided)
    }

    fn context(&self, id: &str, sent: &Sent) -> CommandContext {
        CommandContext {
            id: id.to_owned(),
            routing_key: sent.routing_key.to_owned(),
            actor: sent.actor.to_owned(),
            accepted_at: self.now(),
        }
    }

    fn tell_account(
        &mut self,
        command: &account::Command,
        sent: &Sent,
    ) -> Result<Result<usize, Rejection>, Broken> {
        let context = self.context(ACCOUNT, sent);
        let decided = self.account.take(command, &context)?;
        let stream = format!("account-{ACCOUNT}");
        for event in decided.iter().flatten() {
            holds(&self.tally.observe(&stream, Happened::Account(event)))?;
        }
        holds(&self.tally.compare_account(&stream, &self.account.state))?;
        Ok(decided.map(|events| events.len()))
    }

    fn tell_the_card(
        &mut self,
        id: &str,
        command: &card::Command,
        sent: &Sent,
    ) -> Result<Result<usize, Rejection>, Broken> {
        let context = self.context(id, sent);
        let decided = self.cards.entry(id.to_owned()).or_default().take(command, &context)?;
        for event in decided.iter().flatten() {
            holds(&self.tally.observe(&format!("card-{id}"), Happened::Card(event)))?;
        }
        Ok(decided.map(|events| events.len()))
    }

    fn tell_payment(
        &mut self,
        id: &str,
        command: &authorization::Command,
        sent: &Sent,
    ) -> Result<Result<usize, Rejection>, Broken> {
        let context = self.context(id, sent);
        if !self.payments.contains_key(id) {
            self.order.push(id.to_owned());
        }
        let payment = self.payments.entry(id.to_owned()).or_default();
        let mut owing = payment.state.clone();
        let decided = payment.take(command, &context)?;
        // The saga sees one event after the other, and may ask for what is due between two of them.
        for event in decided.iter().flatten() {
            owing = Authorization::evolve(owing, event);
            self.chain.owes(id, owing.owed().get());
        }
        let stream = format!("authorization-{id}");
        let pulls = ["pull", "pull-leg"].map(str::to_owned);
        let effects = || pulls.into_iter().filter(|_| self.offers_pulls).collect();
        let instance = self.instances.entry(id.to_owned()).or_insert_with(|| Instance::offered(effects()));
        for event in decided.iter().flatten() {
            holds(&self.tally.observe(&stream, Happened::Authorization(event)))?;
            instance.inputs.push_back(Input::Observe(event.encode().expect("an event can be written")));
        }
        holds(&self.tally.compare_authorization(&stream, &self.payments[id].state))?;
        Ok(decided.map(|events| events.len()))
    }

    pub fn refresh(&mut self) {
        let now = self.now();
        let can_go_on = |instance: &Instance| {
            let is_due = instance.next_timer().is_some_and(|(until, _)| until <= now);
            is_due || !instance.inputs.is_empty() || !instance.asked().is_empty()
        };
        let ready = self.instances.iter().filter(|(_, instance)| can_go_on(instance));
        self.queue = ready.map(|(id, _)| id.clone()).collect();
    }

    /// Does the next thing of a random instance: decides an input, or a command that one of its steps sent.
    pub fn deliver(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        self.refresh();
        if self.queue.is_empty() {
            return Ok(());
        }
        let id = dice.pick(&self.queue);
        let place = Place::of(&id, self.now());
        let instance = self.instances.get_mut(&id).expect("an instance");
        instance.fire(&place);
        let asked = instance.asked();
        if asked.is_empty() || (!instance.inputs.is_empty() && dice.one_in(2)) {
            instance.take(&place);
        } else {
            let (flow, child) = dice.pick(&asked);
            let answer = match dice.one_in(self.fails_one_in) {
                true => Err(failed()),
                false => self.decide(&Sent::of_saga(&child))?.map(drop),
            };
            let instance = self.instances.get_mut(&id).expect("an instance");
            instance.inputs.push_back(Input::Answer { flow, answer });
        }
        self.refresh();
        Ok(())
    }

    /// Has the host fail to decide the command that a payment's instance asks for.
    pub fn fail(&mut self, id: &str) {
        let instance = self.instances.get_mut(id).expect("an instance");
        for (flow, _) in instance.asked() {
            instance.inputs.push_back(Input::Answer { flow, answer: Err(failed()) });
        }
    }

    /// Does everything that can be done without waiting for an expiry. Fails if a flow is parked that no pull needs.
    pub fn deliver_all(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        loop {
            self.refresh();
            if !self.queue.is_empty() {
                self.deliver(dice)?;
                continue;
            }
            if self.chain_goes_on(dice)? {
                continue;
            }
            let attempts =
                self.instances.values().flat_map(Instance::running).filter_map(|flow| match flow.doing {
                    Doing::Deferred(until, _) | Doing::Put(until) => Some(until),
                    // A funding flow that waits reads again whether the listener has reported.
                    Doing::Wait(until) if ["fund", "match"].contains(&flow.name) => Some(until),
                    _ => None,
                });
            match attempts.min() {
                Some(until) => self.now_ms = self.now_ms.max(until.as_ms()),
                None => return self.nothing_is_parked(),
            }
        }
    }

    /// Waits until every hold has expired that nothing else ends.
    pub fn expire_all(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        self.deliver_all(dice)?;
        while let Some((until, _)) = self.instances.values().filter_map(Instance::next_timer).min() {
            self.now_ms = self.now_ms.max(until.as_ms());
            self.deliver_all(dice)?;
        }
        // An open exposure waits for an operator.
        while self.instances.values().any(|instance| !instance.parked_pulls().is_empty()) {
            self.order(false);
            self.deliver_all(dice)?;
        }
        match self.instances.iter().find(|(_, instance)| !instance.lanes.is_empty()) {
            Some((id, _)) => Err(format!("{id} has a flow that waits for nothing")),
            None => Ok(()),
        }
    }

    fn nothing_is_parked(&self) -> Result<(), Broken> {
        for (id, instance) in &self.instances {
            for flow in instance.running() {
                if let Doing::Parked(why) = &flow.doing
                    && !["fund", "recover"].contains(&flow.name)
                {
                    return Err(format!("the flow `{}` of {id} is parked: {why}", flow.name));
                }
            }
        }
        Ok(())
    }

    /// Checks what must hold when nothing is on its way: no half of a pair is missing, and every memory is right.
    pub fn settled(&mut self) -> Result<(), Broken> {
        self.account.folds_as_stored()?;
        self.cards.values_mut().try_for_each(Live::folds_as_stored)?;
        self.payments.values_mut().try_for_each(Live::folds_as_stored)?;
        for (id, instance) in &self.instances {
            self.remembers(id, instance)?;
            self.counts(id)?;
        }
        self.whole()?;
        self.owes_as_stated()?;
        if self.account.state.is_open() {
            return holds(&self.tally.settle(&format!("account-{ACCOUNT}")));
        }
        Ok(())
    }

    /// Checks that the account owes back what its payments state.
    fn owes_as_stated(&self) -> Result<(), Broken> {
        let mut stated: BTreeMap<Asset, Minor> = BTreeMap::new();
        for live in self.payments.values() {
            if let Some(payment) = live.state.payment() {
                let sum = stated.entry(payment.asset.clone()).or_default();
                *sum = sum.plus(live.state.owed_back()).expect("the amounts fit");
            }
        }
        for (asset, stated) in stated {
            let owed = self.account.state.owed_back(&asset);
            if self.account.state.is_open() && owed != stated {
                return Err(format!("{stated} {} is stated as owed back, the books say {owed}", asset.code));
            }
        }
        Ok(())
    }

    /// Checks that a memory is the payment's state, but for reversals that came before there was a payment.
    fn remembers(&self, id: &str, instance: &Instance) -> Result<(), Broken> {
        let Some((version, bytes)) = instance.memory.split_first() else {
            return match self.payments[id].state.subject {
                authorization::Subject::Nothing => Ok(()),
                _ => Err(format!("{id} has no memory")),
            };
        };
        assert_eq!(u32::from(*version), Authorization::STATE_VERSION, "the memory names its version");
        let memory: authorization::State = clearfold_kernel::decode_state(bytes).expect("a state");
        let is = &self.payments[id].state;
        if (&memory.subject, &memory.advices, &memory.increments, &memory.legs)
            == (&is.subject, &is.advices, &is.increments, &is.legs)
        {
            return Ok(());
        }
        Err(format!("{id} is {is:?} and is remembered as {memory:?}"))
    }

    /// Checks that the cards count nothing of a payment that was not made, and at least what was paid.
    fn counts(&self, id: &str) -> Result<(), Broken> {
        let Some(payment) = self.payment(id) else { return Ok(()) };
        let (now, payment_id) = (self.now(), id.parse().expect("our own id"));
        let counted = self.cards.values().try_fold(Minor::ZERO, |sum, live| match &live.state {
            card::State::New(_) => Ok(sum),
            card::State::Issued(card) => sum.plus(card.usage.of_payment(&payment_id, &payment.asset, now)?),
        });
        let (counted, captured) = (counted.expect("the amounts fit"), payment.totals.captured());
        let is_over = !payment.status.is_open() && payment.status != Status::Requested;
        if is_over && captured == Minor::ZERO && counted > Minor::ZERO {
            return Err(format!("{id} is {:?}, and the cards count {counted} of it", payment.status));
        }
        // A card counts nothing from before its issue, and forgets after 31 days.
        let begun = payment.entry.request().map(|request| request.at);
        let is_counted = begun.is_some_and(|begun| {
            let is_recent = now.as_ms() - begun.as_ms() < 31 * 24 * 60 * 60 * 1000;
            let was_issued = |live: &Live<Card>| match live.events.first() {
                Some(card::Event::CardIssued(issued)) => issued.at <= begun,
                _ => false,
            };
            is_recent && self.cards.values().filter(|live| was_issued(live)).count() == CARDS.len()
        });
        if is_counted && counted < captured {
            return Err(format!("{captured} of {id} was paid, and the cards count {counted}"));
        }
        Ok(())
    }

    /// Returns true if the simulated chain reports the outcome of pulls.
    pub const fn has_chain(&self) -> bool {
        self.offers_pulls
    }

    pub fn payment(&self, id: &str) -> Option<&Payment> {
        self.payments.get(id).and_then(|live| live.state.payment())
    }
}

/// Answer to a command that the host could not have decided.
fn failed() -> Rejection {
    Rejection::new("component_failed", "the command could not be decided")
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

fn read<M: Message>(kind: &str, payload: &[u8]) -> Option<M> {
    let version = M::TYPES.iter().find(|known| known.name == kind)?.schema_version;
    M::decode(kind, version, payload).ok()
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
        Some(match self {
            Self::Account(_) => Self::Account(read(kind, payload)?),
            Self::Card(id, _) => Self::Card(id.clone(), read(kind, payload)?),
            Self::Payment(id, _) => Self::Payment(id.clone(), read(kind, payload)?),
        })
    }

    /// Decodes a command to a stream.
    pub fn to(aggregate: &str, id: &str, kind: &str, payload: &[u8]) -> Self {
        let command = match aggregate {
            account::AGGREGATE => read(kind, payload).map(Self::Account),
            card::AGGREGATE => read(kind, payload).map(|command| Self::Card(id.to_owned(), command)),
            _ => read(kind, payload).map(|command| Self::Payment(id.to_owned(), command)),
        };
        command.unwrap_or_else(|| panic!("no {kind}: {}", String::from_utf8_lossy(payload)))
    }
}

impl Sent {
    pub fn new(command: Command) -> Self {
        Self { command, actor: "api", routing_key: ACCOUNT }
    }

    pub fn by_chain(command: Command) -> Self {
        Self { actor: CommandContext::CHAIN, ..Self::new(command) }
    }

    /// Command of a step, as the host sends it.
    fn of_saga(child: &Child) -> Self {
        let Child { aggregate, id, seen_on_chain, message } = child;
        assert!(*aggregate != account::AGGREGATE || id == ACCOUNT, "a command to the account {id}");
        let command = Command::to(aggregate, id, &message.kind, &message.payload);
        let actor = if *seen_on_chain { CommandContext::CHAIN } else { "saga" };
        Self { actor, ..Self::new(command) }
    }
}

impl Place<'_> {
    /// Place of an instance of the account of these tests.
    pub fn of(id: &str, now: Timestamp) -> Place<'_> {
        Place { id, routing_key: ACCOUNT, now }
    }
}
