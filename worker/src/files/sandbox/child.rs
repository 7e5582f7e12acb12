//! A child process of the sandbox: its start with an empty environment, frames to and from it, and
//! the classification of its end.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::Signal;
use plinth_pictures::Unreadable;
use plinth_pictures::contain::ENVIRONMENT;
use plinth_pictures::protocol::{self, MAX_MESSAGE_BYTES, ProtocolError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};

use super::PROGRAM;
use crate::metrics;

/// The number of bytes of a child's stderr that are read.
const MAX_STDERR_BYTES: u64 = 2 * 1024;

/// The capacity of a pipe that every user may set, in bytes.
#[cfg(target_os = "linux")]
const PIPE_CAPACITY: i32 = 1024 * 1024;

/// The beginning of Rust's message before it aborts because an allocation failed.
const ALLOCATION_FAILURE: &str = "memory allocation of";

/// The exit code of a Rust program whose main thread panics.
const PANIC_EXIT_CODE: i32 = 101;

/// Why the sandbox failed for a reason other than the file.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("the image sandbox could not be started")]
    Start(#[source] io::Error),
    #[error("the end of the image sandbox could not be awaited")]
    Wait(#[source] io::Error),
    #[error("the image sandbox exited with an error: {0}")]
    Exited(String),
    #[error("the image sandbox was killed ({0})")]
    Killed(Signal),
    /// A fault of ours: no file, valid or hostile, may crash the sandbox.
    #[error("the image sandbox crashed ({0})")]
    Crashed(Crash),
}

/// How a child report_crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Crash {
    Signal(Signal),
    /// The number of a signal without a name.
    UnnamedSignal(i32),
    Panic,
    /// The child violated the protocol: it was taken over, or is from another release.
    ProtocolViolation,
}

impl Crash {
    /// Returns the name of the crash in logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Signal(signal) => signal.as_str(),
            Self::UnnamedSignal(_) => "signal",
            Self::Panic => "panic",
            Self::ProtocolViolation => "protocol",
        }
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnnamedSignal(number) => write!(f, "signal {number}"),
            // The kernel sends this signal at a system call that the seccomp filter forbids.
            Self::Signal(Signal::SIGSYS) => f.write_str("SIGSYS: a forbidden system call"),
            named => f.write_str(named.name()),
        }
    }
}

/// A running child. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Child {
    process: tokio::process::Child,
    input: ChildStdin,
    output: ChildStdout,
    errors: ChildStderr,
}

impl Child {
    /// Starts the program, with an empty environment and in its own process group, so that signals
    /// to the group of the worker do not reach it.
    pub(super) fn start(program: &Path) -> Result<Self, SandboxError> {
        let spawned = Command::new(program)
            .arg0(PROGRAM)
            .env_clear()
            .envs(ENVIRONMENT)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut process = spawned.map_err(SandboxError::Start)?;
        let (input, output, errors) = (
            process.stdin.take(),
            process.stdout.take(),
            process.stderr.take(),
        );
        let input = input.expect("stdin is piped");
        let output = output.expect("stdout is piped");
        let errors = errors.expect("stderr is piped");
        #[cfg(target_os = "linux")]
        enlarge_pipe(&input);
        Ok(Self {
            process,
            input,
            output,
            errors,
        })
    }

    pub(super) async fn send_message(
        &mut self,
        message: &impl Serialize,
    ) -> Result<(), ProtocolError> {
        self.send(&protocol::serialize_message(message)?).await
    }

    pub(super) async fn send(&mut self, frame: &[u8]) -> Result<(), ProtocolError> {
        self.input.write_all(&protocol::frame_head(frame)?).await?;
        Ok(self.input.write_all(frame).await?)
    }

    pub(super) async fn receive_message<M: DeserializeOwned>(
        &mut self,
    ) -> Result<M, ProtocolError> {
        protocol::parse_message(&self.receive(MAX_MESSAGE_BYTES).await?)
    }

