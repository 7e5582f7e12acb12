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

/// So often something is sent, that nobody between takes the stream for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A stream ends after so long and is asked for anew, by somebody who still may.
const LONGEST: Duration = Duration::from_mins(5);

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
    /// Events named `job`, each with the job as it then stands; the last one tells how it ended.
    #[oai(status = 200)]
    Events(Events, #[oai(header = "X-Accel-Buffering")] String),
    /// The job is over, and the client has been told so: an EventSource asks no more.
    #[oai(status = 204)]
    Over,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl WatchOwnJob {
    /// Watch an own job
    ///
    /// Server-sent events: the job as it stands, then each time it has changed, until it is over. A stream ends after five
    /// minutes at the latest and is then asked for again, as an EventSource does by itself.
    #[oai(
        path = "/me/jobs/:id/events",
        method = "get",
        operation_id = "watchOwnJob"
    )]
    async fn watch(
        &self,
        caller: Allowed<FilesRead>,
        id: Path<Uuid>,
        /// The id of the last event that the client got.
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
        let jobs = jobs.take_until(tokio::time::sleep(LONGEST)).boxed();
        let events = EventStream::new(jobs)
            .keep_alive(KEEP_ALIVE)
            .to_event(event);
        // A proxy that collects what it passes on would hold it back: nginx asks for this.
        Ok(Watched::Events(events, "no".to_owned()))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a stream gives what it has")]
fn event(job: OwnJob) -> Event {
    Event::message(job.to_json_string())
        .event_type("job")
        .id(job.version())
}
