//! Due jobs: the first ones of each queue, as many as a ready set holds, and those after a cursor.

use std::collections::HashMap;

use plinth_domain::closed_set::Recorded;
use plinth_domain::id::JobId;
use plinth_domain::job::Queue;
use plinth_platform::database::named;
use time::OffsetDateTime;

use super::Ledger;
use crate::jobs::{DueJobs, JobRef, QueuePosition};
use crate::{Error, Result};

impl Ledger {
    /// Returns the due jobs of each queue that no worker holds, high priorities first: at most
    /// `limit` for each queue and priority, and at most `limit` whose lease has expired. Omits
    /// paused queues.
    pub async fn due(&self, limit: i64) -> Result<HashMap<Queue, DueJobs>> {
        // One index scan for each priority. It ends at the first job that is not due yet, so it
        // does not read jobs that wait for their time or are parked.
        let query = sqlx::query!(
            r#"SELECT due.id AS "id!: JobId", queue.name AS "queue!: Recorded<Queue>", rank.rank AS "priority!", due.run_at AS "run_at!",
                 false AS "lost!"
             FROM unnest('{email,files,notifications,cleanup}'::text[]) AS queue (name)
             CROSS JOIN unnest('{0,1,2}'::smallint[]) AS rank (rank)
             CROSS JOIN LATERAL (
                 SELECT id, run_at FROM jobs
                 WHERE jobs.queue = queue.name AND jobs.priority = rank.rank AND run_at <= now()
                   AND state IN ('queued', 'retrying') AND NOT parked
                 ORDER BY run_at
                 LIMIT $1) AS due
             WHERE NOT EXISTS (SELECT FROM paused_queues paused WHERE paused.queue = queue.name
                               AND (until IS NULL OR until > now()))
             UNION ALL
             (SELECT id, queue, priority, run_at, true FROM jobs
              WHERE state = 'running' AND lease_until < now()
                AND NOT EXISTS (SELECT FROM paused_queues paused WHERE paused.queue = jobs.queue
                                AND (until IS NULL OR until > now()))
              ORDER BY lease_until
              LIMIT $1)"#,
            limit,
        );
        let rows = named("jobs.due", query.fetch_all(&self.db)).await?;
        let mut due: HashMap<Queue, DueJobs> = HashMap::new();
        let mut ranks: HashMap<(Queue, i16), (i64, QueuePosition)> = HashMap::new();
        for row in rows {
            let job = job_ref(row.id, row.queue, row.priority, row.run_at)?;
            if !row.lost {
                let (count, last) = ranks
                    .entry((job.queue, job.rank))
                    .or_insert((0, job.position()));
                *count += 1;
                *last = job.position().max(*last);
            }
            due.entry(job.queue).or_default().jobs.push(job);
        }
        // Continue in the highest rank that was not read to its end.
        for ((queue, _), (count, last)) in ranks {
            let cursor = &mut due.entry(queue).or_default().cursor;
            if count >= limit && cursor.is_none_or(|other| last < other) {
                *cursor = Some(last);
            }
        }
        Ok(due)
    }

    /// Returns at most `limit` due jobs of a queue from a position on, so that a backlog is read
    /// once and not again from its beginning. Omits paused queues and jobs whose lease has expired.
    pub async fn due_from(&self, queue: Queue, from: QueuePosition, limit: i64) -> Result<DueJobs> {
        let query = sqlx::query!(
            r#"SELECT due.id AS "id!: JobId", rank.rank AS "priority!", due.run_at AS "run_at!"
             FROM unnest('{0,1,2}'::smallint[]) AS rank (rank)
             CROSS JOIN LATERAL (
                 SELECT id, run_at FROM jobs
                 WHERE jobs.queue = $1 AND jobs.priority = rank.rank AND run_at <= now()
                   AND run_at >= CASE WHEN rank.rank = $2 THEN $3 ELSE '-infinity'::timestamptz END
                   AND state IN ('queued', 'retrying') AND NOT parked
                 ORDER BY run_at
                 LIMIT $4) AS due
             WHERE rank.rank >= $2 AND NOT EXISTS (SELECT FROM paused_queues paused WHERE paused.queue = $1
                                                   AND (until IS NULL OR until > now()))
             ORDER BY rank.rank, due.run_at
             LIMIT $4"#,
            queue as _,
            from.rank,
            from.due,
            limit,
        );
        let rows = named("jobs.due_from", query.fetch_all(&self.db)).await?;
        let job_ref = |job, rank, due| JobRef {
            queue,
            job,
            rank,
            due,
        };
        let jobs: Vec<_> = rows
            .into_iter()
            .map(|row| job_ref(row.id, row.priority, row.run_at))
            .collect();
        let is_all = i64::try_from(jobs.len()).is_ok_and(|count| count < limit);
        let cursor = jobs.last().filter(|_| !is_all).map(JobRef::position);
        Ok(DueJobs { jobs, cursor })
    }
}

pub(in crate::jobs) fn job_ref(
    job: JobId,
    queue: Recorded<Queue>,
    priority: i16,
    run_at: OffsetDateTime,
) -> Result<JobRef> {
    Ok(JobRef {
        queue: queue
            .known()
            .ok_or_else(|| Error::internal("a job waits in a queue of another release"))?,
        job,
        rank: priority,
        due: run_at,
    })
}
