//! What an account takes and may take. Whoever adds to it holds the account's row to the end of the transaction, so that
//! no two uploads share the last free byte.

use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::{BlobId, UserId};
use plinth_platform::database::{PgPool, named};
use sqlx::PgConnection;

use crate::{Error, Result, Stores};

/// What an account may have; 0 for no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub bytes: u64,
    pub files: u64,
}

/// How much more of an account's quota is taken.
pub(in crate::files) struct More {
    pub(in crate::files) bytes: u64,
    /// What was set aside for these bytes and is so no more.
    pub(in crate::files) reserved: i64,
    pub(in crate::files) files: i64,
}

/// What an account has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of its files, their versions and its trash.
    pub bytes: i64,
    /// Set aside for uploads under way.
    pub reserved: i64,
    /// In the trash, too.
    pub files: i64,
}

pub(in crate::files) async fn of(db: &PgPool, owner: UserId) -> Result<Usage> {
    let query = sqlx::query_as!(
        Usage,
        "SELECT bytes, reserved, files FROM storage_usage WHERE owner_id = $1",
        owner as _
    );
    Ok(named("storage_usage.of", query.fetch_optional(db))
        .await?
        .unwrap_or_default())
}

/// Holds the account's row; there is one from its first upload on. Before anything is written that refers to the account:
/// the end of one holds this row, and then waits for whoever does.
pub(in crate::files) async fn hold(connection: &mut PgConnection, owner: UserId) -> Result<()> {
    let query = sqlx::query!(
        "SELECT FROM storage_usage WHERE owner_id = $1 FOR UPDATE",
        owner as _
    );
    Ok(named("storage_usage.hold", query.execute(connection))
        .await
        .map(drop)?)
}

/// Sets aside as many bytes as a blob that grows has by now.
pub(in crate::files) async fn reserve(
    stores: &Stores,
    owner: UserId,
    blob: BlobId,
    bytes: u64,
    quota: Quota,
) -> Result<()> {
    let mut transaction = stores.db.begin().await?;
    reserve_in(&mut transaction, owner, blob, bytes, quota).await?;
    transaction.commit().await?;
    Ok(())
}

/// The same, within a transaction.
pub(in crate::files) async fn reserve_in(
    connection: &mut PgConnection,
    owner: UserId,
    blob: BlobId,
    bytes: u64,
    quota: Quota,
) -> Result<()> {
    hold(connection, owner).await?;
    let query = sqlx::query_scalar!(
        r#"UPDATE blobs SET reserved = greatest(before.reserved, $2), updated_at = now()
         FROM (SELECT id, reserved FROM blobs WHERE id = $1 AND state = 'receiving' FOR UPDATE) AS before
         WHERE blobs.id = before.id
         RETURNING blobs.reserved - before.reserved AS "more!""#,
        blob as _,
        signed(bytes)?,
    );
    let more = named("blobs.reserve", query.fetch_optional(&mut *connection)).await?;
    // The clean-up may have taken it for abandoned.
    let more = more.ok_or(Error::Interrupted)?;
    let query = sqlx::query!(
        "UPDATE storage_usage SET reserved = reserved + $2
         WHERE owner_id = $1 AND ($3::bigint = 0 OR bytes + reserved + $2 <= $3)",
        owner as _,
        more,
        signed(quota.bytes)?,
    );
    if named("storage_usage.reserve", query.execute(connection))
        .await?
        .rows_affected()
        == 0
    {
        return Err(full(quota));
    }
    Ok(())
}

/// Whether there is room for another file. Nothing is set aside: it is a courtesy to who would come in vain.
pub(in crate::files) async fn check_count(
    connection: &mut PgConnection,
    owner: UserId,
    quota: Quota,
) -> Result<()> {
    let query = sqlx::query_scalar!(
        r#"SELECT files < $2 AS "fits!" FROM storage_usage WHERE owner_id = $1"#,
        owner as _,
        signed(quota.files)?,
    );
    let fits = named(
        "storage_usage.check_count",
        query.fetch_optional(connection),
    )
    .await?;
    if quota.files == 0 || fits.unwrap_or(true) {
        Ok(())
    } else {
        Err(full(quota))
    }
}

/// Takes more of the quota, for good.
pub(in crate::files) async fn take(
    connection: &mut PgConnection,
    owner: UserId,
    more: &More,
    quota: Quota,
) -> Result<()> {
    let query = sqlx::query!(
        "UPDATE storage_usage
         SET bytes = bytes + $2, reserved = reserved - $3, files = files + $4
         WHERE owner_id = $1
           AND ($5::bigint = 0 OR $2::bigint = 0 OR bytes + $2 + reserved - $3::bigint <= $5)
           AND ($6::bigint = 0 OR $4::bigint = 0 OR files + $4 <= $6)",
        owner as _,
        signed(more.bytes)?,
        more.reserved,
        more.files,
        signed(quota.bytes)?,
        signed(quota.files)?,
    );
    if named("storage_usage.take", query.execute(connection))
        .await?
        .rows_affected()
        == 0
    {
        return Err(full(quota));
    }
    Ok(())
}

/// Gives back what was taken.
pub(in crate::files) async fn give_back(
    connection: &mut PgConnection,
    owner: UserId,
    bytes: i64,
    reserved: i64,
    files: i64,
) -> Result<()> {
    let query = sqlx::query!(
        "UPDATE storage_usage SET bytes = bytes - $2, reserved = reserved - $3, files = files - $4 WHERE owner_id = $1",
        owner as _,
        bytes,
        reserved,
        files,
    );
    Ok(named("storage_usage.give_back", query.execute(connection))
        .await
        .map(drop)?)
}

/// The account has nothing any more.
pub(in crate::files) async fn forget(connection: &mut PgConnection, owner: UserId) -> Result<()> {
    let query = sqlx::query!("DELETE FROM storage_usage WHERE owner_id = $1", owner as _);
    Ok(named("storage_usage.forget", query.execute(connection))
        .await
        .map(drop)?)
}

fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(Error::internal)
}

fn full(quota: Quota) -> Error {
    let detail = format!(
        "An account may have {} bytes in {} files, its trash and older versions too (0: no bound).",
        quota.bytes, quota.files
    );
    Error::Conflict {
        code: ErrorCode::QuotaExceeded,
        detail,
    }
}