    /// Receives a frame of at most `limit` bytes. Allocates memory for the bytes that arrive, not
    /// for the announced length.
    pub(super) async fn receive(&mut self, limit: usize) -> Result<Vec<u8>, ProtocolError> {
        let mut head = [0; 4];
        self.output.read_exact(&mut head).await?;
        let length = protocol::frame_length(head, limit)?;
        let mut frame = Vec::new();
        (&mut self.output)
            .take(length as u64)
            .read_to_end(&mut frame)
            .await?;
        if frame.len() < length {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(frame)
    }

    pub(super) async fn kill(mut self) {
        if let Err(error) = self.process.kill().await {
            tracing::error!(%error, "failed to kill the image sandbox");
        }
    }

    /// Waits for the end of a child after a protocol error. Returns a reason for the owner of the
    /// file if the file is the cause.
    ///
    /// # Errors
    /// The file is not the cause.
    pub(super) async fn classify_end(
        mut self,
        error: &ProtocolError,
    ) -> Result<Unreadable, SandboxError> {
        if !matches!(error, ProtocolError::Io(_)) {
            self.kill().await;
            return Err(report_crash(Crash::ProtocolViolation, &error.to_string()));
        }
        // The child has closed its side, or is about to.
        drop(self.input);
        let mut stderr = Vec::new();
        let _ = self
            .errors
            .take(MAX_STDERR_BYTES)
            .read_to_end(&mut stderr)
            .await;
        let stderr = String::from_utf8_lossy(&stderr).trim().to_owned();
        let status = self.process.wait().await.map_err(SandboxError::Wait)?;
        classify_exit(status, stderr)
    }
}

/// Enlarges a pipe, so that a file needs fewer writes, each of which wakes one of the two
/// processes. An error does not matter: the file passes through the smaller pipe too.
#[cfg(target_os = "linux")]
fn enlarge_pipe(pipe: &ChildStdin) {
    let _ = nix::fcntl::fcntl(pipe, nix::fcntl::FcntlArg::F_SETPIPE_SZ(PIPE_CAPACITY));
}

fn classify_exit(status: ExitStatus, stderr: String) -> Result<Unreadable, SandboxError> {
    let signal = status.signal().map(Signal::try_from);
    match signal {
        Some(Ok(Signal::SIGXCPU)) => Ok(Unreadable::TooMuchTime),
        Some(Ok(Signal::SIGABRT)) if stderr.contains(ALLOCATION_FAILURE) => {
            Ok(Unreadable::TooMuchMemory)
        }
        Some(Ok(
            signal @ (Signal::SIGKILL | Signal::SIGTERM | Signal::SIGINT | Signal::SIGHUP),
        )) => Err(SandboxError::Killed(signal)),
        Some(Ok(signal)) => Err(report_crash(Crash::Signal(signal), &stderr)),
        Some(Err(_)) => Err(report_crash(
            Crash::UnnamedSignal(status.signal().unwrap_or_default()),
            &stderr,
        )),
        None if status.code() == Some(PANIC_EXIT_CODE) => Err(report_crash(Crash::Panic, &stderr)),
        None => Err(SandboxError::Exited(stderr)),
    }
}

/// Counts and logs a crash, and returns its error.
fn report_crash(crash: Crash, stderr: &str) -> SandboxError {
    metrics::count_sandbox_crash(crash.name());
    tracing::error!(signal = crash.name(), stderr, "image sandbox crashed");
    SandboxError::Crashed(crash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classify(raw: i32, stderr: &str) -> Result<Unreadable, SandboxError> {
        classify_exit(ExitStatus::from_raw(raw), stderr.to_owned())
    }

    #[test]
    fn the_end_of_a_child_is_a_fault_of_the_file_or_of_the_sandbox() {
        let (abort, time, crash, forbidden, kill) = (
            Signal::SIGABRT as i32,
            Signal::SIGXCPU as i32,
            Signal::SIGSEGV as i32,
            Signal::SIGSYS as i32,
            Signal::SIGKILL as i32,
        );
        let no_memory = "memory allocation of 99 bytes failed";
        assert_eq!(
            classify(abort, no_memory).expect("a fault of the file"),
            Unreadable::TooMuchMemory
        );
        assert_eq!(
            classify(time, "").expect("a fault of the file"),
            Unreadable::TooMuchTime
        );
        for (raw, stderr, expected) in [
            (abort, "", Crash::Signal(Signal::SIGABRT)),
            (crash, no_memory, Crash::Signal(Signal::SIGSEGV)),
            (forbidden, "", Crash::Signal(Signal::SIGSYS)),
            (PANIC_EXIT_CODE << 8, "", Crash::Panic),
        ] {
            assert!(
                matches!(classify(raw, stderr), Err(SandboxError::Crashed(crash)) if crash == expected)
            );
        }
        assert!(matches!(
            classify(kill, ""),
            Err(SandboxError::Killed(Signal::SIGKILL))
        ));
        assert!(
            matches!(classify(1 << 8, "no seccomp"), Err(SandboxError::Exited(stderr)) if stderr == "no seccomp")
        );
    }
}
