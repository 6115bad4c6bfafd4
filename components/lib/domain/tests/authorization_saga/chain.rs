//! The chain's side of pulls, in memory: what the submitter answers, what the listener sees, and what the Safe loses.
//!
//! A leg has at most one pull that is not dead, as the submitter has it. A pull is executed in a block, perhaps
//! reorganized away, and final in the end; or it is dead.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use clearfold_domain::authorization::{self, Observation, ObserveFunding};
use clearfold_kernel::{Amount, ChainSource, EffectAnswer, Minor, Rejection};
use serde::Deserialize;

use crate::dice::Dice;
use crate::engine::{Input, Outcomes, Place};
use crate::live::Broken;
use crate::world::{Command, Sent, World};

/// Request of the effect `pull`, as the submitter reads it.
#[derive(Debug, Clone, Deserialize)]
pub struct Request {
    pub authorization_id: String,
    pub amount: Amount,
    pub number: u32,
    #[serde(default = "first")]
    pub leg: u32,
    #[serde(default)]
    pub withdraw: bool,
}

const fn first() -> u32 {
    1
}

type Leg = (String, u32);

#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    None,
    InBlock(ChainSource),
    Final,
    Dead,
}

#[derive(Debug, Clone)]
struct Pull {
    number: u32,
    amount: Amount,
    end: End,
}

/// Fate of accepted pulls, as far as a test does not choose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weather {
    /// Some are executed, some reorganized away, some die.
    #[default]
    Mixed,
    /// All are executed, unless they are withdrawn.
    Fair,
    /// All die.
    Foul,
}

#[derive(Default)]
pub struct Chain {
    pub weather: Weather,
    pulls: BTreeMap<Leg, Vec<Pull>>,
    withdrawn: BTreeSet<Leg>,
    /// Most that each payment ever owed.
    owed: BTreeMap<String, u128>,
    /// Pulls that were asked for while one of another leg could still be executed.
    beside: Vec<String>,
    /// Observations that the listener has not reported, in their order.
    seen: VecDeque<(String, ObserveFunding)>,
}

impl Chain {
    /// Returns what was pulled for a payment in final blocks.
    pub fn pulled(&self, payment: &str) -> Vec<u128> {
        let of_payment = self.pulls.iter().filter(|((id, _), _)| id == payment);
        let finals = of_payment.flat_map(|(_, pulls)| pulls).filter(|pull| pull.end == End::Final);
        finals.map(|pull| pull.amount.minor.get()).collect()
    }

    /// Takes in what a payment owes now.
    pub fn owes(&mut self, payment: &str, owed: u128) {
        let most = self.owed.entry(payment.to_owned()).or_default();
        *most = owed.max(*most);
    }

    /// Takes a request in; `None` if its outcome is not known yet.
    fn answer(&mut self, request: &Request) -> Option<Outcomes> {
        let leg = (request.authorization_id.clone(), request.leg);
        let answered = || Some(Outcomes::Came(EffectAnswer::Answered(b"{}".to_vec())));
        let refused = |code: &str| Some(Outcomes::Refused(Rejection::new(code, "a refusal")));
        if request.withdraw {
            self.withdrawn.insert(leg);
            return answered();
        }
        let is_withdrawn = self.withdrawn.contains(&leg);
        let dead = if is_withdrawn { "pull_withdrawn" } else { "pull_dead" };
        let pulls = self.pulls.entry(leg).or_default();
        if pulls.iter().any(|pull| pull.end == End::Final) {
            return answered();
        }
        match pulls.iter().find(|pull| pull.number == request.number) {
            Some(pull) if pull.end == End::Dead => return refused(dead),
            Some(_) => return None,
            None if pulls.iter().any(|pull| pull.end != End::Dead) => return None,
            None => {}
        }
        if is_withdrawn {
            return refused("pull_withdrawn");
        }
        if request.amount.minor.get() == 0 {
            return refused("amount_not_positive");
        }
        pulls.push(Pull { number: request.number, amount: request.amount.clone(), end: End::None });
        let id = &request.authorization_id;
        let others = self.pulls.iter().filter(|((payment, leg), _)| payment == id && *leg != request.leg);
        if others.flat_map(|(_, pulls)| pulls).any(|pull| !matches!(pull.end, End::Final | End::Dead)) {
            self.beside
                .push(format!("leg {} of {id} asks while a pull of another may be executed", request.leg));
        }
        None
    }
}

impl World {
    /// Does something on the chain's side. Returns false if there is nothing to do.
    pub fn chain_goes_on(&mut self, dice: &mut Dice) -> Result<bool, Broken> {
        if !self.chain.seen.is_empty() && dice.one_in(2) {
            return self.report();
        }
        if self.carry_out(dice) || self.mine(dice) {
            return Ok(true);
        }
        self.report()
    }

    fn report(&mut self) -> Result<bool, Broken> {
        let Some((id, observe)) = self.chain.seen.pop_front() else { return Ok(false) };
        let observe = authorization::Command::ObserveFunding(observe);
        let answer = self.send(&Sent::by_chain(Command::Payment(id.clone(), observe)))?;
        answer.map(|_| true).map_err(|code| format!("what the listener saw of {id} is refused: {code}"))
    }

