//! What accounts take, counted anew.

use plinth_domain::id::UserId;
use plinth_platform::database::named;
use uuid::Uuid;

use super::Report;
use crate::{Result, Stores};

/// Accounts of a step.
const PAGE: i64 = 200;

/// Accounts whose usage is not what their blobs and files come to; mended unless it is a dry run.
pub(super) async fn mend(stores: &Stores, dry_run: bool, report: &mut Report) -> Result<u64> {
    let (mut after, mut drifted) = (Uuid::nil(), 0);
    loop {
        let owners = page(stores, after).await?;
        let Some(last) = owners.last() else {
            return Ok(drifted);
        };
        after = last.owner.0;
        for account in owners.iter().filter(|account| account.has_drifted) {
            // Whatever the account does meanwhile is seen when its row is held.
            let counted = if dry_run {
                Ok(true)
            } else {
                recount(stores, account.owner).await
            };
            match counted {
                Ok(changed) => drifted += u64::from(changed),
                Err(error) => report.pass_over(format_args!("account {}", account.owner), error)?,
            }
        }
    }
}

struct Account {
    owner: UserId,
    has_drifted: bool,
}

async fn page(stores: &Stores, after: Uuid) -> sqlx::Result<Vec<Account>> {
    let query = sqlx::query_as!(
        Account,
        r#"SELECT owner_id AS owner,
             (bytes, reserved, files) IS DISTINCT FROM (
                 (SELECT coalesce(sum(size), 0)::bigint FROM blobs WHERE blobs.owner_id = usage.owner_id AND state = 'stored'),
                 (SELECT coalesce(sum(blobs.reserved), 0)::bigint FROM blobs
                  WHERE blobs.owner_id = usage.owner_id AND state = 'receiving'),
                 (SELECT count(*) FROM files WHERE files.owner_id = usage.owner_id)) AS "has_drifted!"
         FROM storage_usage AS usage WHERE owner_id > $1 ORDER BY owner_id LIMIT $2"#,
        after,
        PAGE,
    );
    named("reconcile.usage", query.fetch_all(&stores.db)).await
}

/// True where it was wrong.
async fn recount(stores: &Stores, owner: UserId) -> Result<bool> {
    let mut transaction = stores.db.begin().await?;
    let query = sqlx::query!(
        "SELECT FROM storage_usage WHERE owner_id = $1 FOR UPDATE",
        owner as _,
    );
    named("reconcile.hold_usage", query.execute(&mut *transaction)).await?;
    let query = sqlx::query!(
        "UPDATE storage_usage SET bytes = counted.bytes, reserved = counted.reserved, files = counted.files
         FROM (SELECT
                 (SELECT coalesce(sum(size), 0)::bigint FROM blobs WHERE owner_id = $1 AND state = 'stored') AS bytes,
                 (SELECT coalesce(sum(reserved), 0)::bigint FROM blobs WHERE owner_id = $1 AND state = 'receiving')
                     AS reserved,
                 (SELECT count(*) FROM files WHERE owner_id = $1) AS files) AS counted
         WHERE owner_id = $1
           AND (storage_usage.bytes, storage_usage.reserved, storage_usage.files)
               IS DISTINCT FROM (counted.bytes, counted.reserved, counted.files)",
        owner as _,
    );
    let changed = named("reconcile.recount", query.execute(&mut *transaction))
        .await?
        .rows_affected()
        == 1;
    transaction.commit().await?;
    Ok(changed)
}
