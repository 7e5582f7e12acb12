//! The handlers of the job kinds.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use plinth_core::jobs::ClaimedJob;
use plinth_domain::job::JobPayload;
use serde_json::Value;

use crate::attempt::Attempt;
use crate::outcome::{Failure, JobResult};

type RunFn = Arc<
    dyn Fn(&Value, Attempt) -> Result<BoxFuture<'static, JobResult>, serde_json::Error>
        + Send
        + Sync,
>;

struct Entry {
    version: i16,
    time_limit: Option<Duration>,
    run: RunFn,
}

/// The handler of one kind of job, implemented by its payload.
pub trait JobHandler: JobPayload + 'static {
    /// The state that the handlers of a queue share.
    type Context: Send + Sync + 'static;

    /// Runs one attempt.
    ///
    /// # Errors
    /// The [`Failure`] says whether another attempt may succeed.
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

/// The handler of a claimed job, or why this worker has none.
pub enum HandlerLookup {
    Found {
        handler: BoxFuture<'static, JobResult>,
        time_limit: Option<Duration>,
    },
    /// The payload does not match its version.
    InvalidPayload(Failure),
    /// A newer worker may know the kind or the version of its payload.
    Unsupported(String),
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
        let run: RunFn = Arc::new(move |payload, attempt| {
            let payload = serde_json::from_value(payload.clone())?;
            Ok(Box::pin(handler(payload, attempt)))
        });
        self.handlers.insert(
            J::KIND,
            Entry {
                version: J::VERSION,
                time_limit: J::TIMEOUT,
                run,
            },
        );
        self
    }

    /// Returns the handler of `job`, ready to be run.
    pub fn find(&self, job: &ClaimedJob, attempt: Attempt) -> HandlerLookup {
        let Some(entry) = self.handlers.get(job.kind.as_str()) else {
            return HandlerLookup::Unsupported(format!(
                "this worker does not know jobs of kind {}",
                job.kind
            ));
        };
        if job.payload_version > entry.version {
            return HandlerLookup::Unsupported(format!(
                "this worker supports {} up to version {}, the job has version {}",
                job.kind, entry.version, job.payload_version
            ));
        }
        match (entry.run)(&job.payload, attempt) {
            Ok(handler) => HandlerLookup::Found {
                handler,
                time_limit: entry.time_limit,
            },
            Err(error) => HandlerLookup::InvalidPayload(Failure::permanent(error)),
        }
    }
}
