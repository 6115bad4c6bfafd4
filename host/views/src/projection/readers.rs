//! Checks queries against a projection's tables before the tables are read.
//!
//! The statements are prepared where the tables lie, never run.

use sqlx::postgres::PgColumn;
use sqlx::{AssertSqlSafe, Column, Connection, Executor, PgConnection, SqlSafeStr, Statement, TypeInfo};

use super::ProjectionError;

/// Statements of queries that a projection's tables must serve.
#[derive(Debug, Clone, Copy, Default)]
pub struct Readers(pub &'static [&'static [&'static str]]);

/// Columns that each statement returns: names and types.
pub(super) type Shape = Vec<Vec<(String, String)>>;

impl Readers {
    /// Columns that the statements return on the tables that bear the projection's name in this transaction, which
    /// goes on as it was. `when` makes the text another one than those that this connection has prepared before and
    /// cached.
    pub(super) async fn shape(
        self,
        transaction: &mut PgConnection,
        when: &str,
    ) -> Result<Shape, ProjectionError> {
        let mut savepoint = transaction.begin().await?;
        let mut shape = Shape::new();
        let statements: Vec<&'static str> = self.0.concat();
        for statement in statements {
            shape.push(columns(&mut savepoint, format!("/* {when} */ {statement}")).await?);
        }
        savepoint.rollback().await?;
        Ok(shape)
    }
}

async fn columns(
    connection: &mut PgConnection,
    statement: String,
) -> Result<Vec<(String, String)>, ProjectionError> {
    let prepared = connection.prepare(AssertSqlSafe(statement).into_sql_str()).await;
    let prepared = prepared.map_err(|error| match error {
        sqlx::Error::Database(error) if is_of_shape(error.code().as_deref()) => {
            ProjectionError::Unreadable { why: error.to_string() }
        }
        other => other.into(),
    })?;
    let column = |column: &PgColumn| (column.name().to_owned(), column.type_info().name().to_owned());
    Ok(prepared.columns().iter().map(column).collect())
}

/// Returns true if the database says that the tables do not serve the statement: something is missing or of another
/// type (SQLSTATE classes 42, 3F and 22). Other errors say nothing about the tables: a lock that was not available in
/// time, a missing right (42501), a database without memory.
fn is_of_shape(code: Option<&str>) -> bool {
    code.is_some_and(|code| code != "42501" && ["42", "3F", "22"].iter().any(|class| code.starts_with(class)))
}

/// Checks that the columns stay the same: a column of another type would be misread, and a statement that a connection
/// keeps prepared would fail on it.
pub(super) fn agree(before: &Shape, after: &Shape) -> Result<(), ProjectionError> {
    let mut both = before.iter().flatten().zip(after.iter().flatten());
    match both.find(|(was, is)| was != is) {
        None => Ok(()),
        Some((was, is)) => {
            let why = format!("`{}` is {} now, and `{}` would be {}", was.0, was.1, is.0, is.1);
            Err(ProjectionError::Unreadable { why })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(columns: &[(&str, &str)]) -> Shape {
        vec![columns.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned())).collect()]
    }

    #[test]
    fn only_what_the_tables_lack_is_held_against_them() {
        assert!(
            ["42P01", "42703", "42883", "42804", "42702", "3F000", "22P02"]
                .map(Some)
                .into_iter()
                .all(is_of_shape)
        );
        assert!(!["55P03", "57014", "40P01", "53200", "42501"].map(Some).into_iter().any(is_of_shape));
        assert!(!is_of_shape(None));
    }

    #[test]
    fn a_column_of_another_type_is_named() {
        let before = shape(&[("id", "TEXT"), ("count", "INT8")]);
        assert!(agree(&before, &before).is_ok());
        let error = agree(&before, &shape(&[("id", "TEXT"), ("count", "TEXT")])).unwrap_err();
        assert!(error.to_string().contains("`count` is INT8 now, and `count` would be TEXT"), "{error}");
    }
}