    /// Answers a request of an effect, if one can be.
    pub fn carry_out(&mut self, dice: &mut Dice) -> bool {
        let requested = |(id, instance): (&String, &crate::engine::Instance)| {
            let flows = instance.requested();
            flows.into_iter().map(|(flow, request)| (id.clone(), flow, request)).collect::<Vec<_>>()
        };
        let requested: Vec<(String, u32, Vec<u8>)> = self.instances.iter().flat_map(requested).collect();
        let offset = dice.below(requested.len());
        for (id, flow, request) in requested.iter().cycle().skip(offset).take(requested.len()) {
            let request: Request = serde_json::from_slice(request).expect("a request");
            assert_eq!(request.authorization_id, *id);
            let lost = EffectAnswer::Unanswered("the host failed".to_owned());
            let outcome = match dice.one_in(self.fails_one_in) {
                true => Some(Outcomes::Came(lost)),
                false => self.chain.answer(&request),
            };
            let Some(outcome) = outcome else { continue };
            let instance = self.instances.get_mut(id).expect("an instance");
            instance.inputs.push_back(Input::Effect { flow: *flow, outcome });
            self.refresh();
            return true;
        }
        false
    }

    /// Decides about one of the pulls.
    fn mine(&mut self, dice: &mut Dice) -> bool {
        let open = self.chain.pulls.iter().flat_map(|(leg, pulls)| {
            let is_open = |pull: &&Pull| !matches!(pull.end, End::Final | End::Dead);
            pulls.iter().filter(is_open).map(move |pull| (leg.clone(), pull.number))
        });
        let open: Vec<(Leg, u32)> = open.collect();
        if open.is_empty() {
            return false;
        }
        let (leg, number) = dice.pick(&open);
        let (source, occurred_at) = (self.source(), self.now());
        let is_withdrawn = self.chain.withdrawn.contains(&leg);
        let weather = self.chain.weather;
        // The listener reports a reorganization long before another block is final, and a pull ends by a final block.
        let is_unseen = self.chain.seen.iter().any(|(id, seen)| (id, seen.leg) == (&leg.0, leg.1));
        let pulls = self.chain.pulls.get_mut(&leg).expect("a leg");
        let pull = pulls.iter_mut().find(|pull| pull.number == number).expect("a pull");
        let amount = pull.amount.clone();
        let (end, observation) = match pull.end.clone() {
            end if is_unseen => (end, None),
            End::None if dies(weather, is_withdrawn, dice) => (End::Dead, None),
            End::None => (End::InBlock(source.clone()), Some(Observation::Included { amount, source })),
            End::InBlock(source) if weather == Weather::Mixed && dice.one_in(5) => {
                (End::None, Some(Observation::Reorged { source }))
            }
            _ => (End::Final, None),
        };
        pull.end = end;
        let observe = |observation| (leg.0, ObserveFunding { leg: leg.1, observation, occurred_at });
        self.chain.seen.extend(observation.map(observe));
        true
    }

    /// Checks that the chain moved what every payment owes, or that the difference is named.
    pub fn whole(&self) -> Result<(), Broken> {
        if let Some(beside) = self.chain.beside.first() {
            return Err(beside.clone());
        }
        for (id, live) in &self.payments {
            let state = &live.state;
            let pulled: u128 = self.chain.pulled(id).iter().sum();
            let most = self.chain.owed.get(id).copied().unwrap_or_default();
            if pulled.saturating_sub(state.legs.returned.get()) > most {
                return Err(format!("{pulled} were pulled of {id}, which never owed more than {most}"));
            }
            if state.owed_back() != state.legs.owed_back {
                return Err(format!(
                    "{id} owes {} back and states {}",
                    state.owed_back(),
                    state.legs.owed_back
                ));
            }
            // A parked flow names what its operator has not decided yet.
            let is_parked = self.instances.get(id).is_some_and(|known| !known.parked_pulls().is_empty());
            if !self.offers_pulls || state.payment().is_none() || is_parked {
                continue;
            }
            let swiped = state.payment().and_then(|payment| match &payment.entry {
                authorization::Entry::Swiped { .. } if state.linked_to().is_none() => {
                    Some(payment.funding.pulled().get())
                }
                _ => None,
            });
            let linked = state.legs().filter(|(leg, _)| state.spend_of_others(*leg).is_some());
            let linked: u128 = linked.map(|(_, funding)| funding.pulled().get()).sum();
            let pulled = pulled + swiped.unwrap_or_default() + linked;
            let kept = state.kept().get() + state.legs.returned.get();
            let named = state.owed().get() + state.legs.owed_back.get();
            if kept != pulled || state.kept().get() + state.exposed().get() != named {
                let (owed, kept, exposed) = (state.owed(), state.kept(), state.exposed());
                return Err(format!(
                    "{id} owes {owed}, keeps {kept}, is exposed for {exposed}; the chain pulled {pulled}: {state:?}"
                ));
            }
        }
        Ok(())
    }

    /// Retries all parked flows that ask for pulls, as an operator orders. Unless it `retries`, resolves those of payments
    /// with an exposure instead.
    pub fn order(&mut self, retries: bool) {
        let now = self.now();
        for (id, instance) in &mut self.instances {
            let is_exposed = self.payments[id].state.exposed() > Minor::ZERO;
            for number in instance.parked_pulls() {
                let place = Place::of(id, now);
                if retries || !is_exposed {
                    instance.retry(number, &place);
                } else {
                    instance.resolve(number, &place);
                }
            }
        }
        self.refresh();
    }
}

fn dies(weather: Weather, is_withdrawn: bool, dice: &mut Dice) -> bool {
    match weather {
        Weather::Mixed => dice.one_in(if is_withdrawn { 2 } else { 3 }),
        Weather::Fair => is_withdrawn,
        Weather::Foul => true,
    }
}
