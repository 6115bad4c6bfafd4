//! `clearfold saga`: shows instances of sagas, and gives them orders.
//!
//! An order must be decided by the writer of the instance's partition, so the commands ask the admin API of a running
//! host, and say what it says.

mod text;
mod versions;

use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::admin_host::{AdminHost, OperatorArgs, new_key, show, word};
use clearfold_engine::command::Answer;
use clearfold_engine::saga::InstanceView;
use clearfold_views::query::SagaPage;

#[derive(Debug, Subcommand)]
pub(super) enum SagaCommand {
    /// List instances, those that changed last first
    List(ListArgs),
    /// Show an instance: its flows with steps, attempts and commands, and what it waits for
    Show(ShowArgs),
    /// Try again what is parked. Steps that are done stay done
    Retry(FlowArgs),
    /// Undo a flow that is not past its pivot, the last step first. A flow that has done nothing ends
    Cancel(FlowArgs),
    /// Say how the present step of a flow ended, where nobody can tell but you
    Resolve(ResolveArgs),
    /// Pause a saga: its instances take in what happens, and begin no step
    Pause(PauseArgs),
    /// Resume a paused saga: what waited goes on
    Resume(PauseArgs),
    /// Show how many instances began on each version of a saga, and which version decides them
    Versions(versions::VersionsArgs),
    /// Move the instances that another version decides to the version in force, all or none, after it decided their
    /// recorded inputs again and was asked what comes up next in each
    Migrate(versions::MigrateArgs),
}

/// State by which instances are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ListedState {
    /// All that have not ended
    Open,
    /// Their step was sent, or comes up
    Running,
    /// They wait until a time
    Waiting,
    /// They undo what they had done
    Compensating,
    /// They wait for an operator
    Parked,
    /// All their flows have ended
    Ended,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// State. Without it, all instances are listed
    #[arg(long)]
    state: Option<ListedState>,
    /// Name of the saga, like authorization
    #[arg(long, value_name = "NAME")]
    saga: Option<String>,
    /// Number of instances to list at once
    #[arg(long, value_name = "INSTANCES", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Place at which the list goes on, as the page before gave it
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    #[command(flatten)]
    host: AdminHost,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Instance: its stream, like saga-authorization-0123…
    instance: String,
    #[command(flatten)]
    host: AdminHost,
}

#[derive(Debug, Args)]
pub(super) struct FlowArgs {
    /// Instance: its stream, like saga-authorization-0123…
    instance: String,
    /// Number of the flow, as `show` lists it. Without it, everything of the instance
    #[arg(long, value_name = "NUMBER")]
    flow: Option<u32>,
    #[command(flatten)]
    order: OrderArgs,
}

/// Outcome of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ResolvedAs {
    /// The step is done; the flow goes on
    Done,
    /// The step was refused, and did nothing; the steps before it are undone
    Refused,
    /// The compensation is done; the one before it follows
    Compensated,
}

#[derive(Debug, Args)]
pub(super) struct ResolveArgs {
    /// Instance: its stream, like saga-authorization-0123…
    instance: String,
    /// Number of the flow, as `show` lists it
    #[arg(long, value_name = "NUMBER")]
    flow: u32,
    /// Outcome of its present step
    #[arg(long = "as", value_name = "OUTCOME")]
    outcome: ResolvedAs,
    /// Code of the refusal, which the compensations see, like insufficient_funds
    #[arg(long)]
    code: Option<String>,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, Args)]
pub(super) struct PauseArgs {
    /// Name of the saga, like authorization
    saga: String,
    #[command(flatten)]
    operator: OperatorArgs,
}

/// Operator, reason and identity of an order.
#[derive(Debug, Args)]
struct OrderArgs {
    #[command(flatten)]
    operator: OperatorArgs,
    /// Idempotency key: the same key means the same order, and gets the same answer. Without it, the order is a new one
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

impl SagaCommand {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(list) => list.run().await,
            Self::Show(show) => show.run().await,
            Self::Retry(retry) => retry.run("retry").await,
            Self::Cancel(cancel) => cancel.run("cancel").await,
            Self::Resolve(resolve) => resolve.run().await,
            Self::Pause(pause) => pause.run("pause", "paused: its instances begin no step").await,
            Self::Resume(resume) => resume.run("resume", "resumed: what waited goes on").await,
            Self::Versions(versions) => versions.run().await,
            Self::Migrate(migrate) => migrate.run().await,
        }
    }
}

impl ListArgs {
    async fn run(self) -> anyhow::Result<()> {
        let mut query = vec![("limit", self.limit.to_string())];
        query.extend(self.state.map(|state| ("state", word(&state))));
        query.extend(self.saga.map(|saga| ("saga", saga)));
        query.extend(self.cursor.map(|cursor| ("cursor", cursor)));
        let page: SagaPage = self.host.get(&["sagas"], &query).await?;
        show(&self.host, &page, || text::page(&page))
    }
}

impl ShowArgs {
    async fn run(self) -> anyhow::Result<()> {
        let instance: InstanceView = self.host.get(&["sagas", &self.instance], &[]).await?;
        show(&self.host, &instance, || text::instance(&instance))
    }
}

impl FlowArgs {
    async fn run(self, order: &str) -> anyhow::Result<()> {
        let body = json!({ "flow": self.flow, "by": self.order.operator.by, "why": self.order.operator.why });
        self.order.give(&self.instance, order, &body).await
    }
}

impl ResolveArgs {
    async fn run(self) -> anyhow::Result<()> {
        let body = json!({
            "flow": self.flow, "as": word(&self.outcome), "code": self.code, "by": self.order.operator.by,
            "why": self.order.operator.why,
        });
        self.order.give(&self.instance, "resolve", &body).await
    }
}

impl PauseArgs {
    async fn run(self, order: &str, said: &str) -> anyhow::Result<()> {
        let body = json!({ "by": self.operator.by, "why": self.operator.why });
        let path = ["handlers", "saga", &self.saga, order];
        let answer: Activated = self.operator.host.post(&path, &new_key(), &body).await?;
        let text = || format!("activation {}: the saga {} is {said}\n", answer.activation, self.saga);
        show(&self.operator.host, &answer, text)
    }
}

impl OrderArgs {
    async fn give(&self, instance: &str, order: &str, body: &serde_json::Value) -> anyhow::Result<()> {
        let key = self.key.clone().unwrap_or_else(new_key);
        let answer: Answer = self.operator.host.post(&["sagas", instance, order], &key, body).await?;
        show(&self.operator.host, &answer, || text::answer(&answer))
    }
}

/// Answer to a pause or a resume.
#[derive(Serialize, Deserialize)]
struct Activated {
    activation: u64,
}

#[cfg(test)]
mod tests {
    use clearfold_engine::saga::Resolution;

    use super::*;

    #[test]
    fn the_command_line_spells_states_and_outcomes_as_the_api_does() {
        for resolution in [Resolution::Done, Resolution::Refused, Resolution::Compensated] {
            let spelled = serde_json::to_value(resolution).unwrap();
            let known = ResolvedAs::value_variants().iter().map(|known| json!(word(known)));
            assert!(known.into_iter().any(|known| known == spelled), "{spelled}");
        }
        assert_eq!(word(&ListedState::Open), "open");
    }
}
