//! Memory of an instance: the payment's state, folded from the events that were observed.
//!
//! It lacks the reversals that came before the payment began, because those start no instance. Nothing here reads
//! them: of the state only the payment and what was added to it count.

use std::collections::BTreeMap;

use serde::Serialize;

use clearfold_kernel::{self as kernel, Decider, ExternalId, Hash, Minor, decode_state, encode_state};

use crate::authorization::{
    Authorization, AuthorizationRequested, ClearingLinks, DisputeMoney, Fees, Funding, Legs, Links, Payment,
    RecordReversals, SingleMessage, State, Subject, UnlinkedRefund,
};
use crate::network::FieldText;

/// First byte of the memory: the version of the state's format. An instance may outlive a change of the format, and
/// bytes of another one must not be read as something else.
#[expect(clippy::cast_possible_truncation, reason = "checked beside it")]
const VERSION: u8 = {
    assert!(Authorization::STATE_VERSION <= u8::MAX as u32, "the version fits into a byte");
    Authorization::STATE_VERSION as u8
};

/// Version before states kept what the last clearing released. Its bytes are the head of a state that released nothing.
const WITHOUT_RELEASED: u8 = 10;

/// Version before there were legs behind the first. Its bytes are the head of a state that has none.
const WITHOUT_LEGS: u8 = 9;

/// Version before there were links. Its bytes are the head of a state that has none.
const WITHOUT_LINKS: u8 = 11;

/// Version before a `Spend` could be expected. Its bytes are the head of a state that expects none.
const WITHOUT_EXPECTED: u8 = 12;

/// Version before records were reversed. Its bytes are the head of a state without reversals.
const WITHOUT_REVERSALS: u8 = 13;

/// Version before single messages, the money of disputes and the request's numbers were kept. Its bytes are the head of a
/// state without them.
const WITHOUT_SINGLE_MESSAGE: u8 = 14;

/// Version before a payment could begin behind an unlinked refund, network fees were kept, clearings were linked, and the
/// request's terminal was kept. Its bytes are the head of a state without them.
const WITHOUT_FEES: u8 = 15;

/// Reads the memory; empty before the first observation.
pub(super) fn read(subject: &kernel::Subject) -> Result<State, String> {
    match subject.memory.split_first() {
        None => Ok(State::default()),
        Some((&VERSION, state)) => decode_state(state).map_err(|fault| fault.to_string()),
        Some((&WITHOUT_FEES, state)) => behind(state, &Newest::default()),
        Some((&WITHOUT_SINGLE_MESSAGE, state)) => behind(state, &Newer::default()),
        Some((&WITHOUT_REVERSALS, state)) => behind(state, &unreversed()),
        Some((&WITHOUT_EXPECTED, state)) => behind(state, &(None::<ExternalId>, unreversed())),
        Some((&WITHOUT_LINKS, state)) => behind(state, &none()),
        Some((&WITHOUT_RELEASED, state)) => behind(state, &(Minor::ZERO, none())),
        Some((&WITHOUT_LEGS, state)) => behind(state, &(Legs::default(), Minor::ZERO, none())).map(with_flow),
        Some((version, _)) => {
            Err(format!("the memory has version {version}; this component reads {VERSION}"))
        }
    }
}

/// Members behind a state of version 15.
type Newest = (Option<Box<UnlinkedRefund>>, Fees, ClearingLinks, Option<FieldText>);

/// Members behind a state of version 14.
type Newer = (SingleMessage, BTreeMap<ExternalId, DisputeMoney>, Option<ExternalId>, Newest);

/// Members behind a state that has no links.
fn none() -> (Links, BTreeMap<String, Hash>, Option<ExternalId>, (RecordReversals, Newer)) {
    (Links::default(), BTreeMap::new(), None, unreversed())
}

/// Members behind a state without reversals of records.
fn unreversed() -> (RecordReversals, Newer) {
    <(RecordReversals, Newer)>::default()
}

/// Reads a state of before, with what stands behind it now.
fn behind(state: &[u8], rest: &impl Serialize) -> Result<State, String> {
    let rest = encode_state(rest).map_err(|fault| fault.to_string())?;
    decode_state(&[state, &rest].concat()).map_err(|fault| fault.to_string())
}

/// Takes back the leg that has no flow, so that the next event begins it with one. Before there were legs, only what was
/// authorized had a flow, so a force post had none; and the flow of what was given back in time had ended.
fn with_flow(mut state: State) -> State {
    let is_due = state.due() > Minor::ZERO;
    if let Subject::Payment(payment) = &mut state.subject
        && payment.funding == Funding::Unsubmitted
        && (payment.totals.authorized == Minor::ZERO || !is_due)
    {
        payment.funding = Funding::None;
    }
    state
}

/// Writes the memory.
pub(super) fn write(state: &State) -> Result<Vec<u8>, String> {
    let state = encode_state(state).map_err(|fault| fault.to_string())?;
    Ok([vec![VERSION], state].concat())
}

/// Returns the payment's request, which the steps of `authorize` are about.
pub(super) fn request(state: &State) -> Result<&AuthorizationRequested, String> {
    let request = state.payment().and_then(|payment| payment.entry.request());
    request.ok_or_else(|| "the memory has no request of the network".to_owned())
}

/// Returns the id of the followed stream.
pub(super) fn id(subject: &kernel::Subject) -> Result<ExternalId, String> {
    subject.id.parse().map_err(|error| format!("the id of the payment: {error}"))
}

/// Returns true if another hand approved the request. `authorize` itself approves with its last step.
pub(super) fn is_approved(payment: &Payment) -> bool {
    let is_requested = matches!(payment.entry, crate::authorization::Entry::Requested(_));
    is_requested && payment.totals.authorized > clearfold_kernel::Minor::ZERO
}
