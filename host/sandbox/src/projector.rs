//! Projectors: the `projector` world, called.

use std::sync::Arc;

use self::bindings::ProjectorPre;
use super::ComponentKind;
use super::admission::World;
use super::component::{ComponentId, Loaded, RuntimeError, distinct, incompatible, plain};
use super::engine::HandlerEngine;
use super::fault::Fault;
use super::limits::{Guard, Output, count};

pub use self::bindings::exports::clearfold::handlers::projection::{
    Change, Column as ProjectionColumn, ColumnRule, ColumnType, Descriptor as ProjectionDescriptor, Event,
    Row, RowKey, Table, Value,
};

mod bindings {
    //! Made by wasmtime from `wit/projector.wit`.
    wasmtime::component::bindgen!({
        world: "projector",
        path: "../../wit",
        additional_derives: [Clone, PartialEq],
    });
}

const WORLD: World = World {
    kind: ComponentKind::Projector,
    interface: "clearfold:handlers/projection@0.1.0",
    functions: &["describe", "keys", "project"],
};

impl Output for ProjectionDescriptor {
    fn items(&self) -> usize {
        let inside = |table: &Table| {
            let columns = count(&table.columns, |column| match &column.rule {
                Some(ColumnRule::OneOf(words)) => words.len(),
                _ => 0,
            });
            columns.saturating_add(table.primary_key.len()).saturating_add(count(&table.indexes, Vec::len))
        };
        count(&self.tables, inside)
    }
}

impl Output for Vec<RowKey> {
    fn items(&self) -> usize {
        count(self, |row| row.key.len())
    }
}

impl Output for Vec<Change> {
    fn items(&self) -> usize {
        count(self, |change| match change {
            Change::Upsert(row) => row.values.len(),
            Change::Delete(row) => row.key.len(),
        })
    }
}

/// A projector that was let in.
pub struct Projector {
    loaded: Loaded,
    pre: ProjectorPre<Guard>,
    descriptor: ProjectionDescriptor,
}

impl Projector {
    /// Loads a component, asks it which tables it owns, and checks that such tables can be.
    pub fn load(engine: &Arc<HandlerEngine>, name: &str, wasm: &[u8]) -> Result<Self, RuntimeError> {
        let loaded = Loaded::new(engine, name, wasm, &WORLD)?;
        let pre = ProjectorPre::new(loaded.pre.clone()).map_err(|cause| incompatible(name, cause))?;
        let descriptor = loaded.call("describe", |store| {
            let instance = pre.instantiate(&mut *store)?;
            instance.clearfold_handlers_projection().call_describe(store)
        })?;
        check(&descriptor).map_err(|why| loaded.descriptor_error(why))?;
        Ok(Self { loaded, pre, descriptor })
    }

    /// Name and digest.
    #[must_use]
    pub fn id(&self) -> &ComponentId {
        &self.loaded.id
    }

    /// What it calls itself, and what it says of itself.
    pub(super) fn about(&self) -> (Option<String>, String) {
        let ProjectionDescriptor { name, version, tables } = &self.descriptor;
        let tables: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        (Some(name.clone()), format!("builds `{name}` version {version}: {}", tables.join(", ")))
    }

    /// Name, version and tables.
    #[must_use]
    pub fn descriptor(&self) -> &ProjectionDescriptor {
        &self.descriptor
    }

    /// The rows that these events need to see.
    pub fn keys(&self, events: &[Event]) -> Result<Vec<RowKey>, Fault> {
        let keys = self.loaded.call("keys", |store| {
            let instance = self.pre.instantiate(&mut *store)?;
            instance.clearfold_handlers_projection().call_keys(store, events)
        })?;
        keys.map_err(|why| self.loaded.failed("keys", why))
    }

    /// The changes that these events make to those rows.
    pub fn project(&self, events: &[Event], rows: &[Row]) -> Result<Vec<Change>, Fault> {
        let changes = self.loaded.call("project", |store| {
            let instance = self.pre.instantiate(&mut *store)?;
            instance.clearfold_handlers_projection().call_project(store, events, rows)
        })?;
        changes.map_err(|why| self.loaded.failed("project", why))
    }

    /// A fault of this projector: an answer that its own tables do not allow.
    pub fn nonsense(&self, call: &'static str, why: impl Into<String>) -> Fault {
        self.loaded.nonsense(call, why)
    }
}

/// Names become SQL, so nothing but plain names may pass.
fn check(descriptor: &ProjectionDescriptor) -> Result<(), String> {
    let reserved = ["public", "information_schema"];
    plain("projection", &descriptor.name)?;
    if reserved.contains(&descriptor.name.as_str()) || descriptor.name.starts_with("pg_") {
        return Err(format!("the projection's name `{}` is reserved", descriptor.name));
    }
    if descriptor.version == 0 || descriptor.version > i32::MAX.unsigned_abs() {
        return Err("versions begin with 1".to_owned());
    }
    if descriptor.tables.is_empty() {
        return Err("it owns no table".to_owned());
    }
    distinct("table", descriptor.tables.iter().map(|table| &table.name))?;
    descriptor.tables.iter().try_for_each(check_table)
}

fn check_table(table: &Table) -> Result<(), String> {
    plain("table", &table.name)?;
    distinct("column", table.columns.iter().map(|column| &column.name))?;
    for column in &table.columns {
        plain("column", &column.name)?;
        let fits = match (&column.rule, column.type_) {
            (None, _) | (Some(ColumnRule::OneOf(_)), ColumnType::Text) => true,
            (Some(ColumnRule::OneOf(_)), _) => false,
            (Some(_), kind) => matches!(kind, ColumnType::Integer | ColumnType::Numeric),
        };
        if !fits {
            return Err(format!("the rule of column `{}.{}` does not fit its type", table.name, column.name));
        }
    }
    if table.primary_key.is_empty() {
        return Err(format!("table `{}` has no primary key", table.name));
    }
    let keys = std::iter::once(&table.primary_key).chain(&table.indexes);
    for name in keys.flatten() {
        if !table.columns.iter().any(|column| column.name == *name) {
            return Err(format!("table `{}` has no column `{name}` for its key or index", table.name));
        }
    }
    let nullable =
        |name: &&String| table.columns.iter().any(|column| column.name == **name && column.nullable);
    match table.primary_key.iter().find(nullable) {
        Some(name) => Err(format!("`{}.{name}` is part of the primary key and may not be null", table.name)),
        None => distinct("key column", table.primary_key.iter()),
    }
}
