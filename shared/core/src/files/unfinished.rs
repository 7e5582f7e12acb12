//! Uploads that an account has begun and not ended, resumable and direct ones.

use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::{BlobId, UserId};
use plinth_platform::database::named;
use sqlx::PgConnection;

use crate::{Error, Result};

/// Refuses if there are more than `max`, the one counted that this transaction begins. The caller holds the account's
/// usage row, so that no two share the last place.
pub(super) async fn check(connection: &mut PgConnection, owner: UserId, max: u32) -> Result<()> {
    let query = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!"
           FROM (SELECT blob_id FROM uploads WHERE owner_id = $1 AND made_file IS NULL
                 UNION ALL
                 SELECT blob_id FROM direct_uploads
                 WHERE owner_id = $1 AND made_file IS NULL AND refusal IS NULL) AS unfinished
           JOIN blobs ON blobs.id = blob_id AND state = 'receiving'"#,
        owner as _,
    );
    if named("uploads.count_unfinished", query.fetch_one(connection)).await? <= i64::from(max) {
        return Ok(());
    }
    let detail = format!(
        "An account has at most {max} unfinished uploads: finish one, or end it by DELETE."
    );
    Err(Error::Conflict {
        code: ErrorCode::TooManyUnfinishedUploads,
        detail,
    })
}

/// The kind of the upload that a blob is received by; `None` for a form.
pub(super) async fn kind(
    connection: &mut PgConnection,
    id: BlobId,
) -> sqlx::Result<Option<&'static str>> {
    let query = sqlx::query_scalar!(
        r#"SELECT 'resumable' AS "kind!" FROM uploads WHERE blob_id = $1
           UNION ALL
           SELECT 'direct' FROM direct_uploads WHERE blob_id = $1"#,
        id as _,
    );
    let kind = named("uploads.kind", query.fetch_optional(connection)).await?;
    Ok(kind.map(|kind| {
        if kind == "direct" {
            "direct"
        } else {
            "resumable"
        }
    }))
}
