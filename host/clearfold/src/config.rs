//! The configuration: options on the command line, or variables of the environment of the same meaning.
//!
//! Everything is typed here, so a wrong value ends the program at start, with the name of what is wrong.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use url::Url;

use clearfold_base::signature::Signer;
use clearfold_base::telemetry::LogFormat;

/// The databases.
#[derive(Debug, Clone, Args)]
pub struct Databases {
    /// The write store: the event log
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: String,
    /// The read store: tables for queries, rebuilt from the log at will. A database of its own
    #[arg(long, env = "READ_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub read_database_url: String,
}

/// The write store alone.
#[derive(Debug, Clone, Args)]
pub struct WriteStore {
    /// The write store: the event log
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: String,
}

/// The contracts that the listener follows.
#[derive(Debug, Clone, Args)]
pub struct Contracts {
    /// The contract set: which contracts are Gnosis Pay's, as JSON. Without it, the ones on Gnosis Chain
    #[arg(long, env = "CHAIN_CONTRACTS", value_name = "FILE")]
    pub contracts: Option<PathBuf>,
}

/// What runs.
#[derive(Debug, Clone, Args)]
pub struct ManifestFile {
    /// The description of what runs
    #[arg(long, env = "MANIFEST", value_name = "FILE", default_value = "spin.toml")]
    pub manifest: PathBuf,
}

/// How the log is written.
#[derive(Debug, Clone, Args)]
pub struct Logging {
    /// How log lines look
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Which log lines to write, by level and module
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", default_value = "info,sqlx=warn,hyper=warn")]
    pub log: String,
}

/// The chain.
#[derive(Debug, Clone, Args)]
pub struct Chain {
    /// The chain's JSON-RPC endpoints, separated by commas; the next one is asked when one does not answer
    #[arg(
        long,
        env = "CHAIN_RPC_URLS",
        hide_env_values = true,
        value_name = "URLS",
        value_delimiter = ',',
        required = true
    )]
    pub chain_rpc_urls: Vec<Url>,
    #[command(flatten)]
    pub contracts: Contracts,
    /// Blocks that must lie on top of one before it counts
    #[arg(long, env = "CHAIN_CONFIRMATIONS", value_name = "BLOCKS", default_value_t = 12)]
    pub chain_confirmations: u64,
    /// How often to look for a new block
    #[arg(long, env = "CHAIN_POLL_INTERVAL_MS", value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(10..))]
    pub chain_poll_interval_ms: u64,
    /// Blocks to ask for at once, at the most
    #[arg(long, env = "CHAIN_MAX_RANGE", value_name = "BLOCKS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub chain_max_range: u64,
    /// Where a new database begins to read, if not where the contract set does
    #[arg(long, env = "CHAIN_FIRST_BLOCK", value_name = "BLOCK")]
    pub chain_first_block: Option<u64>,
}

/// Everything that `clearfold up` needs.
#[derive(Debug, Clone, Args)]
pub struct HostConfig {
    /// Where the API listens. It has no authentication: keep it on a private address
    #[arg(long, env = "LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:9100")]
    pub listen: SocketAddr,
    /// Where besides the routes of the manifest's HTTP triggers are served, and nothing else: what the network, providers
    /// and customers may reach
    #[arg(long, env = "EDGE_LISTEN", value_name = "ADDRESS")]
    pub edge_listen: Option<SocketAddr>,
    #[command(flatten)]
    pub databases: Databases,
    #[command(flatten)]
    pub chain: Chain,
    #[command(flatten)]
    pub manifest: ManifestFile,
    #[command(flatten)]
    pub logging: Logging,
    /// What the admin API asks for, as Authorization: Bearer; 16 characters at least. Without it there is no admin API
    #[arg(long, env = "ADMIN_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = admin_token)]
    pub admin_token: Option<String>,
    /// Ed25519 keys, separated by commas, of which one must have signed each component. Without them nobody need
    #[arg(long, env = "COMPONENT_SIGNERS", value_name = "KEYS", value_delimiter = ',')]
    pub component_signers: Vec<Signer>,
    /// What the manifest's components were built from, like a commit
    #[arg(long, env = "SOURCE_REVISION", value_name = "REVISION", value_parser = NonEmptyStringValueParser::new())]
    pub source_revision: Option<String>,
    /// Commands that may wait in each partition's queue; more are refused as overloaded
    #[arg(long, env = "COMMAND_QUEUE_LENGTH", value_name = "COMMANDS", default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(256..))]
    pub command_queue_length: u32,
    /// Commands that are decided and committed together, at the most
    #[arg(long, env = "COMMAND_BATCH_SIZE", value_name = "COMMANDS", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub command_batch_size: u32,
    /// How long this host may write a partition without renewing its lease. After a crash the partition stands still
    /// for as long
    #[arg(long, env = "PARTITION_LEASE_MS", value_name = "MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(500..=60_000))]
    pub partition_lease_ms: u64,
    /// Memory for the states of streams, over all partitions
    #[arg(long, env = "STATE_CACHE_MIB", value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(8..=65_536))]
    pub state_cache_mib: u64,
    /// A stream's state is kept in the database after so many events
    #[arg(long, env = "SNAPSHOT_EVERY", value_name = "EVENTS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub snapshot_every: u64,
    /// Days for which a repeated idempotency key gets its first answer
    #[arg(long, env = "INBOX_RETENTION_DAYS", value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3_650))]
    pub inbox_retention_days: u16,
    /// Events that are projected and committed together, at the most
    #[arg(long, env = "PROJECTION_BATCH_SIZE", value_name = "EVENTS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub projection_batch_size: u32,
}

/// A token that nobody guesses. An empty variable is a mistake, never the wish that everybody be the admin.
fn admin_token(token: &str) -> Result<String, String> {
    const LEAST: usize = 16;
    let is_usable = token.len() >= LEAST && token.bytes().all(|byte| byte.is_ascii_graphic());
    if is_usable {
        return Ok(token.to_owned());
    }
    Err(format!(
        "a token has at least {LEAST} characters, printable ASCII without spaces; give one, or leave ADMIN_TOKEN unset"
    ))
}

#[cfg(test)]
mod tests {
    use super::admin_token;

    #[test]
    fn a_token_is_long_and_can_be_sent_in_a_header() {
        for wrong in [
            "",
            "short",
            "fifteen-letters",
            "a token with spaces",
            "ein-längeres-Geheimnis",
            "tab\tin-the-token",
        ] {
            assert!(admin_token(wrong).unwrap_err().contains("at least 16"), "{wrong}");
        }
        assert_eq!(admin_token("sixteen-letters!").unwrap(), "sixteen-letters!");
    }
}
