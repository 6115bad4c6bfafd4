//! Translators: the `translator` world, called, and held to what its contract says of an answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use clearfold_kernel::{Address, Hash, LogFilter, Selection};

use self::bindings::TranslatorPre;
use self::bindings::exports::clearfold::handlers::translation as wit;
use super::ComponentKind;
use super::admission::World;
use super::component::{ComponentId, Loaded, RuntimeError, incompatible, is_word};
use super::engine::HandlerEngine;
use super::fault::Fault;
use super::limits::{Guard, Output, count};

pub use self::bindings::exports::clearfold::handlers::translation::{
    Command as TranslatedCommand, Log, Refusal, Transaction, Translated,
};

mod bindings {
    //! Made by wasmtime from `wit/translator.wit`.
    wasmtime::component::bindgen!({
        world: "translator",
        path: "../../wit",
        additional_derives: [Clone],
    });
}

const WORLD: World = World {
    kind: ComponentKind::Translator,
    interface: "clearfold:handlers/translation@0.1.0",
    functions: &["filters", "translate"],
};

/// The newest schema version that there can be.
const MAX_VERSION: u32 = i32::MAX.unsigned_abs();

impl Output for wit::Selection {
    fn items(&self) -> usize {
        count(&self.filters, |filter| {
            let logs = filter.addresses.len().saturating_add(filter.topics.len());
            logs.saturating_add(filter.first_arguments.len())
        })
    }
}

impl Output for Vec<Translated> {
    fn items(&self) -> usize {
        count(self, |answer| answer.commands.len().saturating_add(answer.refusals.len()))
    }
}

/// A translator that was let in, with the contract set that it translates by.
pub struct Translator {
    loaded: Loaded,
    pre: TranslatorPre<Guard>,
    contracts: Vec<u8>,
}

impl Translator {
    /// Loads a component. The contract set is checked by [`Translator::filters`].
    pub fn load(
        engine: &Arc<HandlerEngine>,
        name: &str,
        wasm: &[u8],
        contracts: Vec<u8>,
    ) -> Result<Self, RuntimeError> {
        let loaded = Loaded::new(engine, name, wasm, &WORLD)?;
        let pre = TranslatorPre::new(loaded.pre.clone()).map_err(|cause| incompatible(name, cause))?;
        Ok(Self { loaded, pre, contracts })
    }

    /// Name and digest.
    #[must_use]
    pub fn id(&self) -> &ComponentId {
        &self.loaded.id
    }

    /// It has no name, and says of itself only what follows from a contract set.
    pub(super) fn about(&self) -> (Option<String>, String) {
        (None, "translates by the contract set that it is given".to_owned())
    }

    /// The chain and the logs that it wants to see, or what is wrong with the contract set.
    pub fn filters(&self) -> Result<Selection, Fault> {
        let answer = self.loaded.call("filters", |store| {
            let instance = self.pre.instantiate(&mut *store)?;
            instance.clearfold_handlers_translation().call_filters(store, &self.contracts)
        })?;
        let wit::Selection { chain_id, filters } =
            answer.map_err(|why| self.loaded.failed("filters", why))?;
        let filters = filters.iter().map(filter).collect::<Result<_, _>>();
        Ok(Selection { chain_id, filters: filters.map_err(|why| self.loaded.nonsense("filters", why))? })
    }

    /// Translates transactions; one answer for each.
    pub fn translate(&self, transactions: &[Transaction]) -> Result<Vec<Translated>, Fault> {
        let translated = self.loaded.call("translate", |store| {
            let instance = self.pre.instantiate(&mut *store)?;
            let translation = instance.clearfold_handlers_translation();
            translation.call_translate(store, &self.contracts, transactions)
        })?;
        let translated = translated.map_err(|why| self.loaded.failed("translate", why))?;
        let translated = self.loaded.one_each("translate", transactions.len(), translated)?;
        let checked = transactions.iter().zip(translated).map(|(asked, answer)| checked(asked, answer));
        checked.collect::<Result<_, _>>().map_err(|why| self.loaded.nonsense("translate", why))
    }
}

/// A filter whose words have the lengths that they must have.
fn filter(filter: &wit::LogFilter) -> Result<LogFilter, String> {
    let address = |bytes: &Vec<u8>| {
        Address::from_slice(bytes).ok_or_else(|| format!("an address of {} bytes", bytes.len()))
    };
    let hash =
        |bytes: &Vec<u8>| Hash::from_slice(bytes).ok_or_else(|| format!("a hash of {} bytes", bytes.len()));
    Ok(LogFilter {
        addresses: filter.addresses.iter().map(address).collect::<Result<_, _>>()?,
        topics: filter.topics.iter().map(hash).collect::<Result<_, _>>()?,
        first_arguments: filter.first_arguments.iter().map(hash).collect::<Result<_, _>>()?,
        from_block: filter.from_block,
        to_block: filter.to_block,
    })
}

