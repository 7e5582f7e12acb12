//! Which function runs which kind of job.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use plinth_core::jobs::ClaimedJob;
use plinth_domain::job::JobPayload;
use serde_json::Value;

use crate::attempt::Attempt;
use crate::outcome::{Failure, JobResult};

type Run = Arc<
    dyn Fn(&Value, Attempt) -> Result<BoxFuture<'static, JobResult>, serde_json::Error>
        + Send
        + Sync,
>;

struct Entry {
    version: i16,
    limit: Option<Duration>,
    run: Run,
}

/// The handler of one kind of job: it belongs to the payload.
pub trait JobHandler: JobPayload + 'static {
    /// What the handlers of a queue share.
    type Context: Send + Sync + 'static;

    /// Does the work of one attempt.
    ///
    /// # Errors
    /// The attempt has not succeeded; the [`Failure`] says whether another one may.
    fn run(
        self,
        context: Arc<Self::Context>,
        attempt: Attempt,
    ) -> impl Future<Output = JobResult> + Send;
}

/// The handlers of this worker.
#[derive(Default)]
pub struct Registry {
    handlers: HashMap<&'static str, Entry>,
}

/// What can be done with a claimed job.
pub enum Found {
    Handler {
        work: BoxFuture<'static, JobResult>,
        limit: Option<Duration>,
    },
    /// The payload is not what its version says.
    Unreadable(Failure),
    /// A kind or a version of it that a newer worker knows.
    Unknown(String),
}

impl Registry {
    /// Adds the handler of a kind of job.
    #[must_use]
    pub fn register<J: JobHandler>(self, context: &Arc<J::Context>) -> Self {
        let context = context.clone();
        self.with(move |job: J, attempt| job.run(context.clone(), attempt))
    }

    /// Adds a function as the handler of a kind of job.
    #[must_use]
    pub fn with<J, F, R>(mut self, handler: F) -> Self
    where
        J: JobPayload + 'static,
        F: Fn(J, Attempt) -> R + Send + Sync + 'static,
        R: Future<Output = JobResult> + Send + 'static,
    {
        let run: Run = Arc::new(move |payload, attempt| {
            let payload = serde_json::from_value(payload.clone())?;
            Ok(Box::pin(handler(payload, attempt)))
        });
        self.handlers.insert(
            J::KIND,
            Entry {
                version: J::VERSION,
                limit: J::TIMEOUT,
                run,
            },
        );
        self
    }

    /// Finds what runs `job`.
    pub fn find(&self, job: &ClaimedJob, attempt: Attempt) -> Found {
        let Some(entry) = self.handlers.get(job.kind.as_str()) else {
            return Found::Unknown(format!("this worker knows no job of kind {}", job.kind));
        };
        if job.payload_version > entry.version {
            return Found::Unknown(format!(
                "this worker reads {} up to version {} and this is version {}",
                job.kind, entry.version, job.payload_version
            ));
        }
        match (entry.run)(&job.payload, attempt) {
            Ok(work) => Found::Handler {
                work,
                limit: entry.limit,
            },
            Err(error) => Found::Unreadable(Failure::permanent(error)),
        }
    }
}
