//! Rotation of master keys: every data key gets the wrapping of the current one. No object is touched.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::id::BlobId;
use plinth_platform::crypto::WrappedKey;
use plinth_platform::database::named;
use serde::Serialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::context;
use crate::unit::Unit;
use crate::{Error, Result, Stores};

/// Keys of a step.
const PAGE: i64 = 500;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rewrapped {
    pub dry_run: bool,
    /// The master key that wraps from now on.
    pub master_key: String,
    /// Keys that had another wrapping.
    pub rewrapped: u64,
    /// Keys that could not be unwrapped, since their master key is not among the settings, or not be replaced.
    pub failed: u64,
    /// Ended before it was through.
    pub stopped: bool,
}

/// Wraps every data key anew that another master key wraps, until `stop`. Two at once share the work.
pub async fn rewrap(stores: &Stores, dry_run: bool, stop: &CancellationToken) -> Result<Rewrapped> {
    let current = stores.keys.current().to_owned();
    let mut done = Rewrapped {
        dry_run,
        master_key: current.clone(),
        rewrapped: 0,
        failed: 0,
        stopped: false,
    };
    let mut after = Uuid::nil();
    loop {
        let page = page(stores, &current, after).await?;
        let Some((last, _)) = page.last() else { break };
        after = last.0;
        for (blob, wrapped) in &page {
            if stop.is_cancelled() {
                done.stopped = true;
                break;
            }
            match stores.keys.unwrap(&context(*blob), wrapped).await {
                Ok(_) if dry_run => done.rewrapped += 1,
                Ok(key) => {
                    let anew = stores
                        .keys
                        .wrap(&context(*blob), &key)
                        .await
                        .map_err(Error::internal)?;
                    match replace(stores, *blob, wrapped, &anew)
                        .await
                        .map_err(Error::from)
                    {
                        Ok(replaced) => done.rewrapped += replaced,
                        Err(error) if error.is_outage() => return Err(error),
                        Err(error) => {
                            tracing::error!(%error, blob.id = %blob, "a data key cannot be replaced");
                            done.failed += 1;
                        }
                    }
                }
                Err(error) => {
                    tracing::error!(%error, blob.id = %blob, "a data key cannot be unwrapped");
                    done.failed += 1;
                }
            }
        }
        if done.stopped {
            break;
        }
    }
    if !dry_run {
        let mut unit = Unit::begin(stores, &Origin::system()).await?;
        let details =
            json!({ "master_key": current, "rewrapped": done.rewrapped, "failed": done.failed });
        unit.audit_with(
            Action::KeysRewrapped,
            Target::None,
            Outcome::Success,
            details,
        )
        .await?;
        unit.commit().await?;
    }
    Ok(done)
}

async fn page(
    stores: &Stores,
    current: &str,
    after: Uuid,
) -> sqlx::Result<Vec<(BlobId, WrappedKey)>> {
    let query = sqlx::query!(
        r#"SELECT id, master_key AS "master_key!", data_key AS "data_key!" FROM blobs
         WHERE master_key IS NOT NULL AND master_key <> $1 AND id > $2 ORDER BY id LIMIT $3"#,
        current,
        after,
        PAGE,
    );
    let rows = named("blobs.to_rewrap", query.fetch_all(&stores.db)).await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            (
                row.id,
                WrappedKey {
                    master_key: row.master_key,
                    bytes: row.data_key,
                },
            )
        })
        .collect())
}

/// Only where nobody was faster.
async fn replace(
    stores: &Stores,
    id: BlobId,
    old: &WrappedKey,
    new: &WrappedKey,
) -> sqlx::Result<u64> {
    let query = sqlx::query!(
        "UPDATE blobs SET data_key = $3, master_key = $4 WHERE id = $1 AND data_key = $2",
        id as _,
        old.bytes,
        new.bytes,
        new.master_key,
    );
    Ok(named("blobs.rewrap", query.execute(&stores.db))
        .await?
        .rows_affected())
}
