//! The `decider` world.

use std::marker::PhantomData;

use clearfold_kernel::{
    CommandContext, Decider, Encoded, Entry, Folded, Message, MessageType, Timestamp, Turn, decide_turn,
    evolve_state, message_keys,
};

use self::bindings::exports::clearfold::handlers::decision as wit;

pub mod bindings {
    //! Made by wit-bindgen from `wit/decider.wit`.
    wit_bindgen::generate!({
        world: "decider",
        path: "../../../wit",
        pub_export_macro: true,
        export_macro_name: "export_decider_world",
    });
}

/// Makes the crate a component of the `decider` world.
#[macro_export]
macro_rules! export_decider {
    ($decider:ty) => {
        type Component = $crate::decider::Component<$decider>;
        $crate::decider::bindings::export_decider_world!(Component with_types_in $crate::decider::bindings);
    };
}

/// A decider as a component.
pub struct Component<D>(PhantomData<D>);

impl<D: Decider + 'static> wit::Guest for Component<D> {
    fn describe() -> wit::Descriptor {
        wit::Descriptor {
            aggregate: D::AGGREGATE.to_owned(),
            commands: types(D::Command::TYPES),
            events: types(D::Event::TYPES),
            state_version: D::STATE_VERSION,
            has_entries: D::HAS_ENTRIES,
        }
    }

    fn initial() -> Vec<u8> {
        #[expect(clippy::panic, reason = "a trap: the initial state of a component cannot be written")]
        evolve_state::<D>(&[], &[], &[]).unwrap_or_else(|error| panic!("{error}")).state
    }

    fn keys(messages: Vec<wit::Message>) -> Vec<Vec<String>> {
        messages.into_iter().map(|message| message_keys::<D>(&encoded(message))).collect()
    }

    fn decide(turns: Vec<wit::Turn>) -> Vec<wit::Decided> {
        turns.into_iter().map(decide::<D>).collect()
    }

    fn evolve(
        state: Vec<u8>,
        entries: Vec<wit::Entry>,
        events: Vec<wit::Message>,
    ) -> Result<wit::Folded, String> {
        let entries: Vec<Entry> = entries.into_iter().map(read_entry).collect();
        let events: Vec<Encoded> = events.into_iter().map(encoded).collect();
        let Folded { state, entries } = evolve_state::<D>(&state, &entries, &events)?;
        Ok(wit::Folded { state, entries: entries.into_iter().map(write_entry).collect() })
    }
}

fn decide<D: Decider>(turn: wit::Turn) -> wit::Decided {
    let commands = turn.commands.into_iter().map(|command| (context(&command), encoded(command.message)));
    let entries = turn.entries.into_iter().map(read_entry);
    let turn = Turn { state: turn.state, entries: entries.collect(), commands: commands.collect() };
    // A state that this very component wrote and cannot read, or an entry that it did not name, is a fault, and a trap
    // says so.
    #[expect(clippy::panic, reason = "a trap: the host throws the instance away and keeps the commands")]
    let decided = decide_turn::<D>(&turn).unwrap_or_else(|fault| panic!("{fault}"));
    wit::Decided {
        state: decided.state,
        entries: decided.entries.into_iter().map(write_entry).collect(),
        outcomes: decided.outcomes.into_iter().map(outcome).collect(),
    }
}

fn context(command: &wit::Command) -> CommandContext {
    #[expect(clippy::panic, reason = "a trap: the host's clock is beyond the year 9999")]
    let accepted_at = Timestamp::from_ms(command.accepted_at_ms)
        .unwrap_or_else(|| panic!("no time: {} ms", command.accepted_at_ms));
    CommandContext {
        id: command.id.clone(),
        routing_key: command.routing_key.clone(),
        actor: command.actor.clone(),
        accepted_at,
    }
}

fn outcome(outcome: clearfold_kernel::Outcome) -> wit::Outcome {
    match outcome {
        Ok(events) => wit::Outcome::Accepted(events.into_iter().map(message).collect()),
        Err(rejection) => {
            wit::Outcome::Rejected(wit::Rejection { code: rejection.code, detail: rejection.detail })
        }
    }
}

fn types(types: &[MessageType]) -> Vec<wit::MessageType> {
    let described = |known: &MessageType| wit::MessageType {
        name: known.name.to_owned(),
        schema_version: known.schema_version,
    };
    types.iter().map(described).collect()
}

fn encoded(message: wit::Message) -> Encoded {
    Encoded { kind: message.type_, schema_version: message.schema_version, payload: message.payload }
}

fn message(encoded: Encoded) -> wit::Message {
    wit::Message { type_: encoded.kind, schema_version: encoded.schema_version, payload: encoded.payload }
}

fn read_entry(entry: wit::Entry) -> Entry {
    Entry { key: entry.key, value: entry.value }
}

fn write_entry(entry: Entry) -> wit::Entry {
    wit::Entry { key: entry.key, value: entry.value }
}
