//! `cargo xtask demo`: what happens when something goes wrong, played on real parts and told as a timeline.
//!
//! Each scene says what it expects and fails if it is otherwise.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::up::{self, Begun};
use crate::{http, place, progress, signals};

#[derive(Args)]
pub struct Options {
    /// Fault to play
    scene: Scene,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scene {
    /// Step 3 of 4 of an authorization is refused: what was done before is undone, and the network hears why
    Decline,
    /// The host is killed while the network asks: what it heard is true, and what it did not hear is answered at last
    Crash,
    /// A block with a swipe is replaced by another: the payment is recorded once, in the block that stays
    Reorg,
}

/// Authorizations that are under way when the host is killed.
const ASKED: usize = 24;
/// Times that the network repeats a question to which it hears no answer.
const REPEATS: usize = 50;
const PATIENCE: Duration = Duration::from_secs(60);

pub fn run(options: &Options) -> Result<()> {
    play(options.scene)
}

/// Plays every scene, as a check.
pub fn run_all() -> Result<()> {
    Scene::value_variants().iter().try_for_each(|scene| play(*scene))
}

fn play(scene: Scene) -> Result<()> {
    let mut demo = Demo::begin()?;
    let told = match scene {
        Scene::Decline => demo.decline(),
        Scene::Crash => demo.crash(),
        Scene::Reorg => demo.reorg(),
    };
    demo.begun.processes.stop();
    told
}

struct Demo {
    begun: Begun,
    /// Safe of the first account, which has money on chain.
    account: String,
}

/// Answer that the network heard.
struct Heard {
    action: String,
    reason: Option<String>,
}

impl Demo {
    fn begin() -> Result<Self> {
        let begun = up::begin(&up::Options::apart(place::root().join(".clearfold/demo")))?;
        let deployment = std::fs::read_to_string(begun.file("deployment.json"))?;
        let deployment: Value = serde_json::from_str(&deployment)?;
        let account = deployment["accounts"][0]["safe"].as_str().context("an account")?.to_lowercase();
        let mut demo = Self { begun, account };
        demo.fund()?;
        Ok(demo)
    }

    /// Opens the books and issues a card, and waits until the money on chain is booked.
    fn fund(&mut self) -> Result<()> {
        // The first question opens both; what comes of it does not matter.
        self.ask("open", 1, &["--open"])?;
        let url = format!("{}/v1/accounts/{}/balances", self.begun.api(), self.account);
        let is_funded = || {
            let balances: Option<Value> = http::get(&url).and_then(|said| serde_json::from_str(&said).ok());
            let minor = balances
                .and_then(|said| Some(said["balances"][0]["available"]["minor"].as_str()?.to_owned()));
            minor.is_some_and(|minor| minor != "0" && !minor.starts_with('-'))
        };
        self.begun.processes.wait("waiting for the deposit", PATIENCE, is_funded)
    }

    fn question(&self, id: &str, cents: u64) -> Result<Command> {
        let mut command = Command::new(&self.begun.programs.devchain);
        command.args(["ask", "--api", &self.begun.api(), "--account", &self.account, "--card", "card-0"]);
        command.args([
            "--cents",
            &cents.to_string(),
            "--transaction-id",
            id,
            "--at",
            "2026-11-29T12:00:00.000Z",
        ]);
        command.env("NETWORK_SECRET", self.begun.network_secret()?);
        Ok(command)
    }

    /// Asks as the card network does.
    fn ask(&self, id: &str, cents: u64, more: &[&str]) -> Result<Heard> {
        let output = self.question(id, cents)?.args(more).output()?;
        let failure = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the network could not ask: {failure}");
        heard(&output.stdout)
    }

    /// Asks again until the log says what was decided: `no_answer` means that nobody knows.
    fn told(&self, id: &str, cents: u64) -> Result<Heard> {
        for _ in 0..REPEATS {
            let heard = self.ask(id, cents, &[])?;
            if heard.reason.as_deref() != Some("no_answer") {
                return Ok(heard);
            }
            signals::pause(100)?;
        }
        bail!("{id} has no answer after {REPEATS} repeats")
    }

