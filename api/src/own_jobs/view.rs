//! A job as its owner sees it: nothing of workers, retries or errors, which are the operators'.

use plinth_core::jobs;
use plinth_domain::id::{FileId, JobId};
use plinth_domain::job_state::JobState;
use poem_openapi::{Enum, Object};
use time::OffsetDateTime;

/// How a job stands, for who waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
enum OwnJobState {
    /// It has not begun, or will begin again.
    Waiting,
    Running,
    Done,
    /// It is given up.
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

/// A job that the account asked for.
#[derive(Object)]
pub(super) struct OwnJob {
    id: JobId,
    /// E.g. `files.thumbnails`.
    kind: String,
    state: OwnJobState,
    /// Of 100.
    progress: i16,
    /// The file that it works on.
    file_id: Option<FileId>,
    created_at: OffsetDateTime,
    /// When it began, for the last time.
    started_at: Option<OffsetDateTime>,
    finished_at: Option<OffsetDateTime>,
    #[oai(skip)]
    attempts: i16,
}

impl OwnJob {
    /// Names what is told here: another text means that something has changed.
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
