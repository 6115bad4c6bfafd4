//! Components in the sandbox as subjects of a specification: converts between the types of WIT and the kernel's.

use clearfold_kernel::{
    Change, ColumnType, CommandContext, Decided, Encoded, Entry, Folded, RecordedEvent, Rejection, Row,
    RowKey, Transaction, Turn, Value,
};
use clearfold_spec::{
    Column, DeciderSubject, ProjectorSubject, Refusal, Rule, Table, TranslatedCommand, Translation,
    TranslatorSubject,
};

use clearfold_base::telemetry::with_causes;
use clearfold_sandbox::{self, Decides as _, Fault};

/// Decider in the sandbox.
pub(super) struct SandboxedDecider(pub clearfold_sandbox::Decider);

impl DeciderSubject for SandboxedDecider {
    fn aggregate(&self) -> &str {
        self.0.aggregate()
    }

    fn initial(&self) -> Result<Vec<u8>, String> {
        Ok(self.0.initial().to_vec())
    }

    fn keys(&self, messages: &[Encoded]) -> Result<Vec<Vec<String>>, String> {
        let messages: Vec<_> = messages.iter().map(message).collect();
        self.0.keys(&messages).map_err(fault)
    }

    fn decide(&self, turn: &Turn) -> Result<Decided, String> {
        let turn = clearfold_sandbox::Turn {
            state: turn.state.clone(),
            entries: turn.entries.iter().map(write_entry).collect(),
            commands: turn.commands.iter().map(|(context, message)| command(context, message)).collect(),
        };
        let mut decided = self.0.decide(&[turn]).map_err(fault)?;
        let decided = decided.pop().ok_or("one turn got no answer")?;
        Ok(Decided {
            state: decided.state,
            entries: decided.entries.into_iter().map(read_entry).collect(),
            outcomes: decided.outcomes.into_iter().map(outcome).collect(),
        })
    }

    fn evolve(&self, state: &[u8], entries: &[Entry], events: &[Encoded]) -> Result<Folded, String> {
        let events: Vec<_> = events.iter().map(message).collect();
        let entries: Vec<_> = entries.iter().map(write_entry).collect();
        let folded = self.0.evolve(state, &entries, &events).map_err(fault)?;
        Ok(Folded { state: folded.state, entries: folded.entries.into_iter().map(read_entry).collect() })
    }
}

/// Projector in the sandbox, and its tables.
pub(super) struct SandboxedProjector {
    projector: clearfold_sandbox::Projector,
    tables: Vec<Table>,
}

impl SandboxedProjector {
    pub(super) fn new(projector: clearfold_sandbox::Projector) -> Self {
        let tables = projector.descriptor().tables.iter().map(table).collect();
        Self { projector, tables }
    }
}

impl ProjectorSubject for SandboxedProjector {
    fn name(&self) -> &str {
        &self.projector.descriptor().name
    }

    fn tables(&self) -> &[Table] {
        &self.tables
    }

    fn keys(&self, events: &[RecordedEvent]) -> Result<Vec<RowKey>, String> {
        let events: Vec<_> = events.iter().map(event).collect();
        let keys = self.projector.keys(&events).map_err(fault)?;
        Ok(keys.into_iter().map(row_key).collect())
    }

    fn project(&self, events: &[RecordedEvent], rows: Vec<Row>) -> Result<Vec<Change>, String> {
        let events: Vec<_> = events.iter().map(event).collect();
        let rows = rows.into_iter().map(|row| clearfold_sandbox::Row {
            table: row.table,
            values: row.values.into_iter().map(write_value).collect(),
        });
        let changes = self.projector.project(&events, &rows.collect::<Vec<_>>()).map_err(fault)?;
        Ok(changes.into_iter().map(change).collect())
    }
}

/// Translator in the sandbox, with a contract set.
pub(super) struct SandboxedTranslator(pub clearfold_sandbox::Translator);

