//! GET /v1/me/jobs/{id}/events

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use plinth_core::jobs::OwnJobs;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::JobId;
use poem::web::sse::Event;
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::EventStream;
use poem_openapi::types::ToJSON as _;
use poem_openapi::{ApiResponse, OpenApi};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::view::OwnJob;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::principal::{Allowed, FilesRead};

/// The interval of keep-alive comments, so that no proxy closes the stream as idle.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// The maximum duration of a stream. The client then requests it again, which authorizes it again.
const MAX_STREAM_DURATION: Duration = Duration::from_mins(5);

pub(crate) struct WatchOwnJob {
    pub(super) jobs: OwnJobs,
    pub(super) draining: CancellationToken,
}

impl Operation for WatchOwnJob {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::TooManyStreams)]];
}

type Events = EventStream<BoxStream<'static, OwnJob>>;

#[derive(ApiResponse)]
enum Watched {
    /// Events named `job`, each with the current state of the job. The last one has its end state.
    #[oai(status = 200)]
    Events(Events, #[oai(header = "X-Accel-Buffering")] String),
    /// The job has ended, and the client has its last event. An EventSource stops reconnecting.
    #[oai(status = 204)]
    Over,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl WatchOwnJob {
    /// Watch one of your jobs
    ///
    /// Sends server-sent events: the current state of the job, then each change until it ends. A
    /// stream lasts at most five minutes; request it again after that, as an EventSource does. 409
    /// `too_many_streams` if the account has too many open streams.
    #[oai(
        path = "/me/jobs/:id/events",
        method = "get",
        operation_id = "watchOwnJob"
    )]
    async fn watch(
        &self,
        caller: Allowed<FilesRead>,
        id: Path<Uuid>,
        /// The id of the last event that the client received.
        #[oai(name = "Last-Event-ID")]
        last_event_id: Header<Option<String>>,
    ) -> Result<Watched> {
        let mut jobs = self.jobs.watch(caller.user.id, JobId(id.0)).await?;
        let Some(first) = jobs.next().await else {
            return Ok(Watched::Over);
        };
        if first.is_over()
            && last_event_id
                .0
                .is_some_and(|last| last == OwnJob::from(first.clone()).version())
        {
            return Ok(Watched::Over);
        }
        let jobs = stream::iter([first]).chain(jobs).map(OwnJob::from);
        let jobs = jobs.take_until(self.draining.clone().cancelled_owned());
        let jobs = jobs
            .take_until(tokio::time::sleep(MAX_STREAM_DURATION))
            .boxed();
        let events = EventStream::new(jobs)
            .keep_alive(KEEP_ALIVE_INTERVAL)
            .to_event(event);
        // Disables the buffering of nginx, which would delay the events.
        Ok(Watched::Events(events, "no".to_owned()))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a stream yields owned items")]
fn event(job: OwnJob) -> Event {
    Event::message(job.to_json_string())
        .event_type("job")
        .id(job.version())
}
