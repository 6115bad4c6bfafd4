//! Simulated card network: asks for authorizations, and later increments, clears, reverses, refunds and settles what was
//! approved. It keeps no state beyond its patience: what it does follows from what the host's API lists.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use alloy::primitives::{Address, B256};
use anyhow::{Result, bail};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::host::{Host, Payment, Said, moment};
use crate::life::{Act, CENT, STATUSES, acts};

/// Merchants at which the simulated customers pay.
const MERCHANTS: [(&str, &str, &str, &str); 4] = [
    ("526567002107", "Caffe Sicilia", "5812", "IT"),
    ("310200441", "Naschmarkt Obst", "5499", "AT"),
    ("778100934", "Libreria Acqua Alta", "5942", "IT"),
    ("640011872", "Bahn", "4111", "DE"),
];

/// Question of the network: may this card pay?
pub struct Question {
    /// Network's id of the payment.
    pub transaction_id: String,
    pub account: Address,
    pub card: String,
    pub cents: u64,
    /// Time at which it was first asked.
    pub at: String,
}

pub struct CardNetwork {
    host: Host,
    /// Time from one act on a payment to the next.
    patience: Duration,
    seen: HashMap<String, Instant>,
    done: HashSet<String>,
}

impl CardNetwork {
    pub fn new(host: Host, patience: Duration) -> Self {
        Self { host, patience, seen: HashMap::new(), done: HashSet::new() }
    }

    /// Opens each account's books and issues its cards: `card-N` can pay, `card-N-lost` is frozen.
    pub async fn open(&self, accounts: &[Address]) -> Result<()> {
        for (number, account) in accounts.iter().enumerate() {
            self.open_account(*account).await?;
            self.issue(*account, &format!("card-{number}")).await?;
            let lost = format!("card-{number}-lost");
            self.issue(*account, &lost).await?;
            let (account, reason) = (format!("{account:#x}"), json!({"reason": "lost"}));
            self.must("freeze", to("card", &lost, &account, "FreezeCard", &reason)).await?;
        }
        Ok(())
    }

    pub async fn open_account(&self, account: Address) -> Result<()> {
        let account = format!("{account:#x}");
        let assets = json!({"assets": [{"asset": "EURe", "decimals": 18}]});
        self.must("open", to("account", &account, &account, "OpenAccount", &assets)).await
    }

    pub async fn issue(&self, account: Address, card: &str) -> Result<()> {
        let account = format!("{account:#x}");
        let rules = json!({"categories": "all", "countries": "all", "limits": [], "velocity": []});
        let issue = json!({"account": account, "rules": rules});
        self.must("issue", to("card", card, &account, "IssueCard", &issue)).await
    }

    /// Sends a command that cannot be refused. Its key follows from its stream.
    async fn must(&self, act: &str, command: Value) -> Result<()> {
        let key = format!("demo/{act}/{}", command["id"].as_str().unwrap_or_default());
        match self.host.command(&key, &command).await? {
            None => Ok(()),
            Some(refusal) => bail!("{key} was refused: {refusal}"),
        }
    }

    /// Asks for one authorization. The same question is the same message again.
    pub async fn ask(&self, question: &Question) -> Result<Said> {
        let Question { transaction_id, account, card, cents, at } = question;
        let place = usize::from(transaction_id.bytes().fold(0, u8::wrapping_add)) % MERCHANTS.len();
        let (merchant, name, category, country) = MERCHANTS[place];
        let mut message = message(transaction_id, "ask", &format!("{account:#x}"));
        message["transmitted_at"] = json!(at);
        message["card"] = json!(card);
        message["amount"] = money(u128::from(*cents));
        message["merchant"] = json!({"id": merchant, "name": name, "category": category, "country": country});
        self.host.message("authorizations", &message).await
    }

    /// Does what is due on the payments that the host lists.
    pub async fn go_on(&mut self) -> Result<()> {
        let mut listed = HashSet::new();
        for status in STATUSES {
            for payment in self.host.payments(status).await? {
                for act in acts(&payment) {
                    let key = format!("demo/{}/{}", act.name(), payment.id);
                    let since = *self.seen.entry(key.clone()).or_insert_with(Instant::now);
                    listed.insert(key.clone());
                    if self.done.contains(&key) || !act.is_prompt() && since.elapsed() < self.patience {
                        continue;
                    }
                    if let Some(refusal) = self.act(&key, &payment, act).await? {
                        eprintln!("{key} was refused: {refusal}");
                    }
                    self.done.insert(key);
                }
            }
        }
        self.seen.retain(|key, _| listed.contains(key));
        self.done.retain(|key| listed.contains(key));
        Ok(())
    }