    fn decline(&mut self) -> Result<()> {
        println!("\nThe network asks for 50,000,000.00 EURe, more than the Safe holds.");
        let heard = self.ask("demo-decline", 5_000_000_000, &[])?;
        println!("It hears: {}, {}.\n", heard.action, heard.reason.clone().unwrap_or_default());
        let events = self.timeline("visa-demo-decline", &self.account)?;
        ensure!(heard.reason.as_deref() == Some("insufficient_funds"), "it should be declined for its funds");
        let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
        ensure!(of("SpendReserved") == 1 && of("SpendReleased") == 1, "the reservation should be undone");
        ensure!(of("HoldPlaced") == 0 && of("AuthorizationDeclined") == 1, "nothing should be held");
        println!(
            "\nStep 3 of 4, `hold`, was refused. Step 2 is undone, the request is declined with the reason of the"
        );
        println!("refusal, and nothing is held. All of it is one commit: there is no moment in between.");
        Ok(())
    }

    fn crash(&mut self) -> Result<()> {
        println!("\nThe network asks {ASKED} times at once, and the host is killed meanwhile.");
        let ids: Vec<String> = (0..ASKED).map(|number| format!("demo-crash-{number}")).collect();
        let ask = |id: &String| {
            let mut question = self.question(id, 100)?;
            progress::spawn(question.stdout(Stdio::piped()).stderr(Stdio::null()))
        };
        let mut asking = ids.iter().map(ask).collect::<Result<Vec<Child>>>()?;
        // The host dies between the first answers and the last.
        while asking
            .iter_mut()
            .try_fold(0, |ended, asked| anyhow::Ok(ended + usize::from(asked.try_wait()?.is_some())))?
            == 0
        {
            signals::pause(2)?;
        }
        self.begun.processes.kill("host")?;
        let before = asking.into_iter().map(|asked| Ok(heard(&asked.wait_with_output()?.stdout).ok()));
        let before: Vec<Option<Heard>> = before.collect::<Result<_>>()?;
        let answered = before.iter().flatten().count();
        ensure!(answered > 0, "none of the questions was answered before the host was killed; play it again");
        let unanswered = ids.iter().zip(&before).filter(|(_, before)| before.is_none()).map(|(id, _)| id);
        let (in_log, not_in_log) = self.by_log(unanswered)?;
        println!("{answered} of {ASKED} were answered. In the log, while no host runs, are besides:");
        println!("  {:>2} that were decided whole, and whose answers were lost with the host", in_log.len());
        println!("  {:>2} of which nothing is there", not_in_log.len());
        println!("None is half done: all steps of an authorization are one commit.");
        println!("\nThe host starts again, and the network repeats them all.");
        self.begun.start_host()?;
        for (id, before) in ids.iter().zip(&before) {
            let again = self.told(id, 100)?;
            ensure!(again.action == "approved", "{id} is {}", again.action);
            if let Some(before) = before {
                ensure!(before.action == again.action, "{id} was {} and is {}", before.action, again.action);
            }
        }
        let shown = in_log.first().or(not_in_log.first()).or(ids.first()).context("nobody was asked")?;
        println!("Every question has the answer that it had, or has it now. The life of {shown}:\n");
        let events = self.timeline(&format!("visa-{shown}"), &self.account)?;
        let held = events.iter().filter(|event| event["type"] == "HoldPlaced").count();
        ensure!(held == 1, "it should be held once, not {held} times");
        Ok(())
    }

    /// Divides payments into those that the log has, and those that it does not have. One that it has is decided.
    fn by_log<'a>(&self, ids: impl Iterator<Item = &'a String>) -> Result<(Vec<String>, Vec<String>)> {
        let (mut in_log, mut not_in_log) = (Vec::new(), Vec::new());
        for id in ids {
            match self.show(&format!("authorization-visa-{id}"))? {
                None => not_in_log.push(id.clone()),
                Some(events) => {
                    let is_decided = events.iter().any(|event| event["type"] == "AuthorizationApproved");
                    ensure!(is_decided, "{id} is half done");
                    in_log.push(id.clone());
                }
            }
        }
        Ok((in_log, not_in_log))
    }

