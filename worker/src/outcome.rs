//! How an attempt ends, as its handler sees it.

use tokio::task::JoinError;

/// Why an attempt did not succeed. `?` makes any error a transient one.
#[derive(Debug)]
pub enum Failure {
    /// Another attempt may succeed.
    Transient(anyhow::Error),
    /// No attempt can succeed: straight to the dead letters.
    Permanent(anyhow::Error),
    /// What the job needs is taken by others; the ledger lets it go on when that is free.
    Parked,
    /// The job is no longer ours.
    Lost,
}

impl Failure {
    pub fn permanent(error: impl Into<anyhow::Error>) -> Self {
        Self::Permanent(error.into())
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Transient(error.into())
    }
}

/// What a handler answers.
pub type Done = Result<(), Failure>;

/// What the runner does with the job in the ledger.
#[derive(Debug)]
pub enum Outcome {
    Done,
    Failed(Failure),
    Panicked(String),
    /// The process stops before the attempt has ended.
    HandBack,
    /// Somebody asked for it to be stopped.
    Cancelled,
    /// The lease could not be held: somebody else may run the job by now.
    Lost,
    /// For a worker that knows the kind and its version.
    NotOurs(String),
}

impl Outcome {
    /// What became of a handler's task.
    pub fn of(ended: Result<Done, JoinError>) -> Self {
        match ended {
            Ok(Ok(())) => Self::Done,
            Ok(Err(Failure::Lost)) => Self::Lost,
            Ok(Err(failure)) => Self::Failed(failure),
            Err(error) => Self::Panicked(panic_message(error)),
        }
    }
}

/// What a handler's panic said.
fn panic_message(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            format!("panicked: {}", text.unwrap_or("without a word"))
        }
        Err(cancelled) => cancelled.to_string(),
    }
}
