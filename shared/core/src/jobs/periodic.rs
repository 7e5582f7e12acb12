//! Periodic work without a leader: every worker looks at the clock of PostgreSQL, and whoever comes first turns a tick
//! into a job.
//!
//! Of the ticks that nobody saw, as while all workers were down, the last is made up for.

use std::time::Duration;

use plinth_domain::audit::Origin;
use plinth_domain::job::{CleanUp, ReconcileFiles};
use plinth_domain::periodic::{PeriodicTask, Schedule};
use time::OffsetDateTime;

use super::repository::{self, claim_tick};
use crate::unit::Unit;
use crate::{Result, Stores};

/// The door to periodic work.
#[derive(Clone)]
pub struct Periodic {
    stores: Stores,
    schedule: Schedule,
}

/// What came of a look at the clock.
#[derive(Debug)]
pub struct Look {
    /// The tasks that this call has asked for.
    pub asked: Vec<PeriodicTask>,
    /// Until a task is due again; `None` where there is none.
    pub next: Option<Duration>,
}

/// A line of the table.
#[derive(Debug)]
pub struct Line {
    pub task: PeriodicTask,
    pub cron: String,
    /// The last tick that was turned into a job.
    pub last_tick: Option<OffsetDateTime>,
    pub next_tick: Option<OffsetDateTime>,
    /// The last tick that there was, where no job came of it yet.
    due: Option<OffsetDateTime>,
    now: OffsetDateTime,
}

impl Periodic {
    pub fn new(stores: &Stores, schedule: Schedule) -> Self {
        Self {
            stores: stores.clone(),
            schedule,
        }
    }

    /// Asks for every task that is due. However many call it, one job comes of a tick.
    pub async fn ask(&self) -> Result<Look> {
        let lines = self.lines().await?;
        let mut asked = Vec::new();
        for line in &lines {
            if let Some(tick) = line.due
                && self.turn_into_job(line.task, tick).await?
            {
                asked.push(line.task);
            }
        }
        let waits = lines
            .iter()
            .filter_map(|line| (line.next_tick? - line.now).try_into().ok());
        Ok(Look {
            asked,
            next: waits.min(),
        })
    }

    /// The table, with what was and what comes.
    pub async fn lines(&self) -> Result<Vec<Line>> {
        let mut lines = Vec::new();
        for entry in self.schedule.entries() {
            let (last_tick, now) = repository::last_tick(&self.stores.db, entry.task).await?;
            let due = entry.cron.last_by(now);
            lines.push(Line {
                task: entry.task,
                cron: entry.cron.to_string(),
                last_tick,
                next_tick: entry.cron.next_after(now),
                due: due.filter(|due| last_tick.is_none_or(|last| last < *due)),
                now,
            });
        }
        Ok(lines)
    }

    /// False when somebody else has done it.
    async fn turn_into_job(&self, task: PeriodicTask, tick: OffsetDateTime) -> Result<bool> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        if !claim_tick(unit.connection(), task, tick).await? {
            return Ok(false);
        }
        match task {
            PeriodicTask::CleanUp => unit.enqueue(&CleanUp {}).await?,
            PeriodicTask::Reconcile => unit.enqueue(&ReconcileFiles::default()).await?,
        };
        unit.commit().await?;
        Ok(true)
    }
}
