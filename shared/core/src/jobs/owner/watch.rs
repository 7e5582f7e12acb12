//! The jobs that are watched in this process. They are read again when a worker says that one has changed, and all of
//! them every other second besides, in one statement however many watch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::{JobId, UserId};
use plinth_platform::database::PgPool;
use tokio::sync::watch;

use super::{OwnJob, repository};
use crate::jobs::changes::{Changes, Heard};
use crate::{Error, Result, Stores};

/// How long a change that was not heard of stays unseen.
const LOOK: Duration = Duration::from_secs(2);

/// Jobs that one account watches at once in this process.
const STREAMS: usize = 16;

/// Jobs in one statement.
const GROUP: usize = 500;

/// Clones share it.
#[derive(Clone)]
pub(super) struct Watchers(Arc<Inner>);

struct Inner {
    db: PgPool,
    changes: Changes,
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    jobs: HashMap<JobId, watch::Sender<OwnJob>>,
    streams: HashMap<UserId, usize>,
    /// Somebody keeps them up to date.
    is_kept: bool,
}

/// One who watches a job, until this is dropped.
pub(super) struct Watching {
    job: watch::Receiver<OwnJob>,
    is_new: bool,
    watchers: Watchers,
    user: UserId,
}

impl Watching {
    /// The job as it stands, the first time; then when it has changed. `None` when it is gone.
    pub(super) async fn next(&mut self) -> Option<OwnJob> {
        if !std::mem::take(&mut self.is_new) {
            self.job.changed().await.ok()?;
        }
        Some(self.job.borrow_and_update().clone())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut watched = self.watchers.watched();
        if let Some(streams) = watched.streams.get_mut(&self.user) {
            *streams -= 1;
            if *streams == 0 {
                watched.streams.remove(&self.user);
            }
        }
    }
}

impl Watchers {
    pub(super) fn new(stores: &Stores) -> Self {
        let changes = Changes::new(&stores.redis);
        Self(Arc::new(Inner {
            db: stores.db.clone(),
            changes,
            watched: Mutex::default(),
        }))
    }

    pub(super) fn watch(&self, user: UserId, job: OwnJob) -> Result<Watching> {
        let mut watched = self.watched();
        let streams = watched.streams.entry(user).or_default();
        if *streams >= STREAMS {
            let detail = format!("An account watches at most {STREAMS} jobs at once.");
            return Err(Error::Conflict {
                code: ErrorCode::TooManyStreams,
                detail,
            });
        }
        *streams += 1;
        let job = watched
            .jobs
            .entry(job.id)
            .or_insert_with(|| watch::Sender::new(job))
            .subscribe();
        if !std::mem::replace(&mut watched.is_kept, true) {
            tokio::spawn(self.clone().keep());
        }
        drop(watched);
        Ok(Watching {
            job,
            is_new: true,
            watchers: self.clone(),
            user,
        })
    }

    /// Reads jobs again and tells those who watch them what has changed.
    pub(super) async fn look(&self, ids: &[JobId]) {
        for group in ids.chunks(GROUP) {
            match repository::find_all(&self.0.db, group).await {
                Ok(jobs) => {
                    let mut watched = self.watched();
                    for id in group {
                        let found = jobs.iter().find(|job| job.id == *id);
                        tell(&mut watched.jobs, *id, found);
                    }
                }
                Err(error) => tracing::warn!(%error, "watched jobs cannot be read yet"),
            }
        }
    }

    /// Keeps the jobs up to date for as long as anybody watches one.
    async fn keep(self) {
        let mut heard = self.0.changes.hear().ready_chunks(GROUP);
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let heard = tokio::select! {
                heard = heard.next() => heard,
                _ = tick.tick() => None,
            };
            let Some(watched) = self.still_watched() else {
                return;
            };
            let changed = |id: &JobId| {
                heard.as_ref().is_none_or(|heard| {
                    heard.contains(&Heard::Changed(*id)) || heard.contains(&Heard::Gap)
                })
            };
            let ids: Vec<JobId> = watched.into_iter().filter(changed).collect();
            self.look(&ids).await;
        }
    }

    /// The jobs that are still watched. `None`, and nobody keeps them any more, when there are none.
    fn still_watched(&self) -> Option<Vec<JobId>> {
        let mut watched = self.watched();
        watched.jobs.retain(|_, job| job.receiver_count() > 0);
        watched.is_kept = !watched.jobs.is_empty();
        watched
            .is_kept
            .then(|| watched.jobs.keys().copied().collect())
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.0
            .watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job that is gone ends its streams.
fn tell(watched: &mut HashMap<JobId, watch::Sender<OwnJob>>, id: JobId, found: Option<&OwnJob>) {
    match found {
        Some(job) => {
            if let Some(told) = watched.get(&id) {
                told.send_if_modified(|known| {
                    let is_new = known != job;
                    known.clone_from(job);
                    is_new
                });
            }
        }
        None => drop(watched.remove(&id)),
    }
}
