//! Results of handlers and outcomes of attempts.

use tokio::task::JoinError;

use crate::backoff::{self, AgeBackoff};

/// Why an attempt did not succeed. `?` turns an error into a transient failure, or postpones the
/// job if the error is an outage.
#[derive(Debug)]
pub enum Failure {
    /// Another attempt may succeed.
    Transient(anyhow::Error),
    /// Something that the job needs is unavailable, or does not accept the job yet. The attempt is
    /// not counted, and the job is tried again until the deadline of its kind.
    Postponed {
        error: anyhow::Error,
        backoff: AgeBackoff,
    },
    /// No attempt can succeed. The job becomes a dead letter.
    Permanent(anyhow::Error),
    /// All shares of a limit are taken. The ledger releases the job when one is free.
    Parked,
    /// This worker no longer holds the job.
    LeaseLost,
}

impl Failure {
    pub fn permanent(error: impl Into<anyhow::Error>) -> Self {
        Self::Permanent(error.into())
    }

    /// Returns a failure that postpones the job because of an outage.
    pub fn outage(error: impl Into<anyhow::Error>) -> Self {
        Self::Postponed {
            error: error.into(),
            backoff: backoff::OUTAGE_RETRY,
        }
    }
}

/// An outage of a store never costs the job an attempt.
impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        if is_outage(&error) {
            Self::outage(error)
        } else {
            Self::Transient(error)
        }
    }
}

/// Returns whether a store is unavailable, overloaded, or refuses this process. If a store refuses
/// one job only, the deadline of its kind ends the job.
fn is_outage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref()
            .is_some_and(|error: &plinth_core::Error| {
                matches!(
                    error,
                    plinth_core::Error::Unavailable { .. } | plinth_core::Error::Busy { .. }
                )
            })
    })
}

/// The result of a handler.
pub type JobResult = Result<(), Failure>;

/// The outcome of an attempt, from which the recorder updates the ledger.
#[derive(Debug)]
pub enum Outcome {
    Done,
    Failed(Failure),
    Panicked(String),
    /// The process stops before the attempt ended.
    HandedBack,
    /// The owner or an operator cancelled the job.
    Cancelled,
    /// The lease could not be renewed. Another worker may run the job by now.
    LeaseLost,
    /// The job needs a worker that knows its kind and version.
    Unsupported(String),
}

impl Outcome {
    /// Returns the outcome of a handler's task that ended.
    pub fn from_task(ended: Result<JobResult, JoinError>) -> Self {
        match ended {
            Ok(Ok(())) => Self::Done,
            Ok(Err(Failure::LeaseLost)) => Self::LeaseLost,
            Ok(Err(failure)) => Self::Failed(failure),
            Err(error) => Self::Panicked(panic_message(error)),
        }
    }
}

/// Returns the message of a handler's panic.
fn panic_message(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            format!("panicked: {}", text.unwrap_or("no message"))
        }
        Err(cancelled) => cancelled.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use plinth_core::Error;

    use super::*;

    fn outage() -> Error {
        Error::Unavailable {
            store: "object store",
            source: "connection refused".into(),
        }
    }

    #[test]
    fn an_outage_postpones_the_job_wherever_it_is_in_the_chain_of_causes() {
        for error in [
            anyhow::Error::from(outage()),
            anyhow::Error::from(outage()).context("while reading"),
        ] {
            assert!(matches!(Failure::from(error), Failure::Postponed { .. }));
        }
        let fault: Failure = Error::internal("an invalid hash").into();
        assert!(matches!(fault, Failure::Transient(_)), "{fault:?}");
    }
}
