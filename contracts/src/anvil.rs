//! Local node: starts anvil on a free port and stops it when the guard is dropped. It neither finds nor installs the
//! program.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

const START_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Options of the node. The defaults are any free port, one block per transaction, and no stored state.
#[derive(Clone, Debug, Default)]
pub struct AnvilOptions {
    /// Port; `None` picks a free one.
    pub port: Option<u16>,
    /// Block interval in seconds; `None` mines one block per transaction.
    pub block_time_s: Option<u64>,
    /// True if blocks are mined only when they are asked for.
    pub no_mining: bool,
    /// File from which the chain is loaded at the start, if it exists, and to which it is saved at the end.
    pub state: Option<PathBuf>,
}

/// Running node of chain 100.
pub struct Anvil {
    pub rpc_url: String,
    child: Child,
}

impl Anvil {
    /// Starts `binary` and waits until it answers.
    pub fn start(binary: &Path, options: &AnvilOptions) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(["--chain-id", "100", "--slots-in-an-epoch", "16"]);
        command.args(["--port", &options.port.unwrap_or(0).to_string()]);
        if let Some(block_time_s) = options.block_time_s {
            command.args(["--block-time", &block_time_s.to_string()]);
        }
        if options.no_mining {
            command.arg("--no-mining");
        }
        if let Some(state) = &options.state {
            command.arg("--state").arg(state).args(["--state-interval", "10"]);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start anvil from {}", binary.display()))?;
        let stdout = child.stdout.take().context("anvil has no output")?;
        // The guard exists from here on, so that no early return leaves the process behind.
        let mut anvil = Self { rpc_url: String::new(), child };
        anvil.rpc_url = format!("http://{}", listening_address(stdout)?);
        Ok(anvil)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Terminates the node gracefully, so that it writes its state; fails if that takes too long.
    #[expect(clippy::disallowed_methods, reason = "a drop cannot wait asynchronously")]
    fn stop(&mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let deadline = Instant::now() + STOP_TIMEOUT;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("anvil did not end in {STOP_TIMEOUT:?}");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        if self.stop().is_err() {
            // Both fail only if the process has already ended by itself.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Returns the address that anvil prints once it listens. Later output is read and discarded, because a full pipe
/// would block anvil.
fn listening_address(stdout: ChildStdout) -> Result<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(address) = line.strip_prefix("Listening on ") {
                // The receiver is gone if the start has timed out; the process is being stopped then.
                let _ = sender.send(address.to_owned());
            }
        }
    });
    receiver
        .recv_timeout(START_TIMEOUT)
        .context("anvil did not begin to listen: is its port in use, or its state file of another version?")
}
