//! A job in responses to the user who requested it. Workers, retries and errors are shown to
//! operators only.

use plinth_core::jobs;
use plinth_domain::id::{FileId, JobId};
use plinth_domain::job_state::JobState;
use poem_openapi::{Enum, Object};
use time::OffsetDateTime;

/// The state of a job, for the user who requested it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
enum OwnJobState {
    /// The job has not started, or will be retried.
    Waiting,
    Running,
    Done,
    /// The job failed permanently.
    Failed,
    Cancelled,
}

impl OwnJobState {
    fn of(state: JobState) -> Self {
        match state {
            JobState::Queued | JobState::Retrying => Self::Waiting,
            JobState::Running => Self::Running,
            JobState::Done => Self::Done,
            JobState::Dead => Self::Failed,
            JobState::Cancelled => Self::Cancelled,
        }
    }
}

/// A job that the account requested.
#[derive(Object)]
pub(super) struct OwnJob {
    id: JobId,
    /// The kind of the job, for example `files.thumbnails`.
    kind: String,
    state: OwnJobState,
    /// The progress in percent.
    progress: i16,
    /// The file that the job processes.
    file_id: Option<FileId>,
    created_at: OffsetDateTime,
    /// When the latest attempt started.
    started_at: Option<OffsetDateTime>,
    finished_at: Option<OffsetDateTime>,
    #[oai(skip)]
    attempts: i16,
}

impl OwnJob {
    /// Returns an id of the current state; it changes with every change that is visible to the
    /// user.
    pub(super) fn version(&self) -> String {
        format!("{}-{:?}-{}", self.attempts, self.state, self.progress).to_lowercase()
    }
}

impl From<jobs::OwnJob> for OwnJob {
    fn from(job: jobs::OwnJob) -> Self {
        let progress = if job.state == JobState::Done {
            100
        } else {
            job.progress.unwrap_or(0)
        };
        Self {
            id: job.id,
            kind: job.kind,
            state: OwnJobState::of(job.state),
            progress,
            file_id: job.file,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            attempts: job.attempts,
        }
    }
}
