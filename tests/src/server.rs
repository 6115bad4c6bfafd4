//! A PostgreSQL server for one test, which may be killed at any moment and started again.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::Environment;

/// Durable server: it loses nothing that it has committed. It is stopped and deleted when this is dropped.
pub struct Server {
    /// URL of the superuser for a database that always exists. It stays the same after each start.
    pub url: String,
    /// Process that starts the server; it ends when its input ends.
    keeper: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    server: Pid,
}

impl Server {
    /// Starts an empty server, and waits until it answers.
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

    /// Crashes the server: with `QUIT` it ends its sessions at once and writes nothing more, with `KILL` it does
    /// nothing at all.
    pub fn crash(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(self.server, signal)?)
    }

    /// Starts the server again, and waits until it answers.
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
        // The keeper stops the server and deletes its files before it ends.
        let _ = self.keeper.wait();
    }
}