/// What the database can hold, and what acts once for each log; or why it is neither.
fn checked(asked: &Transaction, mut answer: Translated) -> Result<Translated, String> {
    let mut free: BTreeSet<u64> = asked.logs.iter().map(|log| log.log_index).collect();
    for command in &answer.commands {
        let words = [&command.aggregate, &command.id, &command.routing_key, &command.type_];
        if let Some(odd) = words.into_iter().find(|word| !is_word(word)) {
            return Err(format!("a command with {odd:?} for a name"));
        }
        if !(1..=MAX_VERSION).contains(&command.schema_version) {
            return Err(format!("a {} of schema version {}", command.type_, command.schema_version));
        }
        if !free.remove(&command.log_index) {
            let (kind, log) = (&command.type_, command.log_index);
            return Err(format!(
                "a {kind} for log {log}, which the transaction lacks or another command has"
            ));
        }
    }
    let mut free: BTreeSet<u64> = asked.logs.iter().map(|log| log.log_index).collect();
    for refusal in &mut answer.refusals {
        if !is_word(&refusal.code) {
            return Err(format!("a refusal with {:?} for a code", refusal.code));
        }
        if !free.remove(&refusal.log_index) {
            let (code, log) = (&refusal.code, refusal.log_index);
            return Err(format!("{code} for log {log}, which the transaction lacks or another refusal has"));
        }
        refusal.detail = refusal.detail.replace('\0', "\u{fffd}");
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction() -> Transaction {
        let log = |log_index| Log { log_index, address: vec![0; 20], topics: Vec::new(), data: Vec::new() };
        Transaction {
            chain_id: 100,
            block_hash: vec![1; 32],
            block_number: 1,
            block_timestamp_s: 1,
            transaction_hash: vec![2; 32],
            logs: vec![log(4), log(5)],
        }
    }

    fn command(log_index: u64) -> TranslatedCommand {
        TranslatedCommand {
            log_index,
            aggregate: "authorization".into(),
            id: "1".into(),
            routing_key: "0xaa".into(),
            type_: "RecordSwipe".into(),
            schema_version: 1,
            payload: Vec::new(),
        }
    }

    fn refusal(log_index: u64, code: &str, detail: &str) -> Refusal {
        Refusal { log_index, code: code.into(), detail: detail.into() }
    }

    fn why(commands: Vec<TranslatedCommand>, refusals: Vec<Refusal>) -> String {
        checked(&transaction(), Translated { commands, refusals }).err().unwrap_or_default()
    }

    #[test]
    fn an_answer_within_the_limits_passes() {
        let refusals = vec![refusal(4, "odd", "with a zero\0in it")];
        let answer = Translated { commands: vec![command(4), command(5)], refusals };
        let answer = checked(&transaction(), answer).unwrap();
        assert_eq!(
            (answer.commands.len(), answer.refusals[0].detail.as_str()),
            (2, "with a zero\u{fffd}in it")
        );
    }

    #[test]
    fn commands_that_cannot_be_kept_apart_or_stored_are_nonsense() {
        assert!(why(vec![command(4), command(4)], vec![]).contains("log 4"));
        assert!(why(vec![command(6)], vec![]).contains("log 6"));
        for odd in ["", "a\0b", &"x".repeat(256)] {
            let odd = odd.to_owned();
            for command in [
                TranslatedCommand { aggregate: odd.clone(), ..command(4) },
                TranslatedCommand { id: odd.clone(), ..command(4) },
                TranslatedCommand { routing_key: odd.clone(), ..command(4) },
                TranslatedCommand { type_: odd.clone(), ..command(4) },
            ] {
                assert!(why(vec![command], vec![]).contains("for a name"), "{odd:?}");
            }
        }
        for schema_version in [0, u32::MAX] {
            let command = TranslatedCommand { schema_version, ..command(4) };
            assert!(why(vec![command], vec![]).contains("schema version"));
        }
    }

    #[test]
    fn refusals_that_cannot_be_kept_apart_or_stored_are_nonsense() {
        assert!(why(vec![], vec![refusal(4, "", "")]).contains("for a code"));
        assert!(why(vec![], vec![refusal(4, "a\0b", "")]).contains("for a code"));
        assert!(why(vec![], vec![refusal(7, "odd", "")]).contains("log 7"));
        assert!(why(vec![], vec![refusal(4, "odd", ""), refusal(4, "even", "")]).contains("log 4"));
    }

    #[test]
    fn a_filter_with_a_word_of_another_length_is_nonsense() {
        let good = wit::LogFilter {
            addresses: vec![vec![1; 20]],
            topics: vec![vec![2; 32]],
            first_arguments: Vec::new(),
            from_block: 3,
            to_block: None,
        };
        assert_eq!(filter(&good).unwrap().addresses, [Address([1; 20])]);
        let short = wit::LogFilter { addresses: vec![vec![1; 19]], ..good.clone() };
        assert_eq!(filter(&short).unwrap_err(), "an address of 19 bytes");
        let long = wit::LogFilter { first_arguments: vec![vec![1; 33]], ..good };
        assert_eq!(filter(&long).unwrap_err(), "a hash of 33 bytes");
    }
}
