//! Options that several commands about components share: the place of the registry, and the window of a shadow run.

use std::str::FromStr;

use anyhow::Context;
use clap::Args;
use clearfold_kernel::Timestamp;

use super::super::load;
use crate::config::WriteStore;
use clearfold_base::clock::Clock;
use clearfold_base::database::{self, Store};
use clearfold_base::signature::{Signer, Signers};
use clearfold_engine::registry::{Operations, Registry, Window};
use clearfold_store::EventStore;

/// Connections: one reads commands, one reads events, and one is for the rest.
const CONNECTIONS: u32 = 3;

/// Place of the registry, the form of the answer, and the operator.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct Place {
    /// Print the answer as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Name of the operator, for the record
    #[arg(long, env = "USER", value_name = "NAME", default_value = "operator")]
    pub by: String,
    /// Ed25519 public keys in hexadecimal, separated by commas; one of them must have signed each component. Without
    /// keys, no signature is needed
    #[arg(long, env = "COMPONENT_SIGNERS", value_name = "KEYS", value_delimiter = ',')]
    component_signers: Vec<Signer>,
    /// URL of the write store, the Postgres database with the event log and the registry
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
}

/// Window of a shadow run, and the expected result.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct Past {
    /// Number of the aggregate's newest commands to decide again, over all partitions
    #[arg(long, value_name = "COMMANDS", default_value_t = 100_000, conflicts_with_all = ["days", "all"], value_parser = clap::value_parser!(u64).range(1..))]
    last: u64,
    /// Decide the commands of this many days again, instead of the newest
    #[arg(long, value_name = "DAYS", conflicts_with = "all")]
    days: Option<u32>,
    /// Decide every recorded command again
    #[arg(long)]
    all: bool,
    /// Reason why the component may decide otherwise. Without it, a difference refuses the activation
    #[arg(long, value_name = "WHY")]
    pub expect_divergence: Option<String>,
}

/// Share of the accounts, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Share(pub u16);

impl Place {
    pub(in crate::cli) async fn registry(&self) -> anyhow::Result<Registry> {
        Ok(Registry::new(self.pool().await?))
    }

    pub(in crate::cli) async fn operations(&self) -> anyhow::Result<Operations> {
        let pool = self.pool().await?;
        Ok(Operations {
            registry: Registry::new(pool.clone()),
            store: EventStore::open(pool).await?,
            engine: load::engine()?,
            signers: Signers(self.component_signers.clone()),
        })
    }

    async fn pool(&self) -> anyhow::Result<sqlx::PgPool> {
        let url = self.database_url.as_deref();
        let url = url.context("DATABASE_URL (--database-url) is not set; give the write store's URL")?;
        let WriteStore { database_url } = WriteStore { database_url: url.to_owned() };
        let pool = database::connect_to_read_all(Store::Write, &database_url, CONNECTIONS).await?;
        database::check_schema(Store::Write, &pool).await?;
        Ok(pool)
    }
}

impl Past {
    pub(in crate::cli) fn window(&self) -> anyhow::Result<Window> {
        /// A day in milliseconds.
        const DAY: u64 = 86_400_000;
        match self.days {
            _ if self.all => Ok(Window::All),
            None => Ok(Window::Last(self.last)),
            Some(days) => {
                let ago = u64::from(days) * DAY;
                // Reaching back beyond 1970 means everything, since no command is older.
                let since = Timestamp::from_ms(Clock::system().now().as_ms().saturating_sub(ago));
                Ok(Window::Since(since.context("--days reaches back before there was time")?))
            }
        }
    }
}

impl FromStr for Share {
    type Err = String;

    /// Reads `5%` or `0.5%`: steps of a tenth of a percent, more than 0% and less than 100%.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no share of the accounts; give 0.1% to 99.9%");
        let number = text.strip_suffix('%').ok_or_else(wrong)?.trim();
        let (percent, tenth) = number.split_once('.').unwrap_or((number, "0"));
        let percent: u16 = percent.parse().map_err(|_| wrong())?;
        let tenth: u16 = tenth.parse().map_err(|_| wrong())?;
        let permille = percent.checked_mul(10).and_then(|percent| percent.checked_add(tenth));
        permille.filter(|permille| tenth < 10 && (1..1_000).contains(permille)).map(Self).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::Share;

    #[test]
    fn a_share_is_more_than_nothing_and_less_than_all() {
        let read = |text: &str| text.parse::<Share>().ok().map(|share| share.0);
        assert_eq!((read("5%"), read("0.5%"), read("99.9 %")), (Some(50), Some(5), Some(999)));
        for text in ["0%", "100%", "5", "-1%", "1.25%", "x%", "%", "0.%"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
