//! A program that answers each line with a line of JSON.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

use crate::process::command;

/// Enough for a large picture in a debug build on a busy machine.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(5);

/// A running program. Dropped, it is killed.
pub(super) struct Answerer {
    input: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    process: Child,
}

impl Answerer {
    /// Starts a program with one argument. Must be called on the main thread.
    pub(super) fn start(program: &Path, argument: &Path) -> Result<Self> {
        let mut command = command::isolated(program);
        command
            .arg(argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let input = process.stdin.take().context("the input is piped")?;
        let output = process.stdout.take().context("the output is piped")?;
        Ok(Self {
            input,
            answers: BufReader::new(output).lines(),
            process,
        })
    }

    /// Sends a line and returns the answer, or `None` if a signal ended the program or it took too
    /// long: then it has to be started again.
    ///
    /// # Errors
    /// The program has ended by itself, or its answer cannot be read.
    pub(super) async fn ask<A: DeserializeOwned>(&mut self, line: &str) -> Result<Option<A>> {
        let asked = async {
            self.input.write_all(line.as_bytes()).await?;
            self.input.write_all(b"\n").await?;
            self.answers.next_line().await
        };
        let Ok(answer) = timeout(ANSWER_TIMEOUT, asked).await else {
            return Ok(None);
        };
        let Ok(Some(answer)) = answer else {
            let status = self.process.wait().await?;
            ensure!(status.signal().is_some(), "the program has ended: {status}");
            return Ok(None);
        };
        let read =
            serde_json::from_str(&answer).with_context(|| format!("not an answer: {answer}"));
        read.map(Some)
    }
}
