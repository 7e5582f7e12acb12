//! What is due: the first jobs of each queue, as many as Redis may hold.

use plinth_domain::id::JobId;
use plinth_domain::job::Queue;
use plinth_platform::database::named;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Ledger;
use crate::jobs::Note;
use crate::{Error, Result};

impl Ledger {
    /// The jobs of each queue that are due and that nobody holds, high priorities first, at most `limit` of a queue and
    /// priority. Nothing of a paused queue.
    pub async fn due(&self, queues: &[Queue], limit: i64) -> Result<Vec<Note>> {
        let queues: Vec<_> = queues.iter().map(|queue| queue.as_str().to_owned()).collect();
        // A scan a priority, each of which begins where it has to and ends at what is not due yet: jobs that wait for
        // their time, or for their turn, are not walked over.
        let query = sqlx::query!(
            r#"SELECT due.id AS "id!", queue.name AS "queue!", rank.rank AS "priority!", due.run_at AS "run_at!"
             FROM unnest($1::text[]) AS queue (name)
             CROSS JOIN unnest('{0,1,2}'::smallint[]) AS rank (rank)
             CROSS JOIN LATERAL (
                 SELECT id, run_at FROM jobs
                 WHERE jobs.queue = queue.name AND jobs.priority = rank.rank AND run_at <= now()
                   AND state IN ('queued', 'retrying') AND NOT parked
                 ORDER BY run_at
                 LIMIT $2) AS due
             WHERE NOT EXISTS (SELECT FROM paused_queues paused WHERE paused.queue = queue.name)
             UNION ALL
             (SELECT id, queue, priority, run_at FROM jobs
              WHERE state = 'running' AND lease_until < now() AND queue = ANY($1)
                AND NOT EXISTS (SELECT FROM paused_queues paused WHERE paused.queue = jobs.queue)
              ORDER BY lease_until
              LIMIT $2)"#,
            &queues,
            limit,
        );
        let rows = named("jobs.due", query.fetch_all(&self.db)).await?;
        rows.into_iter().map(|row| note(row.id, &row.queue, row.priority, row.run_at)).collect()
    }
}

pub(in crate::jobs) fn note(id: Uuid, queue: &str, priority: i16, run_at: OffsetDateTime) -> Result<Note> {
    Ok(Note { queue: queue.parse().map_err(Error::internal)?, job: JobId(id), rank: priority, due: run_at })
}