    /// Does one act. Returns the refusal if it was refused.
    async fn act(&self, key: &str, payment: &Payment, act: Act) -> Result<Option<String>> {
        let Payment { id, account, .. } = payment;
        let amount = |cents: u128| {
            json!({"minor": (cents * CENT).to_string(), "decimals": payment.amount.decimals,
                   "asset": payment.amount.asset})
        };
        let settle = |direction: &str, cents| {
            let settlement = json!({"settlement_id": format!("{direction}-{id}"), "direction": direction,
                                    "amount": amount(cents)});
            to("account", account, account, "RecordSettlement", &settlement)
        };
        match act {
            Act::Clear { cents, part, parts } => {
                let mut clearing = message(id, act.name(), account);
                clearing["amount"] = money(cents);
                clearing["sequence"] = json!({"number": part, "count": parts});
                self.told("clearings", &clearing).await
            }
            Act::Increment { cents } => {
                let mut increment = message(id, act.name(), account);
                increment["amount"] = money(cents);
                let transaction_id = increment["transaction_id"].as_str().unwrap_or_default();
                let route = format!("authorizations/{transaction_id}/increments");
                let said = self.host.message(&route, &increment).await?;
                Ok((said.action != "approved").then(|| said.reason.unwrap_or(said.action)))
            }
            Act::ReversePart { cents } => {
                let mut reversal = message(id, act.name(), account);
                (reversal["cause"], reversal["amount"]) = (json!("merchant"), money(cents));
                self.told("reversals", &reversal).await
            }
            Act::Reverse => {
                let mut reversal = message(id, act.name(), account);
                reversal["cause"] = json!("merchant");
                self.told("reversals", &reversal).await
            }
            Act::ClaimSwipe => {
                let minor = &payment.amount;
                let amount = json!({"minor": minor.minor.to_string(), "decimals": minor.decimals, "asset": minor.asset});
                let clearing = json!({"clearing_id": format!("clr-{id}"), "amount": amount, "final": true,
                                      "occurred_at": payment.occurred_at});
                self.host.command(key, &to("authorization", id, account, "PresentClearing", &clearing)).await
            }
            Act::Refund { cents } => {
                // The payment's time, so that a simulation that begins again sends the same.
                let refund = json!({"account": account, "amount": amount(cents), "occurred_at": payment.occurred_at,
                                    "origin": {"network": format!("rfd-{id}")}});
                let mut command = to("authorization", id, account, "RecordRefund", &refund);
                command["schema_version"] = json!(2);
                self.host.command(key, &command).await
            }
            Act::Settle { cents } => self.host.command(key, &settle("paid", cents)).await,
            Act::SettleRefund { cents } => self.host.command(key, &settle("received", cents)).await,
        }
    }

    async fn told(&self, route: &str, message: &Value) -> Result<Option<String>> {
        let said = self.host.message(route, message).await?;
        Ok((said.action != "recorded").then(|| said.reason.unwrap_or(said.action)))
    }
}

/// New id of a payment.
pub fn new_id() -> String {
    format!("demo-{:.12}", format!("{:x}", B256::random()))
}

/// Common fields of the network's messages about a payment.
fn message(payment: &str, act: &str, account: &str) -> Value {
    let transaction_id = payment.trim_start_matches("visa-");
    json!({"message_id": format!("{transaction_id}-{act}"), "transaction_id": transaction_id, "network": "visa",
           "account": account, "transmitted_at": moment()})
}

fn money(cents: u128) -> Value {
    json!({"minor": cents.to_string(), "currency": "EUR", "exponent": 2})
}

fn to(aggregate: &str, id: &str, account: &str, kind: &str, payload: &Value) -> Value {
    json!({"aggregate": aggregate, "id": id, "account": account, "type": kind, "schema_version": 1,
           "payload": payload})
}