impl TranslatorSubject for SandboxedTranslator {
    fn translate(&self, transactions: &[Transaction]) -> Result<Vec<Translation>, String> {
        let transactions: Vec<_> = transactions.iter().map(transaction).collect();
        Ok(self.0.translate(&transactions).map_err(fault)?.into_iter().map(translation).collect())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn fault(fault: Fault) -> String {
    with_causes(&fault)
}

fn command(context: &CommandContext, content: &Encoded) -> clearfold_sandbox::WireCommand {
    clearfold_sandbox::WireCommand {
        id: context.id.clone(),
        routing_key: context.routing_key.clone(),
        actor: context.actor.clone(),
        accepted_at_ms: context.accepted_at.as_ms(),
        message: message(content),
    }
}

fn message(encoded: &Encoded) -> clearfold_sandbox::Message {
    clearfold_sandbox::Message {
        type_: encoded.kind.clone(),
        schema_version: encoded.schema_version,
        payload: encoded.payload.clone(),
    }
}

fn write_entry(entry: &Entry) -> clearfold_sandbox::Entry {
    clearfold_sandbox::Entry { key: entry.key.clone(), value: entry.value.clone() }
}

fn read_entry(entry: clearfold_sandbox::Entry) -> Entry {
    Entry { key: entry.key, value: entry.value }
}

fn outcome(outcome: clearfold_sandbox::Outcome) -> clearfold_kernel::Outcome {
    match outcome {
        clearfold_sandbox::Outcome::Accepted(events) => Ok(events
            .into_iter()
            .map(|event| Encoded {
                kind: event.type_,
                schema_version: event.schema_version,
                payload: event.payload,
            })
            .collect()),
        clearfold_sandbox::Outcome::Rejected(rejection) => {
            Err(Rejection { code: rejection.code, detail: rejection.detail })
        }
    }
}

fn table(table: &clearfold_sandbox::Table) -> Table {
    let column = |column: &clearfold_sandbox::ProjectionColumn| Column {
        name: column.name.clone(),
        kind: match column.type_ {
            clearfold_sandbox::ColumnType::Text => ColumnType::Text,
            clearfold_sandbox::ColumnType::Integer => ColumnType::Integer,
            clearfold_sandbox::ColumnType::Numeric => ColumnType::Numeric,
            clearfold_sandbox::ColumnType::Boolean => ColumnType::Boolean,
            clearfold_sandbox::ColumnType::Timestamp => ColumnType::Timestamp,
            clearfold_sandbox::ColumnType::Json => ColumnType::Json,
        },
        nullable: column.nullable,
        rule: column.rule.as_ref().map(|rule| match rule {
            clearfold_sandbox::ColumnRule::NonNegative => Rule::NonNegative,
            clearfold_sandbox::ColumnRule::Positive => Rule::Positive,
            clearfold_sandbox::ColumnRule::OneOf(words) => Rule::OneOf(words.clone()),
        }),
    };
    Table {
        name: table.name.clone(),
        columns: table.columns.iter().map(column).collect(),
        primary_key: table.primary_key.clone(),
    }
}

fn event(event: &RecordedEvent) -> clearfold_sandbox::Event {
    clearfold_sandbox::Event {
        partition: event.partition,
        position: event.position,
        stream: event.stream.clone(),
        stream_version: event.stream_version,
        event_id: event.event_id.clone(),
        correlation_id: event.correlation_id.clone(),
        type_: event.kind.clone(),
        schema_version: event.schema_version,
        recorded_at_ms: event.recorded_at.as_ms(),
        payload: event.payload.clone(),
    }
}

fn change(change: clearfold_sandbox::Change) -> Change {
    match change {
        clearfold_sandbox::Change::Upsert(row) => {
            Change::Upsert(Row { table: row.table, values: row.values.into_iter().map(read_value).collect() })
        }
        clearfold_sandbox::Change::Delete(key) => Change::Delete(row_key(key)),
    }
}

fn row_key(key: clearfold_sandbox::RowKey) -> RowKey {
    RowKey { table: key.table, key: key.key.into_iter().map(read_value).collect() }
}

fn write_value(value: Value) -> clearfold_sandbox::Value {
    match value {
        Value::Null => clearfold_sandbox::Value::Null,
        Value::Text(text) => clearfold_sandbox::Value::Text(text),
        Value::Integer(number) => clearfold_sandbox::Value::Integer(number),
        Value::Numeric(digits) => clearfold_sandbox::Value::Numeric(digits),
        Value::Boolean(truth) => clearfold_sandbox::Value::Boolean(truth),
        Value::TimestampMs(ms) => clearfold_sandbox::Value::TimestampMs(ms),
        Value::Json(document) => clearfold_sandbox::Value::Json(document),
    }
}

fn read_value(value: clearfold_sandbox::Value) -> Value {
    match value {
        clearfold_sandbox::Value::Null => Value::Null,
        clearfold_sandbox::Value::Text(text) => Value::Text(text),
        clearfold_sandbox::Value::Integer(number) => Value::Integer(number),
        clearfold_sandbox::Value::Numeric(digits) => Value::Numeric(digits),
        clearfold_sandbox::Value::Boolean(truth) => Value::Boolean(truth),
        clearfold_sandbox::Value::TimestampMs(ms) => Value::TimestampMs(ms),
        clearfold_sandbox::Value::Json(document) => Value::Json(document),
    }
}

fn transaction(transaction: &Transaction) -> clearfold_sandbox::Transaction {
    let logs = transaction.logs.iter().map(|log| clearfold_sandbox::Log {
        log_index: log.log_index,
        address: log.address.0.to_vec(),
        topics: log.topics.iter().map(|topic| topic.0.to_vec()).collect(),
        data: log.data.clone(),
    });
    let pulls = transaction.pulls.iter().map(|pull| clearfold_sandbox::ExecutedPull {
        log_index: pull.log_index,
        payment_id: pull.payment_id.clone(),
        leg: pull.leg,
    });
    clearfold_sandbox::Transaction {
        chain_id: transaction.chain_id,
        block_hash: transaction.block_hash.0.to_vec(),
        block_number: transaction.block_number,
        block_timestamp_s: transaction.block_timestamp.as_ms() / 1000,
        transaction_hash: transaction.transaction_hash.0.to_vec(),
        logs: logs.collect(),
        pulls: pulls.collect(),
    }
}

fn translation(translated: clearfold_sandbox::Translated) -> Translation {
    let commands = translated.commands.into_iter().map(|command| TranslatedCommand {
        log_index: command.log_index,
        part: command.part,
        aggregate: command.aggregate,
        id: command.id,
        account: command.routing_key,
        message: Encoded {
            kind: command.type_,
            schema_version: command.schema_version,
            payload: command.payload,
        },
    });
    let refusals = translated.refusals.into_iter().map(|refusal| Refusal {
        log_index: refusal.log_index,
        code: refusal.code,
        detail: refusal.detail,
    });
    Translation { commands: commands.collect(), refusals: refusals.collect() }
}
