//! Events of the provider, and their translation to commands. Members that are not known are ignored: a provider adds
//! some without asking, and an event that is refused is lost.

use clearfold_domain::authorization::{self, AdvanceDispute, DisputeOutcome, DisputeStage, ResolveDispute};
use clearfold_domain::card::{self, FreezeCard, FreezeReason, UnfreezeCard};
use clearfold_edge_kit::LONGEST_ID;
use clearfold_kernel::{Amount, Encoded, ExternalId, Message, Undecodable};
use serde::Deserialize;
use serde_json::{Value, json};

/// Event as it is delivered.
#[derive(Deserialize)]
pub struct Event {
    /// Provider's id of the event; a repeat has the same.
    pub id: ExternalId,
    #[serde(rename = "type")]
    kind: String,
    data: Value,
}

/// Data of `card.frozen` and `card.unfrozen`.
#[derive(Deserialize)]
struct OfCard {
    card_id: String,
    reason: FreezeReason,
}

/// Data of `dispute.advanced`.
#[derive(Deserialize)]
struct Advanced {
    payment_id: String,
    dispute_id: ExternalId,
    stage: DisputeStage,
}

/// Data of `dispute.resolved`.
#[derive(Deserialize)]
struct Resolved {
    payment_id: String,
    dispute_id: ExternalId,
    outcome: DisputeOutcome,
    awarded: Option<Amount>,
}

impl Event {
    /// Reads an event; the error explains what is wrong with it.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        clearfold_edge_kit::storable(body)?;
        serde_json::from_slice(body).map_err(|error| error.to_string())
    }

    /// Returns the command for the host; `None` for an event that is not relevant.
    pub fn command(&self) -> Result<Option<String>, String> {
        let (aggregate, id, encoded) = match self.kind.as_str() {
            "card.frozen" => {
                let OfCard { card_id, reason } = self.data()?;
                (card::AGGREGATE, card_id, card::Command::FreezeCard(FreezeCard { reason }).encode())
            }
            "card.unfrozen" => {
                let OfCard { card_id, reason } = self.data()?;
                (card::AGGREGATE, card_id, card::Command::UnfreezeCard(UnfreezeCard { reason }).encode())
            }
            "dispute.advanced" => {
                let Advanced { payment_id, dispute_id, stage } = self.data()?;
                let command = authorization::Command::AdvanceDispute(AdvanceDispute { dispute_id, stage });
                (authorization::AGGREGATE, payment_id, command.encode())
            }
            "dispute.resolved" => {
                let Resolved { payment_id, dispute_id, outcome, awarded } = self.data()?;
                let command = ResolveDispute { dispute_id, outcome, awarded };
                let command = authorization::Command::ResolveDispute(command);
                (authorization::AGGREGATE, payment_id, command.encode())
            }
            _ => return Ok(None),
        };
        body(aggregate, &id, encoded).map(Some)
    }

    fn data<T: serde::de::DeserializeOwned>(&self) -> Result<T, String> {
        T::deserialize(&self.data).map_err(|error| format!("data: {error}"))
    }
}

/// Builds the request body for the host's API. The stream already exists, so the host knows its account.
fn body(aggregate: &str, id: &str, encoded: Result<Encoded, Undecodable>) -> Result<String, String> {
    if !clearfold_edge_kit::is_id(id, LONGEST_ID) {
        return Err(format!("data: {id:?} is no id; one has 1 to {LONGEST_ID} letters, digits, and - _ ."));
    }
    let encoded = encoded.map_err(|error| error.to_string())?;
    let payload: Value = serde_json::from_slice(&encoded.payload).map_err(|error| error.to_string())?;
    let (kind, schema_version) = (encoded.kind, encoded.schema_version);
    let body = json!({"aggregate": aggregate, "id": id, "type": kind, "schema_version": schema_version, "payload": payload});
    Ok(body.to_string())
}
