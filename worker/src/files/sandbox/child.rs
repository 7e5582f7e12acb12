//! One child process: its start with nothing of ours, frames to and from it, and what its end means.

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

/// Bytes of a child's last words that are read.
const LAST_WORDS: u64 = 2 * 1024;

/// What every user may give to a pipe, in bytes.
#[cfg(target_os = "linux")]
const PIPE: i32 = 1024 * 1024;

/// What Rust says before it aborts for want of memory.
const NO_MEMORY: &str = "memory allocation of";

/// Why a child could not do its work, whatever the file.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("the process that makes pictures could not be started")]
    Start(#[source] io::Error),
    #[error("the process that makes pictures could not be waited for")]
    Wait(#[source] io::Error),
    #[error("the process that makes pictures gave up: {0}")]
    GaveUp(String),
    #[error("the process that makes pictures was ended from outside ({0})")]
    Killed(Signal),
    /// A fault of ours, whatever the file: a sound file must not do this to it, and a hostile one must not either.
    #[error("the process that makes pictures crashed ({0})")]
    Crashed(Crash),
}

/// How a child crashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Crash {
    Signal(Signal),
    /// A signal without a name, by its number.
    UnnamedSignal(i32),
    Panic,
    /// It sent what is not of the protocol: it was taken over, or is of another release.
    Nonsense,
}

impl Crash {
    /// As logs and metrics name it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Signal(signal) => signal.as_str(),
            Self::UnnamedSignal(_) => "signal",
            Self::Panic => "panic",
            Self::Nonsense => "protocol",
        }
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnnamedSignal(number) => write!(f, "signal {number}"),
            // The kernel ends a child so that makes a system call that is not allowed to it.
            Self::Signal(Signal::SIGSYS) => {
                f.write_str("SIGSYS: a system call that it may not make")
            }
            named => f.write_str(named.name()),
        }
    }
}

/// A running child. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Child {
    process: tokio::process::Child,
    input: ChildStdin,
    output: ChildStdout,
    errors: ChildStderr,
}

impl Child {
    /// Starts the program. Nothing of our environment reaches it, and no signal that is meant for our group.
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
        let pipes = (|| Some((input?, output?, errors?)))();
        let (input, output, errors) = pipes.expect("each was asked for");
        #[cfg(target_os = "linux")]
        widen(&input);
        Ok(Self {
            process,
            input,
            output,
            errors,
        })
    }

    pub(super) async fn tell(&mut self, message: &impl Serialize) -> Result<(), ProtocolError> {
        self.send(&protocol::serialize_message(message)?).await
    }

    pub(super) async fn send(&mut self, frame: &[u8]) -> Result<(), ProtocolError> {
        self.input.write_all(&protocol::frame_head(frame)?).await?;
        Ok(self.input.write_all(frame).await?)
    }

    pub(super) async fn hear<M: DeserializeOwned>(&mut self) -> Result<M, ProtocolError> {
        protocol::parse_message(&self.receive(MAX_MESSAGE_BYTES).await?)
    }

    /// Memory grows with what has come, not with what was announced.
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
            tracing::error!(%error, "a process that makes pictures could not be ended");
        }
    }

    /// What it means that the child stopped making sense: something about the file, or about the machine.
    pub(super) async fn cause_of_death(
        mut self,
        error: &ProtocolError,
    ) -> Result<Unreadable, SandboxError> {
        if !matches!(error, ProtocolError::Io(_)) {
            self.kill().await;
            return Err(crashed(Crash::Nonsense, &error.to_string()));
        }
        // It has closed its side, or is about to.
        drop(self.input);
        let mut words = Vec::new();
        let _ = self.errors.take(LAST_WORDS).read_to_end(&mut words).await;
        let words = String::from_utf8_lossy(&words).trim().to_owned();
        let status = self.process.wait().await.map_err(SandboxError::Wait)?;
        meaning(status, words)
    }
}

/// A file goes through in fewer pieces, each of which wakes one of the two processes; where there is no more room for pipes
/// it goes through all the same.
#[cfg(target_os = "linux")]
fn widen(pipe: &ChildStdin) {
    let _ = nix::fcntl::fcntl(pipe, nix::fcntl::FcntlArg::F_SETPIPE_SZ(PIPE));
}

fn meaning(status: ExitStatus, words: String) -> Result<Unreadable, SandboxError> {
    let signal = status.signal().map(Signal::try_from);
    match signal {
        Some(Ok(Signal::SIGXCPU)) => Ok(Unreadable::TooMuchTime),
        Some(Ok(Signal::SIGABRT)) if words.contains(NO_MEMORY) => Ok(Unreadable::TooMuchMemory),
        Some(Ok(
            signal @ (Signal::SIGKILL | Signal::SIGTERM | Signal::SIGINT | Signal::SIGHUP),
        )) => Err(SandboxError::Killed(signal)),
        Some(Ok(signal)) => Err(crashed(Crash::Signal(signal), &words)),
        Some(Err(_)) => Err(crashed(
            Crash::UnnamedSignal(status.signal().unwrap_or_default()),
            &words,
        )),
        None if status.code() == Some(PANICKED) => Err(crashed(Crash::Panic, &words)),
        None => Err(SandboxError::GaveUp(words)),
    }
}

/// Counts and logs a crash.
fn crashed(crash: Crash, words: &str) -> SandboxError {
    metrics::picture_process_crashed(crash.name());
    tracing::error!(
        signal = crash.name(),
        words,
        "a process that makes pictures crashed"
    );
    SandboxError::Crashed(crash)
}

/// What a Rust program exits with when its main thread panics.
const PANICKED: i32 = 101;

#[cfg(test)]
mod tests {
    use super::*;

    fn end(raw: i32, words: &str) -> Result<Unreadable, SandboxError> {
        meaning(ExitStatus::from_raw(raw), words.to_owned())
    }

    #[test]
    fn an_end_has_a_meaning() {
        let (abort, time, crash, forbidden, kill) = (
            Signal::SIGABRT as i32,
            Signal::SIGXCPU as i32,
            Signal::SIGSEGV as i32,
            Signal::SIGSYS as i32,
            Signal::SIGKILL as i32,
        );
        let no_memory = "memory allocation of 99 bytes failed";
        assert_eq!(
            end(abort, no_memory).expect("its fault"),
            Unreadable::TooMuchMemory
        );
        assert_eq!(end(time, "").expect("its fault"), Unreadable::TooMuchTime);
        for (raw, words, expected) in [
            (abort, "", Crash::Signal(Signal::SIGABRT)),
            (crash, no_memory, Crash::Signal(Signal::SIGSEGV)),
            (forbidden, "", Crash::Signal(Signal::SIGSYS)),
            (PANICKED << 8, "", Crash::Panic),
        ] {
            assert!(
                matches!(end(raw, words), Err(SandboxError::Crashed(crash)) if crash == expected)
            );
        }
        assert!(matches!(
            end(kill, ""),
            Err(SandboxError::Killed(Signal::SIGKILL))
        ));
        assert!(
            matches!(end(1 << 8, "no seccomp"), Err(SandboxError::GaveUp(words)) if words == "no seccomp")
        );
    }
}
