//! Jobs as those see them who asked for them: how far they are, now and as they go on.

mod repository;
mod watch;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use plinth_domain::id::{FileId, JobId, UserId};
use plinth_domain::job_state::JobState;
use time::OffsetDateTime;

use self::watch::{Watchers, Watching};
use crate::page::{Page, PageRequest};
use crate::{Error, Result, Stores};

/// A job that its owner may know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnJob {
    pub id: JobId,
    pub kind: String,
    pub state: JobState,
    /// Attempts so far.
    pub attempts: i16,
    /// Of 100, of the attempt that runs.
    pub progress: Option<i16>,
    /// What it works on.
    pub file: Option<FileId>,
    pub created_at: OffsetDateTime,
    /// When the last attempt began.
    pub started_at: Option<OffsetDateTime>,
    pub finished_at: Option<OffsetDateTime>,
}

impl OwnJob {
    /// Nothing follows, unless an operator tries it again.
    pub fn is_over(&self) -> bool {
        self.finished_at.is_some()
    }
}

/// The owners' door. Clones share what watches.
#[derive(Clone)]
pub struct OwnJobs {
    stores: Stores,
    watchers: Watchers,
}

impl OwnJobs {
    pub fn new(stores: &Stores) -> Self {
        Self {
            stores: stores.clone(),
            watchers: Watchers::new(stores),
        }
    }

    /// The jobs that this account asked for and may know of, the newest first.
    pub async fn list(&self, user: UserId, page: PageRequest) -> Result<Page<OwnJob>> {
        let jobs = repository::list(&self.stores.db, user, page).await?;
        Ok(Page::cut(jobs, page, |job| job.id.0))
    }

    pub async fn find(&self, user: UserId, id: JobId) -> Result<OwnJob> {
        repository::find(&self.stores.db, user, id)
            .await?
            .ok_or(Error::NotFound)
    }

    /// The job as it stands, then each time it has changed, until it is over.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the account watches as many jobs as it may at once.
    pub async fn watch(&self, user: UserId, id: JobId) -> Result<BoxStream<'static, OwnJob>> {
        let job = self.find(user, id).await?;
        if job.is_over() {
            return Ok(stream::iter([job]).boxed());
        }
        let watching = self.watchers.watch(user, job)?;
        // What changed before it was watched.
        self.watchers.look(&[id]).await;
        Ok(stream::unfold(Some(watching), next).boxed())
    }
}

async fn next(watching: Option<Watching>) -> Option<(OwnJob, Option<Watching>)> {
    let mut watching = watching?;
    let job = watching.next().await?;
    let rest = (!job.is_over()).then_some(watching);
    Some((job, rest))
}
