//! The host as a separate process: started, asked, stopped, killed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{Databases, Environment, eventually};

/// Running host.
pub struct Host {
    child: Child,
    address: String,
    log: PathBuf,
    /// Length of the log at the start of this process. The log may contain the addresses of earlier ones.
    begin: usize,
    client: reqwest::Client,
}

/// HTTP answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub body: Value,
}

/// Exit status and output of a program that has ended.
#[derive(Debug)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Runs a program until it ends, which must be within a minute.
    pub fn of(command: &mut Command) -> Result<Self> {
        const PATIENCE: Duration = Duration::from_secs(60);
        Self::within(PATIENCE, command)
    }

    /// Runs a program until it ends, which must be within this time.
    pub fn within(patience: Duration, command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let pid = pid(&child)?;
        let (ended, waiting) = mpsc::channel::<()>();
        let watch = std::thread::spawn(move || {
            let late = waiting.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout);
            if late {
                // It may have ended at this very moment; then there is no process to kill.
                let _ = kill_process(pid, Signal::KILL);
            }
            late
        });
        let output = child.wait_with_output()?;
        drop(ended);
        if watch.join().is_ok_and(|late| late) {
            bail!(
                "{command:?} did not end within {} s:\n{}",
                patience.as_secs(),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(Self {
            status: output.status,
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }
}

impl Host {
    /// Command of the host, configured to follow a chain and to listen at any free port.
    pub fn command(
        environment: &Environment,
        databases: &Databases,
        rpc_url: &str,
        contracts: &Path,
    ) -> Result<Command> {
        let mut command = Command::new(&environment.host);
        command
            .arg("up")
            .env("DATABASE_URL", &databases.write_url)
            .env("READ_DATABASE_URL", &databases.read_url)
            .env("CHAIN_RPC_URLS", rpc_url)
            .env("CHAIN_CONTRACTS", contracts)
            .env("CHAIN_CONFIRMATIONS", "0")
            .env("CHAIN_POLL_INTERVAL_MS", "50")
            .env("LISTEN", "127.0.0.1:0")
            .env("MANIFEST", environment.root.join("spin.toml"))
            .env("LOG_FORMAT", "json")
            .env("RUST_LOG", "info,clearfold=debug,sqlx=warn");
        Ok(command)
    }

    /// Starts the program and waits until it answers.
    pub async fn start(command: Command, log: PathBuf) -> Result<Self> {
        let mut host = Self::spawn(command, log)?;
        host.ready().await?;
        Ok(host)
    }

    /// Starts the program without waiting.
    pub fn spawn(mut command: Command, log: PathBuf) -> Result<Self> {
        let begin = usize::try_from(std::fs::metadata(&log).map_or(0, |metadata| metadata.len()))?;
        let file = File::options().create(true).append(true).open(&log)?;
        let child = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn()?;
        clearfold_base::tls::install();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
        Ok(Self { child, address: String::new(), log, begin, client })
    }

    /// Waits for the log line with the host's address.
    pub async fn ready(&mut self) -> Result<()> {
        for _ in 0..2400 {
            if let Some(status) = self.child.try_wait()? {
                bail!("the host ended with {status}:\n{}", self.log()?);
            }
            let log = self.log()?;
            let lines = log.get(self.begin..).unwrap_or_default().lines();
            let mut lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
            if let Some(line) = lines.find(|line| line["message"] == "listening") {
                self.address = line["address"].as_str().context("it listens nowhere")?.to_owned();
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the host does not answer:\n{}", self.log()?)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Address at which it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whole log, over all processes that wrote to it.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// Sends a `GET`.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        Answer::of(self.client.get(self.url(path)).send().await?).await
    }

    /// Sends a `POST /v1/commands`.
    pub async fn command_to(&self, idempotency_key: &str, body: &Value) -> Result<Answer> {
        self.command_written(idempotency_key, body.to_string()).await
    }

    /// Sends a `POST /v1/commands` with the body as it is written.
    pub async fn command_written(&self, idempotency_key: &str, body: String) -> Result<Answer> {
        let request = self.client.post(self.url("/v1/commands")).header("idempotency-key", idempotency_key);
        let request = request.header("content-type", "application/json").body(body);
        Answer::of(request.send().await?).await
    }

    /// Reads all payments, page by page.
    pub async fn payments(&self) -> Result<Vec<Value>> {
        let mut payments = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/v1/payments?limit=100{cursor}")).await?;
            let data = page.body["data"].as_array().with_context(|| format!("no page: {page:?}"))?;
            payments.extend(data.iter().cloned());
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(payments),
            }
        }
    }

    /// Waits until there are at least this many payments, and returns all of them.
    pub async fn payments_when(&self, count: usize) -> Result<Vec<Value>> {
        eventually(&format!("{count} payments"), async || {
            let payments = self.payments().await?;
            Ok((payments.len() >= count).then_some(payments))
        })
        .await
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(pid(&self.child)?, signal)?)
    }

    /// Exit status, if it has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Kills it, as `kill -9` does.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends SIGTERM and returns the exit status.
    pub fn stop(mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        Ok(self.child.wait()?)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // A failed test must not leave a host running; one that was stopped has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    /// Reads an answer completely.
    pub async fn of(response: reqwest::Response) -> Result<Self> {
        let status = response.status().as_u16();
        let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Self { status, content_type, body })
    }
}

fn pid(child: &Child) -> Result<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process")
}
