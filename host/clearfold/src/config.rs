//! Configuration: options of the command line, each of which is also an environment variable.
//!
//! Every value has a type and a range here, so a wrong one ends the program at start and names the option.
//! docs/operating/configure.md describes the variables in the same words.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{NonEmptyStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use url::Url;

use clearfold_base::signature::Signer;
use clearfold_base::telemetry::LogFormat;
use clearfold_kernel::{Address, Hash};

/// Both databases.
#[derive(Debug, Clone, Args)]
pub struct Databases {
    /// URL of the write store, the Postgres database with the event log
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: String,
    /// URL of the read store, the Postgres database with the tables for queries, which are rebuilt from the log. Must
    /// be a different database
    #[arg(long, env = "READ_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub read_database_url: String,
}

/// The write store alone.
#[derive(Debug, Clone, Args)]
pub struct WriteStore {
    /// URL of the write store, the Postgres database with the event log
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: String,
}

/// The contracts that the listener follows.
#[derive(Debug, Clone, Args)]
pub struct Contracts {
    /// JSON file with the contract set: the contracts that are Gnosis Pay's. Without it, the built-in set of Gnosis
    /// Chain
    #[arg(long, env = "CHAIN_CONTRACTS", value_name = "FILE")]
    pub contracts: Option<PathBuf>,
}

/// The manifest.
#[derive(Debug, Clone, Args)]
pub struct ManifestFile {
    /// Manifest: the file that describes which components run
    #[arg(long, env = "MANIFEST", value_name = "FILE", default_value = "spin.toml")]
    pub manifest: PathBuf,
}

/// Log lines.
#[derive(Debug, Clone, Args)]
pub struct Logging {
    /// Format of log lines
    #[arg(long, env = "LOG_FORMAT", value_parser = log_format(), default_value = "text")]
    pub log_format: LogFormat,
    /// Filter of log lines by level and module, like info,clearfold=debug
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", default_value = "info,sqlx=warn,hyper=warn")]
    pub log: String,
}

/// The chain.
#[derive(Debug, Clone, Args)]
pub struct Chain {
    /// JSON-RPC endpoints of the chain, separated by commas. If one does not answer, the next one is asked
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
    /// Number of blocks that must lie on top of a block before it counts
    #[arg(long, env = "CHAIN_CONFIRMATIONS", value_name = "BLOCKS", default_value_t = 12)]
    pub chain_confirmations: u64,
    /// Milliseconds between two looks for a new block
    #[arg(long, env = "CHAIN_POLL_INTERVAL_MS", value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(10..))]
    pub chain_poll_interval_ms: u64,
    /// Largest range of blocks asked for at once
    #[arg(long, env = "CHAIN_MAX_RANGE", value_name = "BLOCKS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub chain_max_range: u64,
    /// Number of the block at which a new database begins to read. Without it, the contract set's first block. Has no
    /// effect once blocks were read
    #[arg(long, env = "CHAIN_FIRST_BLOCK", value_name = "BLOCK")]
    pub chain_first_block: Option<u64>,
}

/// The chain submitter, which pulls approved money. Its keys come from the environment alone, never from the command
/// line. Without any of these there is no submitter.
#[derive(Debug, Clone, Default, Args)]
pub struct Submitter {
    /// Spender that pulls are sent to. Without it, the contract set's only spender without a last block
    #[arg(long, env = "SUBMITTER_SPENDER", value_name = "ADDRESS")]
    pub submitter_spender: Option<Address>,
    /// Settlement Safe that pulls pay. Without it, the contract set's only one
    #[arg(long, env = "SUBMITTER_RECEIVER", value_name = "ADDRESS")]
    pub submitter_receiver: Option<Address>,
    /// Key of the role under which cards spend. Without it, keccak256("SPENDING_ROLE")
    #[arg(long, env = "SUBMITTER_ROLE_KEY", value_name = "HASH")]
    pub submitter_role_key: Option<Hash>,
    /// Gas limit of every transaction. Without it, 500000
    #[arg(long, env = "SUBMITTER_GAS_LIMIT", value_name = "GAS", value_parser = clap::value_parser!(u64).range(21_000..=30_000_000))]
    pub submitter_gas_limit: Option<u64>,
    /// Most that a pull pays for one unit of gas, in gwei; what repairs a nonce may pay twice as much. Without it, 50
    #[arg(long, env = "SUBMITTER_MAX_FEE_GWEI", value_name = "GWEI", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub submitter_max_fee_gwei: Option<u32>,
    /// Milliseconds before a pull that the chain refused is sent again; each pause is twice the one before, up to an
    /// hour. Without it, 60000
    #[arg(long, env = "SUBMITTER_RETRY_MS", value_name = "MS", value_parser = clap::value_parser!(u64).range(10..=3_600_000))]
    pub submitter_retry_ms: Option<u64>,
    /// Seconds from the approval after which a pull that was not executed is invalidated. Without it, 86400
    #[arg(long, env = "SUBMITTER_DEADLINE_S", value_name = "S", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub submitter_deadline_s: Option<u64>,
    /// Milliseconds for which this host may submit without renewing its lease. Without it, 60000
    #[arg(long, env = "SUBMITTER_LEASE_MS", value_name = "MS", value_parser = clap::value_parser!(u64).range(500..=600_000))]
    pub submitter_lease_ms: Option<u64>,
}

