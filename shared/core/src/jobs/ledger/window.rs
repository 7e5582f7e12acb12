//! What is due: the first jobs of each queue, as many as Redis may hold, and those after them.

use std::collections::HashMap;

use plinth_domain::closed_set::Recorded;
use plinth_domain::id::JobId;
use plinth_domain::job::Queue;
use plinth_platform::database::named;
use time::OffsetDateTime;

use super::Ledger;
use crate::jobs::{Found, Note, Place};
use crate::{Error, Result};

impl Ledger {
    /// The jobs of each queue that are due and that nobody holds, high priorities first, at most `limit` of a queue and
    /// priority, and so many of dead workers. Nothing of a paused queue.
    pub async fn due(&self, limit: i64) -> Result<HashMap<Queue, Found>> {
        // A scan a priority, each of which begins where it has to and ends at what is not due yet: jobs that wait for
        // their time, or for their turn, are not walked over.
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
        let mut found: HashMap<Queue, Found> = HashMap::new();
        let mut ranks: HashMap<(Queue, i16), (i64, Place)> = HashMap::new();
        for row in rows {
            let note = note(row.id, row.queue, row.priority, row.run_at)?;
            if !row.lost {
                let (count, last) = ranks
                    .entry((note.queue, note.rank))
                    .or_insert((0, note.place()));
                *count += 1;
                *last = note.place().max(*last);
            }
            found.entry(note.queue).or_default().notes.push(note);
        }
        // A rank that was not read to its end goes on before those below it.
        for ((queue, _), (count, last)) in ranks {
            let deeper = &mut found.entry(queue).or_default().deeper;
            if count >= limit && deeper.is_none_or(|other| last < other) {
                *deeper = Some(last);
            }
        }
        Ok(found)
    }

    /// The jobs of a queue that are due, from a place in its order on, at most `limit`. So a backlog is read once, and not
    /// again from its beginning with all that has left it. Nothing of a paused queue, and nothing of dead workers.
    pub async fn due_from(&self, queue: Queue, from: Place, limit: i64) -> Result<Found> {
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
        let note = |job, rank, due| Note {
            queue,
            job,
            rank,
            due,
        };
        let notes: Vec<_> = rows
            .into_iter()
            .map(|row| note(row.id, row.priority, row.run_at))
            .collect();
        let is_all = i64::try_from(notes.len()).is_ok_and(|count| count < limit);
        let deeper = notes.last().filter(|_| !is_all).map(Note::place);
        Ok(Found { notes, deeper })
    }
}

pub(in crate::jobs) fn note(
    job: JobId,
    queue: Recorded<Queue>,
    priority: i16,
    run_at: OffsetDateTime,
) -> Result<Note> {
    Ok(Note {
        queue: queue
            .known()
            .ok_or_else(|| Error::internal("a job waits in a queue of another release"))?,
        job,
        rank: priority,
        due: run_at,
    })
}
