//! The `translator` world.

use std::marker::PhantomData;

use clearfold_kernel::{Address, Hash, Log, LogFilter, Timestamp, Transaction, Translated, Translator};

use self::bindings::exports::clearfold::handlers::translation as wit;

pub mod bindings {
    //! Made by wit-bindgen from `wit/translator.wit`.
    wit_bindgen::generate!({
        world: "translator",
        path: "../../../wit",
        pub_export_macro: true,
        export_macro_name: "export_translator_world",
    });
}

/// Makes the crate a component of the `translator` world.
#[macro_export]
macro_rules! export_translator {
    ($translator:ty) => {
        type Component = $crate::translator::Component<$translator>;
        $crate::translator::bindings::export_translator_world!(
            Component with_types_in $crate::translator::bindings
        );
    };
}

/// A translator as a component.
pub struct Component<T>(PhantomData<T>);

impl<T: Translator + 'static> wit::Guest for Component<T> {
    fn filters(contracts: Vec<u8>) -> Result<wit::Selection, String> {
        let selection = T::filters(&contracts)?;
        let filters = selection.filters.iter().map(filter).collect();
        Ok(wit::Selection { chain_id: selection.chain_id, filters })
    }

    fn translate(
        contracts: Vec<u8>,
        transactions: Vec<wit::Transaction>,
    ) -> Result<Vec<wit::Translated>, String> {
        let transactions: Vec<_> = transactions.into_iter().map(transaction).collect::<Result<_, _>>()?;
        Ok(T::translate(&contracts, &transactions)?.into_iter().map(translated).collect())
    }
}

fn filter(filter: &LogFilter) -> wit::LogFilter {
    wit::LogFilter {
        addresses: filter.addresses.iter().map(|address| address.0.to_vec()).collect(),
        topics: words(&filter.topics),
        first_arguments: words(&filter.first_arguments),
        from_block: filter.from_block,
        to_block: filter.to_block,
    }
}

fn words(hashes: &[Hash]) -> Vec<Vec<u8>> {
    hashes.iter().map(|hash| hash.0.to_vec()).collect()
}

fn transaction(transaction: wit::Transaction) -> Result<Transaction, String> {
    let seconds = transaction.block_timestamp_s;
    Ok(Transaction {
        chain_id: transaction.chain_id,
        block_hash: hash(&transaction.block_hash)?,
        block_number: transaction.block_number,
        block_timestamp: Timestamp::from_s(seconds).ok_or_else(|| format!("no time: {seconds} s"))?,
        transaction_hash: hash(&transaction.transaction_hash)?,
        logs: transaction.logs.into_iter().map(log).collect::<Result<_, _>>()?,
    })
}

fn log(log: wit::Log) -> Result<Log, String> {
    Ok(Log {
        log_index: log.log_index,
        address: Address::from_slice(&log.address)
            .ok_or_else(|| format!("an address has 20 bytes, not {}", log.address.len()))?,
        topics: log.topics.iter().map(|topic| hash(topic)).collect::<Result<_, _>>()?,
        data: log.data,
    })
}

fn hash(bytes: &[u8]) -> Result<Hash, String> {
    Hash::from_slice(bytes).ok_or_else(|| format!("a hash has 32 bytes, not {}", bytes.len()))
}

fn translated(translated: Translated) -> wit::Translated {
    let commands = translated.commands.into_iter().map(|command| wit::Command {
        log_index: command.log_index,
        aggregate: command.aggregate.to_owned(),
        id: command.id,
        routing_key: command.routing_key,
        type_: command.message.kind,
        schema_version: command.message.schema_version,
        payload: command.message.payload,
    });
    let refusals = translated.refusals.into_iter().map(|refusal| wit::Refusal {
        log_index: refusal.log_index,
        code: refusal.code.to_owned(),
        detail: refusal.detail,
    });
    wit::Translated { commands: commands.collect(), refusals: refusals.collect() }
}
