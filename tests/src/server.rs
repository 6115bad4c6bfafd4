//! A Postgres of a test's own, which may be killed at any moment and started again.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::Environment;

/// A server that loses nothing of what it has committed. It is gone with this.
pub struct Server {
    /// The superuser's, for a database that is always there. The same after each start.
    pub url: String,
    /// Starts the server, and ends with its input.
    keeper: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    server: Pid,
}

impl Server {
    /// Makes an empty server, and waits until it answers.
    pub fn start(environment: &Environment) -> Result<Self> {
        let mut command = Command::new(&environment.xtask);
        command.arg("killable-postgres").current_dir(&environment.root);
        let mut keeper =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let output = BufReader::new(keeper.stdout.take().context("it has an output")?);
        let input = keeper.stdin.take();
        let mut server = Self { url: String::new(), keeper, input, output, server: Pid::INIT };
        server.answers()?;
        Ok(server)
    }

    /// Ends it: `QUIT` lets it end its sessions at once and write nothing more, `KILL` lets it do nothing at all.
    pub fn crash(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(self.server, signal)?)
    }

    /// Starts it again, and waits until it answers.
    pub fn restart(&mut self) -> Result<()> {
        writeln!(self.input.as_mut().context("it has an input")?)?;
        self.answers()
    }

    fn answers(&mut self) -> Result<()> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let (pid, url) = line.trim().split_once(' ').context("the test's own Postgres does not start")?;
        self.server = Pid::from_raw(pid.parse()?).context("no process")?;
        url.clone_into(&mut self.url);
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        // It takes its server and its files with it.
        let _ = self.keeper.wait();
    }
}
