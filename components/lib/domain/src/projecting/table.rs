//! Tables as structs: the `table!` macro and the `Record` trait that it implements.

use clearfold_kernel::{Column, Row, Table, Value};

use super::{Cell, Misfit};

/// Row of a table, as a type. Implemented by `table!`.
pub trait Record: Sized {
    /// Name of the table.
    const TABLE: &'static str;

    /// Describes the table, with the columns of the key first.
    fn table() -> Table;

    /// Reads a row from its cells.
    fn read(row: Row) -> Result<Self, Misfit>;

    /// Returns the cells of the primary key.
    fn key_values(&self) -> Vec<Value>;

    /// Returns the cells that follow the primary key.
    fn other_values(&self) -> Vec<Value>;
}

/// Defines a table as a struct: `struct Hold in "hold", indexes [[account]] { key { id: String } minor: Minor where
/// Positive }`. The fields in `key` are the primary key; a rule after `where` replaces the type's own rule. Besides
/// [`Record`], the struct gets a function `key`, which makes a [`RowKey`] of the key's fields.
macro_rules! table {
    ($(#[$doc:meta])* $vis:vis struct $name:ident in $table:literal, indexes [$([$($index:ident),+]),* $(,)?] {
        key { $($(#[$key_doc:meta])* $key:ident: $key_type:ty $(where $key_rule:ident)?),+ $(,)? }
        $($(#[$field_doc:meta])* $field:ident: $type:ty $(where $rule:ident)?),* $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        $vis struct $name {
            $($(#[$key_doc])* pub $key: $key_type,)+
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $name {
            /// Key of the row.
            #[allow(dead_code, reason = "a table whose rows are made once is never asked for one")]
            $vis fn key($($key: &$key_type),+) -> ::clearfold_kernel::RowKey {
                let key = vec![$($crate::projecting::Cell::write($key)),+];
                ::clearfold_kernel::RowKey { table: $table.to_owned(), key }
            }
        }

        impl $crate::projecting::Record for $name {
            const TABLE: &'static str = $table;

            fn table() -> ::clearfold_kernel::Table {
                use $crate::projecting::{column, name};
                ::clearfold_kernel::Table {
                    name: $table,
                    columns: vec![
                        $(column::<$key_type>(stringify!($key))
                            $(.with(::clearfold_kernel::ColumnRule::$key_rule))?,)+
                        $(column::<$type>(stringify!($field))
                            $(.with(::clearfold_kernel::ColumnRule::$rule))?,)*
                    ],
                    primary_key: vec![$(name(stringify!($key))),+],
                    indexes: vec![$(vec![$(name(stringify!($index))),+]),*],
                }
            }

            fn read(row: ::clearfold_kernel::Row) -> Result<Self, $crate::projecting::Misfit> {
                let mut cells = $crate::projecting::Cells::of(Self::TABLE, row);
                let read = Self {
                    $($key: cells.next(stringify!($key))?,)+
                    $($field: cells.next(stringify!($field))?,)*
                };
                cells.end().map(|()| read)
            }

            fn key_values(&self) -> Vec<::clearfold_kernel::Value> {
                Self::key($(&self.$key),+).key
            }

            fn other_values(&self) -> Vec<::clearfold_kernel::Value> {
                vec![$($crate::projecting::Cell::write(&self.$field)),*]
            }
        }
    };
}
pub(crate) use table;

/// Returns the column name of a field: `r#type` becomes `type`.
pub(crate) fn name(field: &'static str) -> &'static str {
    field.strip_prefix("r#").unwrap_or(field)
}

/// Describes the column that holds cells of this type.
pub(crate) fn column<C: Cell>(field: &'static str) -> Column {
    Column { name: name(field), kind: C::KIND, nullable: C::NULLABLE, rule: C::rule() }
}

/// Cells of a row, in order.
pub(crate) struct Cells {
    table: &'static str,
    cells: std::vec::IntoIter<Value>,
}

impl Cells {
    pub(crate) fn of(table: &'static str, row: Row) -> Self {
        Self { table, cells: row.values.into_iter() }
    }

    pub(crate) fn next<C: Cell>(&mut self, field: &'static str) -> Result<C, Misfit> {
        let cell = self.cells.next().ok_or_else(|| Misfit::Row(self.table.to_owned()))?;
        C::read(cell.clone()).ok_or(Misfit::Cell(self.table, name(field), cell))
    }

    pub(crate) fn end(mut self) -> Result<(), Misfit> {
        self.cells.next().map_or(Ok(()), |_| Err(Misfit::Row(self.table.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use clearfold_kernel::{ColumnRule, Minor, Row, RowKey, Value};

    use super::super::{Misfit, Record, Rows};

    table! {
        /// Table for the test.
        struct Hold in "hold", indexes [[minor, id]] {
            key { id: String }
            minor: Minor where Positive,
            r#type: Option<String>,
        }
    }

    fn row(values: Vec<Value>) -> Row {
        Row { table: "hold".into(), values }
    }

    fn cells(minor: Value) -> Vec<Value> {
        vec![Value::from("h1"), minor, Value::Null]
    }

    #[test]
    fn a_table_is_what_its_fields_say() {
        let table = Hold::table();
        let columns: Vec<_> = table.columns.iter().map(|column| (column.name, column.nullable)).collect();
        assert_eq!(columns, [("id", false), ("minor", false), ("type", true)]);
        assert_eq!(table.columns[1].rule, Some(ColumnRule::Positive));
        assert_eq!((table.primary_key, table.indexes), (vec!["id"], vec![vec!["minor", "id"]]));
    }

    #[test]
    fn a_row_is_found_as_it_was_put() {
        let mut rows = Rows::fetched(&[Hold::table()], Vec::new()).unwrap();
        let hold = Hold { id: "h1".into(), minor: Minor::new(5), r#type: None };
        rows.put(&hold);
        assert_eq!(rows.find(&Hold::key(&hold.id)), Ok(Some(hold)));
        let other: Result<Hold, Misfit> = rows.existing(&Hold::key(&"h2".to_owned()));
        assert_eq!(other, Err(Misfit::Missing("hold")));
    }

    #[test]
    fn a_row_that_was_only_read_is_no_change() {
        let fetched = row(cells(Value::from(Minor::new(5))));
        let rows = Rows::fetched(&[Hold::table()], vec![fetched]).unwrap();
        assert!(rows.find::<Hold>(&Hold::key(&"h1".to_owned())).unwrap().is_some());
        assert_eq!(rows.into_changes(), []);
    }

    #[test]
    fn what_is_no_row_of_the_table_is_named() {
        let read = |values| Hold::read(row(values)).unwrap_err().to_string();
        let misfit = read(cells(Value::Integer(5)));
        assert!(misfit.contains("`hold.minor` holds Integer(5)"), "{misfit}");
        assert_eq!(Hold::read(row(vec![Value::from("h1")])), Err(Misfit::Row("hold".into())));
        let mut too_many = cells(Value::from(Minor::new(5)));
        too_many.push(Value::Null);
        assert_eq!(Hold::read(row(too_many)), Err(Misfit::Row("hold".into())));
        let foreign = Row { table: "card".into(), values: Vec::new() };
        let misfit = Rows::fetched(&[Hold::table()], vec![foreign]).err().unwrap();
        assert!(misfit.contains("rows of `card` were not asked for"), "{misfit}");
        let RowKey { table, key } = Hold::key(&"h1".to_owned());
        assert_eq!((table.as_str(), key), ("hold", vec![Value::from("h1")]));
    }
}
