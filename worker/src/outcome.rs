//! How an attempt ends, as its handler sees it.

use tokio::task::JoinError;

use crate::backoff::{self, Aging};

/// Why an attempt did not succeed. `?` makes any error a transient one.
#[derive(Debug)]
pub enum Failure {
    /// Another attempt may succeed.
    Transient(anyhow::Error),
    /// Something that the job needs is away, or does not want it yet. The attempt is not counted: the job is tried again
    /// until the deadline of its kind.
    PutOff {
        error: anyhow::Error,
        backoff: Aging,
    },
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

    /// Put off for as long as an outage takes.
    pub fn outage(error: impl Into<anyhow::Error>) -> Self {
        Self::PutOff {
            error: error.into(),
            backoff: backoff::OUTAGE,
        }
    }
}

/// An outage of a store is never charged to the job.
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

/// Whether something that the job needs is away, overloaded, or refuses all that this process asks. Where a store refuses
/// one job only, the deadline of its kind ends it.
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

/// What a handler answers.
pub type JobResult = Result<(), Failure>;

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
    pub fn of(ended: Result<JobResult, JoinError>) -> Self {
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

#[cfg(test)]
mod tests {
    use plinth_core::Error;

    use super::*;

    fn away() -> Error {
        Error::Unavailable {
            store: "object store",
            source: "connection refused".into(),
        }
    }

    #[test]
    fn an_outage_is_told_from_a_fault_of_the_job_however_deep_it_lies() {
        for error in [
            anyhow::Error::from(away()),
            anyhow::Error::from(away()).context("while reading"),
        ] {
            assert!(matches!(Failure::from(error), Failure::PutOff { .. }));
        }
        let own: Failure = Error::internal("a hash that is none").into();
        assert!(matches!(own, Failure::Transient(_)), "{own:?}");
    }
}
