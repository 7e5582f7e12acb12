//! Registrations that were never proved, for the clean-up.

use plinth_platform::database::named;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::cleanup::{BATCH, Batch, Pass};
use crate::{Result, Stores, users};

/// Where the step begins that removes accounts, after all those that remove registrations.
const ACCOUNTS: Uuid = Uuid::max();

/// Registrations of before this time, then accounts that a release without registrations made of one and that were never
/// verified.
pub(crate) async fn unverified_registrations(
    stores: &Stores,
    before: OffsetDateTime,
    from: Uuid,
    pass: Pass,
) -> Result<Batch> {
    let Pass::Remove(slice) = pass else {
        let query = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM registrations WHERE created_at < $1"#,
            before
        );
        let registrations = named("registrations.count_expired", query.fetch_one(&stores.db)).await?;
        return Ok(Batch::whole(registrations + users::count_never_verified(stores, before).await?));
    };
    let limit = slice.limit(BATCH);
    if from == ACCOUNTS {
        let removed = users::remove_never_verified(stores, before, slice).await?;
        return Ok(Batch::at(removed, (removed >= limit.unsigned_abs()).then_some(ACCOUNTS)));
    }
    let query = sqlx::query!(
        "DELETE FROM registrations WHERE id IN
             (SELECT id FROM registrations WHERE created_at < $1 ORDER BY created_at, id LIMIT $2 OFFSET $3
              FOR UPDATE SKIP LOCKED)",
        before,
        limit,
        slice.skip(),
    );
    let removed = named("registrations.remove_expired", query.execute(&stores.db)).await?.rows_affected();
    Ok(Batch::at(removed, Some(if removed >= limit.unsigned_abs() { from } else { ACCOUNTS })))
}
