//! Verdicts: results of cases, for people and for machines.

use std::fmt;

use serde::Serialize;

/// Result of one case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Name of the case.
    pub case: String,
    /// Row of the model's table that it covers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    /// Differences from the expectation, one sentence each. Empty if the case passed.
    pub differences: Vec<String>,
}

impl Verdict {
    pub(crate) fn new(case: &str, row: Option<&str>, run: Result<Vec<String>, String>) -> Self {
        // An error that prevents a case from running counts as a difference, because the case does not hold.
        let differences = run.unwrap_or_else(|error| vec![error]);
        Self { case: case.to_owned(), row: row.map(str::to_owned), differences }
    }

    /// Returns true if the handler did what the case says.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", if self.passed() { "ok    " } else { "FAILED" }, self.case)?;
        if let Some(row) = &self.row {
            write!(f, " [{row}]")?;
        }
        self.differences.iter().try_for_each(|difference| write!(f, "\n          {difference}"))
    }
}