impl Submitter {
    /// Returns true if any of the options is given.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.submitter_spender.is_some()
            || self.submitter_receiver.is_some()
            || self.submitter_role_key.is_some()
            || self.submitter_gas_limit.is_some()
            || self.submitter_max_fee_gwei.is_some()
            || self.submitter_retry_ms.is_some()
            || self.submitter_deadline_s.is_some()
            || self.submitter_lease_ms.is_some()
    }
}

/// Configuration of `clearfold up`.
#[derive(Debug, Clone, Args)]
pub struct HostConfig {
    /// Address and port of the API. It has no authentication: keep it on a private address
    #[arg(long, env = "LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:9100")]
    pub listen: SocketAddr,
    /// Second address and port, which serves only the routes of the manifest's HTTP triggers: the address for the
    /// network, providers and customers. Without it, the routes are served at LISTEN alone
    #[arg(long, env = "EDGE_LISTEN", value_name = "ADDRESS")]
    pub edge_listen: Option<SocketAddr>,
    #[command(flatten)]
    pub databases: Databases,
    #[command(flatten)]
    pub chain: Chain,
    #[command(flatten)]
    pub submitter: Submitter,
    #[command(flatten)]
    pub manifest: ManifestFile,
    #[command(flatten)]
    pub logging: Logging,
    /// Bearer token of the admin API: at least 16 printable ASCII characters without spaces. Without it, the admin
    /// API is off
    #[arg(long, env = "ADMIN_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = admin_token)]
    pub admin_token: Option<String>,
    /// Ed25519 public keys in hexadecimal, separated by commas; one of them must have signed each component. Without
    /// keys, no signature is needed
    #[arg(long, env = "COMPONENT_SIGNERS", value_name = "KEYS", value_delimiter = ',')]
    pub component_signers: Vec<Signer>,
    /// Source revision that the manifest's components were built from, like a commit. Recorded with each component
    /// that is new. Without it, none is recorded
    #[arg(long, env = "SOURCE_REVISION", value_name = "REVISION", value_parser = NonEmptyStringValueParser::new())]
    pub source_revision: Option<String>,
    /// Number of commands that may wait in each partition's queue. More are refused as overloaded
    #[arg(long, env = "COMMAND_QUEUE_LENGTH", value_name = "COMMANDS", default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(256..))]
    pub command_queue_length: u32,
    /// Largest number of commands decided and committed together
    #[arg(long, env = "COMMAND_BATCH_SIZE", value_name = "COMMANDS", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub command_batch_size: u32,
    /// Milliseconds for which this host may write a partition without renewing its lease. After a crash the partition
    /// stands still for up to this long
    #[arg(long, env = "PARTITION_LEASE_MS", value_name = "MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(500..=60_000))]
    pub partition_lease_ms: u64,
    /// Memory for the states of streams in MiB, shared evenly by the partitions
    #[arg(long, env = "STATE_CACHE_MIB", value_name = "MIB", default_value_t = STATE_CACHE_MIB, value_parser = clap::value_parser!(u64).range(8..=65_536))]
    pub state_cache_mib: u64,
    /// Number of events of a stream after which a snapshot of its state is stored
    #[arg(long, env = "SNAPSHOT_EVERY", value_name = "EVENTS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub snapshot_every: u64,
    /// Number of days for which a repeated idempotency key gets its first answer
    #[arg(long, env = "INBOX_RETENTION_DAYS", value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3_650))]
    pub inbox_retention_days: u16,
    /// Largest number of events projected and committed together
    #[arg(long, env = "PROJECTION_BATCH_SIZE", value_name = "EVENTS", default_value_t = PROJECTION_BATCH_SIZE, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub projection_batch_size: u32,
    /// Least time in milliseconds from one batch of a projection to its next, unless the first was full
    #[arg(long, env = "PROJECTION_PAUSE_MS", value_name = "MS", default_value_t = PROJECTION_PAUSE_MS, value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub projection_pause_ms: u64,
}

/// Default of `STATE_CACHE_MIB`.
pub const STATE_CACHE_MIB: u64 = 64;
/// Default of `PROJECTION_BATCH_SIZE`.
pub const PROJECTION_BATCH_SIZE: u32 = 2_000;
/// Default of `PROJECTION_PAUSE_MS`.
pub const PROJECTION_PAUSE_MS: u64 = 100;

/// Accepts the two formats by their names.
fn log_format() -> impl TypedValueParser<Value = LogFormat> {
    let text = PossibleValue::new("text").help("For people");
    let json = PossibleValue::new("json").help("One JSON object per line, for machines");
    PossibleValuesParser::new([text, json])
        .map(|name| if name == "json" { LogFormat::Json } else { LogFormat::Text })
}

/// Accepts a token that nobody can guess. An empty variable is refused as a mistake: it must not open the admin API
/// to everybody, nor turn it off in silence.
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
    use clap::Parser;
    use clearfold_base::telemetry::LogFormat;

    use super::{Logging, admin_token};

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

    #[test]
    fn a_log_format_is_one_of_two_words() {
        #[derive(Debug, Parser)]
        struct Line {
            #[command(flatten)]
            logging: Logging,
        }
        let format = |word: &str| {
            Line::try_parse_from(["clearfold", "--log-format", word]).map(|line| line.logging.log_format)
        };
        assert_eq!(format("text").unwrap(), LogFormat::Text);
        assert_eq!(format("json").unwrap(), LogFormat::Json);
        let error = format("xml").unwrap_err().to_string();
        assert!(error.contains("text, json"), "{error}");
    }
}
