//! The `decider` world.

use std::marker::PhantomData;

use clearfold_kernel::{
    CommandContext, Decider, Encoded, Message, MessageType, Timestamp, Turn, decide_turn, evolve_state,
};

use self::bindings::exports::clearfold::handlers::decision as wit;

pub mod bindings {
    //! Made by wit-bindgen from `wit/decider.wit`.
    wit_bindgen::generate!({
        world: "decider",
        path: "../../wit",
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
        }
    }

    fn initial() -> Vec<u8> {
        fold::<D>(&[], &[])
    }

    fn decide(turns: Vec<wit::Turn>) -> Vec<wit::Decided> {
        turns.into_iter().map(decide::<D>).collect()
    }

    fn evolve(state: Vec<u8>, events: Vec<wit::Message>) -> Result<Vec<u8>, String> {
        let events: Vec<Encoded> = events.into_iter().map(encoded).collect();
        evolve_state::<D>(&state, &events)
    }
}

fn decide<D: Decider>(turn: wit::Turn) -> wit::Decided {
    let commands = turn.commands.into_iter().map(|command| (context(&command), encoded(command.message)));
    let turn = Turn { state: turn.state, commands: commands.collect() };
    // A state that this very component wrote and cannot read is a fault, and a trap says so.
    #[expect(clippy::panic, reason = "a trap: the host throws the instance away and keeps the commands")]
    let decided = decide_turn::<D>(&turn).unwrap_or_else(|error| panic!("the state cannot be read: {error}"));
    wit::Decided { state: decided.state, outcomes: decided.outcomes.into_iter().map(outcome).collect() }
}

fn fold<D: Decider>(state: &[u8], events: &[Encoded]) -> Vec<u8> {
    #[expect(clippy::panic, reason = "a trap: the initial state of a component cannot be written")]
    evolve_state::<D>(state, events).unwrap_or_else(|error| panic!("{error}"))
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
