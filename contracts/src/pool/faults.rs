//! Faults of the strict pool, in the order in which a test wants them. Nothing here happens by chance.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alloy::primitives::{Address, B256};
use serde_json::{Value, json};

/// Fault of one `eth_sendRawTransaction`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendFault {
    /// Answer to the sender.
    pub answer: FaultyAnswer,
    /// True if the transaction is offered to the pool all the same.
    pub reaches_pool: bool,
}

/// Answer that says nothing true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultyAnswer {
    /// The hash, as if the transaction were in the pool.
    Accepted,
    /// An error with this text.
    Error(String),
    /// HTTP status 504 and no body, as a proxy answers after a time-out.
    Silence,
}

impl SendFault {
    /// Returns an error, yet the transaction is in the pool.
    #[must_use]
    pub fn error_yet_sent(text: &str) -> Self {
        Self { answer: FaultyAnswer::Error(text.to_owned()), reaches_pool: true }
    }

    /// Returns an error, and the transaction is nowhere. With the text of another error it is a spurious one.
    #[must_use]
    pub fn error_not_sent(text: &str) -> Self {
        Self { answer: FaultyAnswer::Error(text.to_owned()), reaches_pool: false }
    }

    /// Accepts the transaction and loses it.
    #[must_use]
    pub fn lost() -> Self {
        Self { answer: FaultyAnswer::Accepted, reaches_pool: false }
    }

    /// Does not answer.
    #[must_use]
    pub fn silence(reaches_pool: bool) -> Self {
        Self { answer: FaultyAnswer::Silence, reaches_pool }
    }
}

/// Fault of the receipts of one transaction, for as long as the test wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptFault {
    /// There is none.
    Missing,
    /// There is none the next times that it is asked for.
    Delayed { requests: u32 },
    /// Its status is the opposite.
    WrongStatus,
    /// It names a block that does not exist.
    WrongBlock,
}

/// All faults that wait to happen.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub sends: VecDeque<SendFault>,
    receipts: BTreeMap<B256, ReceiptFault>,
    /// Transactions that the node denies to know, in receipts and by hash.
    hidden: BTreeSet<B256>,
    /// Wrong numbers of transactions, by account.
    counts: BTreeMap<Address, u64>,
}

impl Faults {
    pub fn spoil_receipt(&mut self, transaction: B256, fault: ReceiptFault) {
        self.receipts.insert(transaction, fault);
    }

    pub fn hide(&mut self, transaction: B256) {
        self.hidden.insert(transaction);
    }

    pub fn miscount(&mut self, account: Address, count: u64) {
        self.counts.insert(account, count);
    }

    /// Returns the answer that replaces the node's to this request, if it need not be asked.
    pub fn instead(&mut self, method: &str, params: &Value) -> Option<Value> {
        match method {
            "eth_getTransactionByHash" => {
                self.hidden.contains(&parsed::<B256>(&params[0])?).then_some(Value::Null)
            }
            "eth_getTransactionReceipt" => {
                let hash = parsed::<B256>(&params[0])?;
                (self.hidden.contains(&hash) || self.withholds(hash)).then_some(Value::Null)
            }
            "eth_getTransactionCount" => {
                self.counts.get(&parsed::<Address>(&params[0])?).map(|count| json!(format!("{count:#x}")))
            }
            _ => None,
        }
    }

    fn withholds(&mut self, transaction: B256) -> bool {
        match self.receipts.get_mut(&transaction) {
            Some(ReceiptFault::Missing) => true,
            Some(ReceiptFault::Delayed { requests }) if *requests > 0 => {
                *requests -= 1;
                true
            }
            _ => false,
        }
    }

    /// Changes the node's answer to this request.
    pub fn change(&self, method: &str, params: &Value, result: &mut Value) {
        if method != "eth_getTransactionReceipt" || result.is_null() {
            return;
        }
        let fault = parsed::<B256>(&params[0]).and_then(|hash| self.receipts.get(&hash));
        match fault {
            Some(ReceiptFault::WrongStatus) => {
                let status = if result["status"] == "0x1" { "0x0" } else { "0x1" };
                result["status"] = json!(status);
            }
            Some(ReceiptFault::WrongBlock) => result["blockHash"] = json!(B256::repeat_byte(0xbd)),
            Some(ReceiptFault::Missing | ReceiptFault::Delayed { .. }) | None => {}
        }
    }
}

fn parsed<T: serde::de::DeserializeOwned>(value: &Value) -> Option<T> {
    T::deserialize(value).ok()
}
