//! The `auditor` world.

use std::marker::PhantomData;

use clearfold_kernel::{Auditor, Invariant, RecordedEvent, Timestamp, Violation};

use self::bindings::exports::clearfold::handlers::audit as wit;

pub mod bindings {
    //! Made by wit-bindgen from `wit/auditor.wit`.
    wit_bindgen::generate!({
        world: "auditor",
        path: "../../../wit",
        pub_export_macro: true,
        export_macro_name: "export_auditor_world",
    });
}

/// Makes the crate a component of the `auditor` world: its name, as the manifest gives it, and the auditor.
#[macro_export]
macro_rules! export_auditor {
    ($name:literal, $auditor:ty) => {
        struct Name;

        impl $crate::auditor::Named for Name {
            const NAME: &'static str = $name;
        }

        type Component = $crate::auditor::Component<Name, $auditor>;
        $crate::auditor::bindings::export_auditor_world!(Component with_types_in $crate::auditor::bindings);
    };
}

/// What the manifest calls a component.
pub trait Named {
    /// The name.
    const NAME: &'static str;
}

/// An auditor as a component.
pub struct Component<N, A>(PhantomData<(N, A)>);

impl<N: Named + 'static, A: Auditor + 'static> wit::Guest for Component<N, A> {
    fn describe() -> wit::Descriptor {
        let invariants = A::describe().into_iter().map(invariant).collect();
        wit::Descriptor { name: N::NAME.to_owned(), invariants }
    }

    fn audit(
        account: String,
        checked_at_ms: u64,
        events: Vec<wit::Event>,
    ) -> Result<Vec<wit::Violation>, String> {
        let checked_at = timestamp(checked_at_ms)?;
        let events: Vec<RecordedEvent> = events.into_iter().map(recorded).collect::<Result<_, _>>()?;
        Ok(A::audit(&account, checked_at, &events)?.into_iter().map(violation).collect())
    }
}

fn timestamp(ms: u64) -> Result<Timestamp, String> {
    Timestamp::from_ms(ms).ok_or_else(|| format!("no time: {ms} ms"))
}

fn recorded(event: wit::Event) -> Result<RecordedEvent, String> {
    let recorded_at = timestamp(event.recorded_at_ms)?;
    Ok(RecordedEvent {
        partition: event.partition,
        position: event.position,
        stream: event.stream,
        stream_version: event.stream_version,
        event_id: event.event_id,
        correlation_id: event.correlation_id,
        kind: event.type_,
        schema_version: event.schema_version,
        recorded_at,
        payload: event.payload,
    })
}

fn invariant(invariant: Invariant) -> wit::Invariant {
    wit::Invariant { code: invariant.code.to_owned(), statement: invariant.statement.to_owned() }
}

fn violation(violation: Violation) -> wit::Violation {
    wit::Violation {
        invariant: violation.invariant.to_owned(),
        detail: violation.detail,
        streams: violation.streams,
    }
}
