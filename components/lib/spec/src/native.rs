//! Test subjects built from the kernel's traits: the handler's Rust functions, called in the form of the sandbox
//! boundary.

use std::marker::PhantomData;

use clearfold_kernel::{
    Change, ColumnRule, Decided, Decider, Encoded, Entry, Folded, Projector, RecordedEvent, Row, RowKey,
    Transaction, Translated, Translator, Turn, decide_turn, evolve_state, message_keys,
};

use crate::{
    Column, DeciderSubject, ProjectorSubject, Refusal, Rule, Table, TranslatedCommand, Translation,
    TranslatorSubject,
};

/// Decider implemented by Rust functions.
pub struct NativeDecider<D>(PhantomData<D>);

impl<D> Default for NativeDecider<D> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<D: Decider> DeciderSubject for NativeDecider<D> {
    fn aggregate(&self) -> &str {
        D::AGGREGATE
    }

    fn initial(&self) -> Result<Vec<u8>, String> {
        evolve_state::<D>(&[], &[], &[]).map(|folded| folded.state)
    }

    fn keys(&self, messages: &[Encoded]) -> Result<Vec<Vec<String>>, String> {
        Ok(messages.iter().map(message_keys::<D>).collect())
    }

    fn decide(&self, turn: &Turn) -> Result<Decided, String> {
        decide_turn::<D>(turn).map_err(|fault| fault.to_string())
    }

    fn evolve(&self, state: &[u8], entries: &[Entry], events: &[Encoded]) -> Result<Folded, String> {
        evolve_state::<D>(state, entries, events)
    }
}

/// Projector implemented by Rust functions.
pub struct NativeProjector<P> {
    name: &'static str,
    tables: Vec<Table>,
    projector: PhantomData<P>,
}

impl<P: Projector> Default for NativeProjector<P> {
    fn default() -> Self {
        let described = P::describe();
        let tables = described.tables.into_iter().map(table).collect();
        Self { name: described.name, tables, projector: PhantomData }
    }
}

impl<P: Projector> ProjectorSubject for NativeProjector<P> {
    fn name(&self) -> &str {
        self.name
    }

    fn tables(&self) -> &[Table] {
        &self.tables
    }

    fn keys(&self, events: &[RecordedEvent]) -> Result<Vec<RowKey>, String> {
        P::keys(events)
    }

    fn project(&self, events: &[RecordedEvent], rows: Vec<Row>) -> Result<Vec<Change>, String> {
        P::project(events, rows)
    }
}

/// Translator implemented by Rust functions.
pub struct NativeTranslator<T> {
    contracts: Vec<u8>,
    translator: PhantomData<T>,
}

impl<T> NativeTranslator<T> {
    /// Creates a translator with the contract set of the specification file.
    #[must_use]
    pub fn new(contracts: Vec<u8>) -> Self {
        Self { contracts, translator: PhantomData }
    }
}

impl<T: Translator> TranslatorSubject for NativeTranslator<T> {
    fn translate(&self, transactions: &[Transaction]) -> Result<Vec<Translation>, String> {
        Ok(T::translate(&self.contracts, transactions)?.into_iter().map(translation).collect())
    }
}

fn table(table: clearfold_kernel::Table) -> Table {
    let column = |column: clearfold_kernel::Column| Column {
        name: column.name.to_owned(),
        kind: column.kind,
        nullable: column.nullable,
        rule: column.rule.map(|rule| match rule {
            ColumnRule::NonNegative => Rule::NonNegative,
            ColumnRule::Positive => Rule::Positive,
            ColumnRule::OneOf(words) => Rule::OneOf(words.into_iter().map(str::to_owned).collect()),
        }),
    };
    Table {
        name: table.name.to_owned(),
        columns: table.columns.into_iter().map(column).collect(),
        primary_key: table.primary_key.into_iter().map(str::to_owned).collect(),
    }
}

fn translation(translated: Translated) -> Translation {
    let commands = translated.commands.into_iter().map(|command| TranslatedCommand {
        log_index: command.log_index,
        part: command.part,
        aggregate: command.aggregate.to_owned(),
        id: command.id,
        account: command.routing_key,
        message: command.message,
    });
    let refusals = translated.refusals.into_iter().map(|refusal| Refusal {
        log_index: refusal.log_index,
        code: refusal.code.to_owned(),
        detail: refusal.detail,
    });
    Translation { commands: commands.collect(), refusals: refusals.collect() }
}
