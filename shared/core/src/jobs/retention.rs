//! Removes jobs that have ended long enough ago, with their attempts.
//!
//! There is no index on when jobs ended: it would be written for every job to be read once an hour. But ids are in the
//! order in which jobs were asked for, and what ended before a time was asked for before it. So the ids below that time
//! are walked, in steps that are one short statement each; what is not to be removed is passed over.

use plinth_domain::id::first_uuid_of;
use plinth_platform::database::named;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::cleanup::{Batch, Pass, Slice, StepTransaction};
use crate::{Result, Stores};

/// Ids walked in one statement.
const STEP: i64 = 2_000;

/// How the jobs ended that are looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending {
    /// As somebody wanted it.
    DoneOrCancelled,
    Dead,
}

impl Ending {
    fn states(self) -> Vec<String> {
        let states: &[&str] = match self {
            Self::DoneOrCancelled => &["done", "cancelled"],
            Self::Dead => &["dead"],
        };
        states.iter().map(|state| (*state).to_owned()).collect()
    }
}

/// A step of the walk from `after` on: jobs that ended so before this time.
pub(crate) async fn ended(
    stores: &Stores,
    ending: Ending,
    before: OffsetDateTime,
    after: Uuid,
    pass: Pass,
) -> Result<Batch> {
    match pass {
        Pass::Remove(slice) => remove(stores, ending, before, after, slice).await,
        Pass::Count => count(stores, ending, before, after).await,
    }
}

async fn remove(
    stores: &Stores,
    ending: Ending,
    before: OffsetDateTime,
    after: Uuid,
    slice: Slice,
) -> Result<Batch> {
    let limit = slice.limit(STEP);
    // One that is locked is being removed by somebody else, or brought back to life.
    let query = sqlx::query!(
        r#"WITH step AS MATERIALIZED (
             SELECT id FROM jobs WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3 OFFSET $6),
         over AS (
             SELECT jobs.id FROM jobs JOIN step ON jobs.id = step.id
             WHERE jobs.state = ANY($4) AND jobs.finished_at < $5
             FOR UPDATE OF jobs SKIP LOCKED),
         removed AS (
             DELETE FROM jobs USING over WHERE jobs.id = over.id RETURNING jobs.id)
         SELECT (SELECT count(*) FROM removed) AS "removed!", (SELECT count(*) FROM step) AS "walked!",
             (SELECT id FROM step ORDER BY id DESC LIMIT 1) AS last"#,
        after,
        first_uuid_of(before),
        limit,
        &ending.states(),
        before,
        slice.skip(),
    );
    let mut step = StepTransaction::begin(stores).await?;
    let row = named("jobs.remove_ended", query.fetch_one(step.connection())).await;
    step.end(row.map(|row| Batch::step(row.removed, row.last.filter(|_| row.walked == limit))))
        .await
}

async fn count(
    stores: &Stores,
    ending: Ending,
    before: OffsetDateTime,
    after: Uuid,
) -> Result<Batch> {
    let query = sqlx::query!(
        r#"WITH step AS MATERIALIZED (
             SELECT id, state, finished_at FROM jobs WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3)
         SELECT (SELECT count(*) FROM step WHERE state = ANY($4) AND finished_at < $5) AS "ended!",
             (SELECT count(*) FROM step) AS "walked!", (SELECT id FROM step ORDER BY id DESC LIMIT 1) AS last"#,
        after,
        first_uuid_of(before),
        STEP,
        &ending.states(),
        before,
    );
    let row = named("jobs.count_ended", query.fetch_one(&stores.db)).await?;
    Ok(Batch::step(
        row.ended,
        row.last.filter(|_| row.walked == STEP),
    ))
}
