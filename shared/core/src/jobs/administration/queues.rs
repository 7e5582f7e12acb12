//! Queues: what is in them, and whether anything is taken from them.

use std::time::Duration;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::id::UserId;
use plinth_domain::job::Queue;
use plinth_platform::database::named;
use serde_json::json;
use time::OffsetDateTime;

use super::JobAdministration;
use crate::Result;
use crate::unit::Unit;

/// A queue at a glance. Numbers are counted up to 300,000; what is finished is not counted.
#[derive(Debug, Clone)]
pub struct QueueOverview {
    pub queue: Queue,
    pub paused: Option<(OffsetDateTime, Option<UserId>)>,
    /// When it is tried again, and why it is paused, if an outage has paused it and not an administrator.
    pub outage: Option<(OffsetDateTime, String)>,
    /// Due, and nobody holds them.
    pub due: i64,
    /// Since the oldest of them was due.
    pub oldest: Duration,
    /// Tried again when their time comes.
    pub retrying: i64,
    pub running: i64,
    pub parked: i64,
    pub dead: i64,
}

impl JobAdministration {
    /// Every queue.
    pub async fn queues(&self) -> Result<Vec<QueueOverview>> {
        let backlog = crate::jobs::ledger::backlog(&self.stores.db).await?;
        let query = sqlx::query!(
            "SELECT queue, paused_at, paused_by, until, reason FROM paused_queues WHERE until IS NULL OR until > now()"
        );
        let paused = named("queues.paused", query.fetch_all(&self.stores.db)).await?;
        Ok(Queue::ALL
            .iter()
            .map(|&queue| {
                let due = || backlog.due.iter().filter(|due| due.queue == queue);
                let others = |state: &str| {
                    let found = backlog
                        .others
                        .iter()
                        .find(|one| one.queue == queue && one.state == state);
                    found.map_or(0, |one| one.jobs)
                };
                let paused = paused.iter().find(|row| row.queue == queue);
                QueueOverview {
                    queue,
                    paused: paused.map(|row| (row.paused_at, row.paused_by)),
                    outage: paused
                        .and_then(|row| Some((row.until?, row.reason.clone().unwrap_or_default()))),
                    due: due().map(|due| due.jobs).sum(),
                    oldest: due().map(|due| due.oldest).max().unwrap_or_default(),
                    retrying: others("retrying"),
                    running: others("running"),
                    parked: others("parked"),
                    dead: others("dead"),
                }
            })
            .collect())
    }

    /// From now on nothing is taken from the queue, by any worker, until it is resumed. What runs goes on. False where
    /// it was paused already.
    pub async fn pause(&self, origin: &Origin, queue: Queue) -> Result<bool> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let query = sqlx::query!(
            "INSERT INTO paused_queues AS paused (queue, paused_at, paused_by) VALUES ($1, $2, $3)
             ON CONFLICT (queue) DO UPDATE
             SET paused_at = excluded.paused_at, paused_by = excluded.paused_by, until = NULL, failures = NULL, reason = NULL
             WHERE paused.until IS NOT NULL",
            queue as _,
            unit.at(),
            origin.actor as _,
        );
        let changed = named("queues.pause", query.execute(unit.connection()))
            .await?
            .rows_affected()
            == 1;
        finish(unit, changed, Action::QueuePaused, queue).await
    }

    /// The queue goes on, within a second. False where it was not paused.
    pub async fn resume(&self, origin: &Origin, queue: Queue) -> Result<bool> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let query = sqlx::query!("DELETE FROM paused_queues WHERE queue = $1", queue as _);
        let changed = named("queues.resume", query.execute(unit.connection()))
            .await?
            .rows_affected()
            == 1;
        finish(unit, changed, Action::QueueResumed, queue).await
    }
}

async fn finish(mut unit: Unit, changed: bool, action: Action, queue: Queue) -> Result<bool> {
    if changed {
        let details = json!({ "queue": queue.as_str() });
        unit.audit_with(action, Target::None, Outcome::Success, details)
            .await?;
        unit.commit().await?;
    }
    Ok(changed)
}
