//! How much waits: figures for operators and for whatever scales workers.

use std::time::Duration;

use plinth_domain::closed_set::Recorded;
use plinth_domain::job::Queue;
use plinth_platform::database::{PgPool, named};
use serde::{Deserialize, Serialize};

use super::Ledger;
use crate::Result;

/// Rows are counted up to so many of a queue; a longer queue is said to be this long.
const COUNTED: i64 = 100_000;

/// The jobs of a kind that are due.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Due {
    pub queue: Recorded<Queue>,
    pub kind: String,
    pub jobs: i64,
    /// Since the oldest of them was due.
    pub oldest: Duration,
}

/// The jobs of a queue in other states that somebody may have to look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Others {
    pub queue: Recorded<Queue>,
    pub state: String,
    pub jobs: i64,
}

/// What the ledger holds that is not over, and what is dead.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Backlog {
    pub due: Vec<Due>,
    pub others: Vec<Others>,
    /// Queues that an administrator, or an outage, has paused. Absent in what a worker of the release before counted.
    #[serde(default)]
    pub paused: Vec<Recorded<Queue>>,
}

impl Ledger {
    /// Counts through the small indexes only: what it costs does not depend on how many jobs are finished.
    pub async fn backlog(&self) -> Result<Backlog> {
        backlog(&self.db).await
    }
}

pub(in crate::jobs) async fn backlog(db: &PgPool) -> Result<Backlog> {
    let query = sqlx::query!(
        r#"SELECT queue.name AS "queue!: Recorded<Queue>", due.kind AS "kind!", count(*) AS "jobs!",
             greatest(extract(epoch FROM now() - min(due.run_at)), 0)::float8 AS "oldest!"
         FROM unnest('{email,files,notifications,cleanup}'::text[]) AS queue (name)
         CROSS JOIN unnest('{0,1,2}'::smallint[]) AS rank (rank)
         CROSS JOIN LATERAL (
             SELECT kind, run_at FROM jobs
             WHERE jobs.queue = queue.name AND jobs.priority = rank.rank AND run_at <= now()
               AND state IN ('queued', 'retrying') AND NOT parked
             ORDER BY run_at
             LIMIT $1) AS due
         GROUP BY queue.name, due.kind"#,
        COUNTED,
    );
    let due = named("jobs.count_due", query.fetch_all(db)).await?;
    let due = due.into_iter().map(|row| Due {
        queue: row.queue,
        kind: row.kind,
        jobs: row.jobs,
        oldest: Duration::try_from_secs_f64(row.oldest).unwrap_or_default(),
    });
    let query = sqlx::query!(
        r#"SELECT queue AS "queue!: Recorded<Queue>", state AS "state!", count(*) AS "jobs!" FROM (
             (SELECT queue, 'running' AS state FROM jobs WHERE state = 'running' LIMIT $1)
             UNION ALL
             (SELECT queue, 'retrying' FROM jobs WHERE state = 'retrying' AND NOT parked LIMIT $1)
             UNION ALL
             (SELECT queue, 'parked' FROM jobs WHERE parked LIMIT $1)
             UNION ALL
             (SELECT queue, 'dead' FROM jobs WHERE state = 'dead' LIMIT $1)) AS others
         GROUP BY queue, state"#,
        COUNTED,
    );
    let others = named("jobs.count_others", query.fetch_all(db)).await?;
    let others = others.into_iter().map(|row| Others {
        queue: row.queue,
        state: row.state,
        jobs: row.jobs,
    });
    let query =
        sqlx::query_scalar!("SELECT queue FROM paused_queues WHERE until IS NULL OR until > now()");
    let paused = named("queues.count_paused", query.fetch_all(db)).await?;
    Ok(Backlog {
        due: due.collect(),
        others: others.collect(),
        paused,
    })
}
