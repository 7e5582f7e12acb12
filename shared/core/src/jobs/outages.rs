//! Pauses of a queue that workers make by themselves, while what all of its jobs need does not answer.
//!
//! A circuit breaker that the whole fleet shares: each pause is longer than the one before, and when it is over the queue is
//! tried again. The first job that succeeds ends it. An administrator's pause goes before it.

use std::time::Duration;

use plinth_domain::job::Queue;
use plinth_platform::database::named;

use crate::{Result, Stores};

/// The first pause; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// A pause so long after the one before is a first one again.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(1);

/// A pause that has just begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutagePause {
    /// 1 for the first in a row.
    pub number: i32,
    pub length: Duration,
}

/// The pauses that outages make.
#[derive(Clone)]
pub struct OutagePauses {
    stores: Stores,
}

impl OutagePauses {
    pub fn new(stores: &Stores) -> Self {
        Self {
            stores: stores.clone(),
        }
    }

    /// Pauses the queue for a while. `None` if it is paused already.
    pub async fn begin(&self, queue: Queue, reason: &str) -> Result<Option<OutagePause>> {
        let query = sqlx::query!(
            r#"INSERT INTO paused_queues AS paused (queue, paused_at, until, failures, reason)
             VALUES ($1, now(), now() + make_interval(secs => $3), 1, $2)
             ON CONFLICT (queue) DO UPDATE SET
                 paused_at = CASE WHEN paused.until < now() - make_interval(secs => $5) THEN now() ELSE paused.paused_at END,
                 failures = CASE WHEN paused.until < now() - make_interval(secs => $5) THEN 1 ELSE paused.failures + 1 END,
                 until = now() + make_interval(secs => CASE WHEN paused.until < now() - make_interval(secs => $5) THEN $3
                     ELSE least($4, $3 * 2 ^ least(paused.failures, 20)) END),
                 reason = excluded.reason
             WHERE paused.until <= now()
             RETURNING failures AS "number!", extract(epoch FROM until - now())::float8 AS "length!""#,
            queue as _,
            reason,
            FIRST_PAUSE.as_secs_f64(),
            LONGEST_PAUSE.as_secs_f64(),
            FORGOTTEN_AFTER.as_secs_f64(),
        );
        let row = named(
            "queues.pause_for_outage",
            query.fetch_optional(&self.stores.db),
        )
        .await?;
        Ok(row.map(|row| OutagePause {
            number: row.number,
            length: Duration::try_from_secs_f64(row.length).unwrap_or_default(),
        }))
    }
}
