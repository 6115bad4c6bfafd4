//! Work that keeps a thread busy for milliseconds, such as calling a component. It runs on tokio's blocking threads,
//! and a panic in it is an error of its own kind, never one of the database.

/// The work panicked. The panic hook has logged where; no result of it is kept.
#[derive(Debug, Clone, thiserror::Error)]
#[error("a task of this host panicked ({message}); this is a bug of Clearfold, please report it")]
pub struct Panicked {
    message: String,
}

/// Runs `work` on a thread that may block, and waits for it without blocking the caller's.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Panicked> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Panicked::from_join(&error))
}

impl Panicked {
    /// Makes an error of a task that ended without a result.
    #[must_use]
    pub fn from_join(error: &tokio::task::JoinError) -> Self {
        Self { message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_with_its_message() {
        assert_eq!(blocking(|| 42).await.unwrap(), 42);
        let error = blocking(|| panic!("on purpose")).await.unwrap_err();
        assert!(error.to_string().contains("on purpose"), "{error}");
    }
}
