//! Notifications that are old enough to go, for the clean-up.
//!
//! As with jobs there is no index on their age: their ids, which are in the order of their creation, are walked.

use plinth_domain::id::first_uuid_of;
use plinth_platform::database::named;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::cleanup::{BATCH, Batch, Pass, StepTransaction};
use crate::{Result, Stores};

/// A step of the walk from `after` on: those that were read before this time.
pub(crate) async fn read(
    stores: &Stores,
    before: OffsetDateTime,
    after: Uuid,
    pass: Pass,
) -> Result<Batch> {
    old(stores, before, Some(before), after, pass).await
}

/// The same for those that came before this time and were not read.
pub(crate) async fn unread(
    stores: &Stores,
    before: OffsetDateTime,
    after: Uuid,
    pass: Pass,
) -> Result<Batch> {
    old(stores, before, None, after, pass).await
}

/// With `read` those that were read before it, without it those that were not read at all.
async fn old(
    stores: &Stores,
    created: OffsetDateTime,
    read: Option<OffsetDateTime>,
    after: Uuid,
    pass: Pass,
) -> Result<Batch> {
    let created = first_uuid_of(created);
    let Pass::Remove(slice) = pass else {
        let query = sqlx::query!(
            r#"WITH step AS MATERIALIZED (
                 SELECT id, read_at FROM notifications WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3)
             SELECT (SELECT count(*) FROM step
                     WHERE read_at < $4 OR ($4::timestamptz IS NULL AND read_at IS NULL)) AS "old!",
                 (SELECT count(*) FROM step) AS "walked!", (SELECT id FROM step ORDER BY id DESC LIMIT 1) AS last"#,
            after,
            created,
            BATCH,
            read,
        );
        let row = named("notifications.count_old", query.fetch_one(&stores.db)).await?;
        return Ok(Batch::step(
            row.old,
            row.last.filter(|_| row.walked == BATCH),
        ));
    };
    let limit = slice.limit(BATCH);
    let query = sqlx::query!(
        r#"WITH step AS MATERIALIZED (
             SELECT id FROM notifications WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3 OFFSET $5),
         old AS (
             SELECT notifications.id FROM notifications JOIN step ON notifications.id = step.id
             WHERE read_at < $4 OR ($4::timestamptz IS NULL AND read_at IS NULL)
             FOR UPDATE OF notifications SKIP LOCKED),
         removed AS (
             DELETE FROM notifications USING old WHERE notifications.id = old.id RETURNING notifications.id)
         SELECT (SELECT count(*) FROM removed) AS "removed!", (SELECT count(*) FROM step) AS "walked!",
             (SELECT id FROM step ORDER BY id DESC LIMIT 1) AS last"#,
        after,
        created,
        limit,
        read,
        slice.skip(),
    );
    let mut step = StepTransaction::begin(stores).await?;
    let row = named(
        "notifications.remove_old",
        query.fetch_one(step.connection()),
    )
    .await;
    step.end(row.map(|row| Batch::step(row.removed, row.last.filter(|_| row.walked == limit))))
        .await
}