    fn reorg(&mut self) -> Result<()> {
        println!("\nA customer pays on chain, and the chain replaces the block with another one.");
        let chain = Chain { rpc: self.begun.variable("CHAIN_RPC_URLS")? };
        // From here on blocks are mined by hand, so that the replaced one is not confirmed yet.
        chain.call("evm_setIntervalMining", "[0]")?;
        let before = chain.call("evm_snapshot", "[]")?;
        let transaction = self.swipe(&chain)?;
        let (first, raw) = (chain.block_of(&transaction)?, chain.raw(&transaction)?);
        println!("The swipe {transaction}\n  is in block {first}.");
        ensure!(chain.call("evm_revert", &format!("[{before}]"))? == true, "the chain does not go back");
        chain.call("evm_mine", "[]")?;
        chain.call("eth_sendRawTransaction", &format!("[\"{raw}\"]"))?;
        chain.call("evm_mine", "[]")?;
        let second = chain.block_of(&transaction)?;
        ensure!(first != second, "the block was not replaced");
        println!("The chain has gone back; now it is in block {second}.");
        chain.call("evm_setIntervalMining", "[1]")?;
        let payment = self.recorded()?;
        let source = &payment["source"];
        let shown = payment["amount"]["display"].as_str().unwrap_or_default();
        println!("\nOne payment is recorded, of {shown}:\n");
        ensure!(
            source["block_hash"] == second.as_str(),
            "it is recorded from block {}",
            source["block_hash"]
        );
        let text = |field: &str| payment[field].as_str().with_context(|| format!("no {field}"));
        self.timeline(text("id")?, text("account")?)?;
        println!("\nThe listener waits for confirmations, so what a replaced block held is never recorded.");
        Ok(())
    }

    /// Swipes a card on chain, and returns the transaction once it is mined.
    fn swipe(&self, chain: &Chain) -> Result<String> {
        let mut swipe = Command::new(&self.begun.programs.devchain);
        swipe.args(["swipes", "--rpc", &chain.rpc, "--count", "1", "--every-ms", "1"]);
        swipe.arg("--deployment").arg(self.begun.file("deployment.json"));
        let swiping = progress::spawn(swipe.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        while chain.call("txpool_status", "[]")?["pending"] == "0x0" {
            signals::pause(20)?;
        }
        chain.call("evm_mine", "[]")?;
        let swiped = swiping.wait_with_output()?;
        ensure!(swiped.status.success(), "no swipe: {}", String::from_utf8_lossy(&swiped.stderr));
        let line = String::from_utf8(swiped.stdout)?;
        let transaction = line.trim().rsplit(' ').next().filter(|word| word.starts_with("0x"));
        Ok(transaction.with_context(|| format!("no transaction in `{line}`"))?.to_owned())
    }

    /// The payment that began on chain, once it is recorded; there must be one only.
    fn recorded(&mut self) -> Result<Value> {
        let url = format!("{}/v1/payments?status=recorded", self.begun.api());
        let mut payments = Vec::new();
        self.begun.processes.wait("waiting for the confirmations", PATIENCE, || {
            let said: Option<Value> = http::get(&url).and_then(|said| serde_json::from_str(&said).ok());
            payments = said.and_then(|said| said["data"].as_array().cloned()).unwrap_or_default();
            !payments.is_empty()
        })?;
        ensure!(payments.len() == 1, "{} payments are recorded", payments.len());
        Ok(payments.remove(0))
    }

    /// Prints the events that a payment brought about, in the order of the log, and returns them.
    fn timeline(&self, payment: &str, account: &str) -> Result<Vec<Value>> {
        let mut events = Vec::new();
        for stream in [
            format!("authorization-{payment}"),
            format!("saga-authorization-{payment}"),
            format!("account-{account}"),
            "card-card-0".to_owned(),
        ] {
            events.extend(self.events(&stream)?);
        }
        let cause = events.first().context("the payment has no events")?["correlation_id"].clone();
        events.retain(|event| event["correlation_id"] == cause);
        events.sort_by_key(|event| event["position"].as_u64());
        for event in events.iter().flat_map(in_one) {
            println!("{}", line(&event));
        }
        Ok(events)
    }

    fn events(&self, stream: &str) -> Result<Vec<Value>> {
        self.show(stream)?.with_context(|| format!("there is no stream {stream}"))
    }

    /// Returns the events of a stream, also while no host runs; None if there is no such stream.
    fn show(&self, stream: &str) -> Result<Option<Vec<Value>>> {
        let running = self.begun.running();
        let mut command = Command::new(running.host);
        command.args(["stream", "show", stream, "--json"]).envs(running.environment.iter().cloned());
        let output = command.output()?;
        let failure = String::from_utf8_lossy(&output.stderr);
        if failure.contains("there is no stream") {
            return Ok(None);
        }
        ensure!(output.status.success(), "{stream} cannot be shown: {failure}");
        let text = String::from_utf8(output.stdout)?;
        Ok(Some(text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect::<Result<_>>()?))
    }
}

/// The chain, by its JSON-RPC.
struct Chain {
    rpc: String,
}

impl Chain {
    fn call(&self, method: &str, parameters: &str) -> Result<Value> {
        let question = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{parameters}}}"#);
        let said = http::post_json(&self.rpc, &question).context("the chain does not answer")?;
        let said: Value = serde_json::from_str(&said)?;
        ensure!(said["error"].is_null(), "{method}: {}", said["error"]);
        Ok(said["result"].clone())
    }

    fn block_of(&self, transaction: &str) -> Result<String> {
        let receipt = self.call("eth_getTransactionReceipt", &format!("[\"{transaction}\"]"))?;
        Ok(receipt["blockHash"].as_str().context("it is in no block")?.to_owned())
    }

    fn raw(&self, transaction: &str) -> Result<String> {
        let raw = self.call("eth_getRawTransactionByHash", &format!("[\"{transaction}\"]"))?;
        Ok(raw.as_str().context("the node does not have its bytes")?.to_owned())
    }
}

