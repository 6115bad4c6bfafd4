//! `clearfold pull`: lists the pulls that have not ended, and records how one ended if the submitter cannot decide it.
//!
//! A word is recorded by the submitter under its lease, so the commands ask the admin API of the host that submits.

use std::fmt::Write;

use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::admin_host::{AdminHost, OperatorArgs, new_key, show, word};
use clearfold_chain::submitter::{Follows, WaitingPull};
use clearfold_kernel::Hash;

#[derive(Debug, Subcommand)]
pub(super) enum PullCommand {
    /// List the pulls that have not ended, each with the reason for which it waits
    List(ListArgs),
    /// Say how a pull ended. A word that the chain contradicts is refused
    Resolve(ResolveArgs),
    /// Have older blocks searched for the execution of a pull that may have been paid
    Search(SearchArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    host: AdminHost,
}

/// End of a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ResolvedAs {
    /// Executed, by --transaction
    Paid,
    /// Not executed. If it still can be, its delegate invalidates it first
    NotPaid,
}

#[derive(Debug, Args)]
pub(super) struct ResolveArgs {
    /// Id of the pull, like visa-0042/pull/1
    pull: String,
    /// End of the pull
    #[arg(long = "as", value_name = "END")]
    end: ResolvedAs,
    /// Hash of the transaction that executed it
    #[arg(long, value_name = "HASH", required_if_eq("end", "paid"))]
    transaction: Option<Hash>,
    #[command(flatten)]
    operator: OperatorArgs,
}

#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// Id of the pull, like visa-0042/pull/1
    pull: String,
    /// First block that is searched
    #[arg(long, value_name = "BLOCK")]
    from: u64,
    #[command(flatten)]
    operator: OperatorArgs,
}

/// Pulls that have not ended.
#[derive(Serialize, Deserialize)]
struct List {
    data: Vec<WaitingPull>,
}

/// Answer to a word.
#[derive(Serialize, Deserialize)]
struct Said {
    follows: Follows,
}

impl PullCommand {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(ListArgs { host }) => {
                let list: List = host.get(&["pulls"], &[]).await?;
                show(&host, &list, || lines(&list))
            }
            Self::Resolve(ResolveArgs { pull, end, transaction, operator }) => {
                let body = json!({
                    "as": word(&end), "transaction": transaction, "by": operator.by, "why": operator.why,
                });
                give(&operator.host, &pull, "resolve", &body).await
            }
            Self::Search(SearchArgs { pull, from, operator }) => {
                let body = json!({ "from_block": from, "by": operator.by, "why": operator.why });
                give(&operator.host, &pull, "search", &body).await
            }
        }
    }
}

async fn give(host: &AdminHost, pull: &str, order: &str, body: &Value) -> anyhow::Result<()> {
    let answer: Said = host.post(&["pulls", pull, order], &new_key(), body).await?;
    show(host, &answer, || format!("{pull}: {}\n", said(answer.follows)))
}

const fn said(follows: Follows) -> &'static str {
    match follows {
        Follows::Paid => "it counts as paid",
        Follows::NotPaid => "it is dead; its payment may ask for another pull",
        Follows::Invalidation => "it can still be executed, so it is invalidated first",
        Follows::Search => "the blocks are searched; `clearfold pull list` says when they are",
    }
}

fn lines(list: &List) -> String {
    let mut text = String::new();
    for WaitingPull { pull, hash, reason, remedy } in &list.data {
        // Writing to a string never fails.
        _ = writeln!(text, "{reason}  {pull}  {hash}");
        if let Some(remedy) = remedy {
            _ = writeln!(text, "    {remedy}");
        }
    }
    if text.is_empty() { "every pull has ended\n".to_owned() } else { text }
}
