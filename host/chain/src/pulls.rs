//! Pulls of the submitter in fetched transactions: the translator is told which executions are a payment's funding.
//!
//! A pull is committed before it is sent, so an execution that the listener sees is in the submitter's changes. The hash
//! covers chain, contract and call, so whose the transaction is does not matter.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};
use alloy::sol_types::SolEvent;
use sqlx::PgPool;

use super::submitter::executor::abi::Spender::HashExecuted;
use super::submitter::{Change, leg_of_name};
use clearfold_base::database::{DatabaseError, with_time_out};
use clearfold_sandbox::{ExecutedPull, Log, Transaction};

/// Pull that the submitter accepted for a leg of a payment.
struct Known {
    spender: Address,
    leg_name: String,
}

/// Marks the executions of pulls in each transaction.
pub(super) async fn mark(pool: &PgPool, transactions: &mut [Transaction]) -> Result<(), DatabaseError> {
    let hashes = transactions.iter().flat_map(|transaction| &transaction.logs).filter_map(executed_hash);
    let hashes: Vec<B256> = hashes.collect();
    if hashes.is_empty() {
        return Ok(());
    }
    let known = known(pool, &hashes).await?;
    for transaction in transactions {
        transaction.pulls = pulls_in(&transaction.logs, &known);
    }
    Ok(())
}

/// Returns the pulls that the logs execute. Anybody can log a hash; only the pull's own Spender executes it.
fn pulls_in(logs: &[Log], known: &BTreeMap<B256, Known>) -> Vec<ExecutedPull> {
    let pull = |log: &Log| {
        let known = known.get(&executed_hash(log)?).filter(|known| log.address == known.spender[..])?;
        let (payment_id, leg) = leg_of_name(&known.leg_name);
        Some(ExecutedPull { log_index: log.log_index, payment_id: payment_id.to_owned(), leg })
    };
    logs.iter().filter_map(pull).collect()
}

/// Returns the hash that a log says was executed.
fn executed_hash(log: &Log) -> Option<B256> {
    let is_execution = log.topics.len() == 1 && log.topics[0] == HashExecuted::SIGNATURE_HASH[..];
    B256::try_from(&log.data[..]).ok().filter(|_| is_execution)
}

async fn known(pool: &PgPool, hashes: &[B256]) -> Result<BTreeMap<B256, Known>, DatabaseError> {
    let hashes: Vec<Vec<u8>> = hashes.iter().map(|hash| hash.to_vec()).collect();
    let rows = sqlx::query!(
        r#"SELECT payment_id AS "payment_id!", change::text AS "change!" FROM submitter_changes
           WHERE kind = 'accepted' AND pull_hash = ANY($1) AND payment_id IS NOT NULL"#,
        &hashes,
    );
    let rows = with_time_out(async { Ok::<_, DatabaseError>(rows.fetch_all(pool).await?) }).await?;
    let mut known = BTreeMap::new();
    for row in rows {
        let corrupt =
            |error: serde_json::Error| DatabaseError::Corrupt(format!("a submitter's change: {error}"));
        if let Change::Accepted { pull } = serde_json::from_str(&row.change).map_err(corrupt)? {
            known.insert(pull.hash(), Known { spender: pull.spender, leg_name: row.payment_id });
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(log_index: u64, address: u8, hash: u8) -> Log {
        let topics = vec![HashExecuted::SIGNATURE_HASH.to_vec()];
        Log { log_index, address: vec![address; 20], topics, data: vec![hash; 32] }
    }

    fn indexes(logs: &[Log]) -> Vec<(u64, String, u32)> {
        let of = |spender, leg_name: &str| Known {
            spender: Address::repeat_byte(spender),
            leg_name: leg_name.to_owned(),
        };
        let known = BTreeMap::from([
            (B256::repeat_byte(1), of(7, "visa-1")),
            (B256::repeat_byte(2), of(8, "visa-2/leg/3")),
        ]);
        let pulls = pulls_in(logs, &known).into_iter();
        pulls.map(|pull| (pull.log_index, pull.payment_id, pull.leg)).collect()
    }

    #[test]
    fn executions_of_known_pulls_are_marked_with_their_payments() {
        let logs = [log(3, 7, 1), log(4, 7, 9), log(6, 8, 2)];
        assert_eq!(indexes(&logs), [(3, "visa-1".to_owned(), 1), (6, "visa-2".to_owned(), 3)]);
    }

    #[test]
    fn a_hash_that_another_contract_logs_or_that_is_no_execution_marks_nothing() {
        let short = Log { data: vec![1; 31], ..log(4, 7, 1) };
        let other = Log { topics: vec![vec![0; 32]], ..log(5, 7, 1) };
        let indexed = Log { topics: [log(6, 7, 1).topics, vec![vec![1; 32]]].concat(), ..log(6, 7, 1) };
        let anonymous = Log { topics: Vec::new(), ..log(7, 7, 1) };
        assert!(indexes(&[log(3, 9, 1), short, other, indexed, anonymous]).is_empty());
    }
}