fn heard(stdout: &[u8]) -> Result<Heard> {
    let said: Value = serde_json::from_slice(stdout).context("the network heard nothing")?;
    let text = |field: &str| said[field].as_str().map(str::to_owned);
    Ok(Heard { action: text("action").context("an action")?, reason: text("reason") })
}

/// Events of a saga's instance that the log holds as one, each by itself.
fn in_one(event: &Value) -> Vec<Value> {
    let Some(together) = event["payload"]["events"].as_array() else { return vec![event.clone()] };
    let entries = together.iter().filter_map(Value::as_object).flatten();
    let each = entries.map(|(kind, payload)| {
        let mut one = event.clone();
        (one["type"], one["payload"]) = (Value::from(kind.as_str()), payload.clone());
        one
    });
    each.collect()
}

/// `  12  saga           StepStarted  hold: PlaceHold`
fn line(event: &Value) -> String {
    let stream = event["stream"].as_str().unwrap_or_default();
    let of = ["saga", "authorization", "account", "card"].into_iter().find(|name| stream.starts_with(name));
    let payload = &event["payload"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let steps = payload["steps"].as_array().into_iter().flatten().map(|step| text(&step["step"]));
    let steps = steps.collect::<Vec<_>>().join(", ");
    let undo = if payload["key"]["undo"] == true { "undo " } else { "" };
    let details = [
        format!("{undo}{}", text(&payload["name"])),
        steps,
        text(&payload["command"]["message"]["type"]),
        text(&payload["reason"]["code"]),
        text(&payload["reason"]),
        text(&payload["outcome"]),
    ];
    let details: Vec<String> = details.into_iter().filter(|detail| !detail.trim().is_empty()).collect();
    let (position, kind) = (event["position"].as_u64().unwrap_or_default(), text(&event["type"]));
    format!("{position:>5}  {:<14} {kind:<24} {}", of.unwrap_or(stream), details.join(": "))
        .trim_end()
        .to_owned()
}
