//! Translator `sample`: an ERC-20 `Transfer` of one contract becomes the command `RecordSample` to the sender's
//! account. It refuses a log that it does not understand, with a reason; it never drops a log silently, and never
//! guesses.

use clearfold_kernel::{
    Address, Encoded, Hash, Log, LogFilter, Minor, Refusal, Selection, Transaction, Translated,
    TranslatedCommand, Translator,
};
use serde::Deserialize;
use serde_json::json;

clearfold_guest::export_translator!(SampleTranslator);

/// Topic of the event: keccak256 of `Transfer(address,address,uint256)`.
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
/// Aggregate that takes the commands.
const AGGREGATE: &str = "sample";

/// Contract set of the operator, as this translator reads it.
#[derive(Deserialize)]
struct ContractSet {
    chain_id: u64,
    contract: Address,
    from_block: u64,
}

impl ContractSet {
    fn read(contracts: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(contracts).map_err(|error| format!("the contract set cannot be read: {error}"))
    }
}

/// Translator of one contract's transfers.
pub struct SampleTranslator;

impl Translator for SampleTranslator {
    fn filters(contracts: &[u8]) -> Result<Selection, String> {
        let set = ContractSet::read(contracts)?;
        let filter = LogFilter {
            addresses: vec![set.contract],
            topics: vec![topic()?],
            first_arguments: Vec::new(),
            second_arguments: Vec::new(),
            from_block: set.from_block,
            to_block: None,
        };
        Ok(Selection { chain_id: set.chain_id, filters: vec![filter] })
    }

    fn translate(contracts: &[u8], transactions: &[Transaction]) -> Result<Vec<Translated>, String> {
        let (set, topic) = (ContractSet::read(contracts)?, topic()?);
        transactions.iter().map(|transaction| translate_one(&set, topic, transaction)).collect()
    }
}

fn translate_one(set: &ContractSet, topic: Hash, transaction: &Transaction) -> Result<Translated, String> {
    if transaction.chain_id != set.chain_id {
        return Err(format!("the contract set is for chain {}, not {}", set.chain_id, transaction.chain_id));
    }
    let mut translated = Translated::default();
    let ours = transaction
        .logs
        .iter()
        .filter(|log| log.address == set.contract && log.topics.first() == Some(&topic));
    for (ordinal, log) in ours.enumerate() {
        match read(log) {
            Ok((from, value)) => translated.commands.push(TranslatedCommand {
                log_index: log.log_index,
                // One command says all that the log means.
                part: 0,
                aggregate: AGGREGATE,
                // The id is the same in whatever block the transaction is mined, so a reorganization makes no second
                // one.
                id: format!("{}-{ordinal}", transaction.transaction_hash),
                routing_key: from.to_string(),
                message: Encoded {
                    kind: "RecordSample".to_owned(),
                    schema_version: 1,
                    payload: json!({ "account": from, "amount": value }).to_string().into_bytes(),
                },
            }),
            Err(detail) => {
                translated.refusals.push(Refusal {
                    log_index: log.log_index,
                    code: "transfer_malformed",
                    detail,
                });
            }
        }
    }
    Ok(translated)
}

/// Reads the sender and the amount of a transfer.
fn read(log: &Log) -> Result<(Address, Minor), String> {
    let from = log.topics.get(1).and_then(|word| Address::from_slice(&word.0[12..]));
    let from = from.ok_or("the sender is missing")?;
    let (high, low) = log.data.split_at_checked(16).ok_or("the amount is missing")?;
    let low: [u8; 16] = low.try_into().map_err(|_| "the amount is not 32 bytes")?;
    if high.iter().any(|byte| *byte != 0) {
        return Err("the amount is above 2^128 - 1".to_owned());
    }
    Ok((from, Minor::new(u128::from_be_bytes(low))))
}

fn topic() -> Result<Hash, String> {
    TRANSFER.parse().map_err(|error| format!("{error}"))
}
