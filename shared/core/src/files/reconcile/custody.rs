//! Whether this bucket belongs to this database, as it is now: otherwise nothing is removed from it.
//!
//! A marker object in the bucket has the identity of the database and a generation, which rises every hour in both. A dump
//! that was put back, a copy of the database, or a copy of the bucket has another generation or identity.

use futures_util::TryStreamExt as _;
use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_object_store::ObjectError;
use plinth_platform::database::named;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::unit::Unit;
use crate::{Error, Result, Stores};

/// Where the marker lies, beside everything else.
const MARKER: &str = "installation.json";

/// The clocks of processes may differ by so much.
const SLACK: Duration = Duration::hours(1);

/// The marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Marker {
    installation: Uuid,
    generation: i64,
}

/// The row of this database.
#[derive(Debug, Clone, Copy)]
struct Installation {
    id: Uuid,
    generation: i64,
    pending: i64,
    adopted_at: Option<OffsetDateTime>,
}

/// Whose the bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Custody {
    Ours,
    /// Nobody has marked it yet.
    Unclaimed,
    /// It has the marker of another database.
    Foreign,
    /// The database or the bucket was put back: one of them is older than the other.
    OutOfStep,
}

impl Custody {
    /// Why nothing is removed, in words for operators.
    pub(super) fn objection(self) -> Option<&'static str> {
        match self {
            Self::Ours => None,
            Self::Unclaimed => {
                Some("the bucket has no marker and holds objects that this database does not know")
            }
            Self::Foreign => Some("the bucket is marked as that of another database"),
            Self::OutOfStep => {
                Some("the database or the bucket was restored: their generations differ")
            }
        }
    }
}

/// Finds out whose the bucket is.
pub(super) async fn inspect(stores: &Stores) -> Result<Custody> {
    match compare(stores).await? {
        // Another process may have raised the generation between the two reads.
        Custody::Foreign | Custody::OutOfStep => compare(stores).await,
        agreed => Ok(agreed),
    }
}

async fn compare(stores: &Stores) -> Result<Custody> {
    let row = installation(stores).await?;
    Ok(match read(stores).await? {
        None => Custody::Unclaimed,
        Some(marker) if marker.installation != row.id => Custody::Foreign,
        Some(marker) if [row.generation, row.pending].contains(&marker.generation) => Custody::Ours,
        Some(_) => Custody::OutOfStep,
    })
}

/// Returns why no object may be removed from the bucket, or `None` if objects that a row of this database knows may be.
/// Everything that removes objects asks first. What may not be removed stays, with its row, for a later clean-up.
///
/// An unmarked bucket is no obstacle: every new installation has one until its first reconciliation.
pub(crate) async fn objection_to_removal(stores: &Stores) -> Result<Option<&'static str>> {
    // Boxed: removals are deep in other futures already.
    Ok(match Box::pin(inspect(stores)).await? {
        Custody::Ours | Custody::Unclaimed => None,
        other => other.objection(),
    })
}

/// Returns whether objects that a row of this database knows may be removed from the bucket, and logs why not.
pub(in crate::files) async fn may_remove(stores: &Stores) -> Result<bool> {
    let Some(reason) = objection_to_removal(stores).await? else {
        return Ok(true);
    };
    tracing::warn!(
        reason,
        "objects are not removed: is this the database of this bucket?"
    );
    Ok(false)
}

/// The newest time that this database can know an object of. Objects that are newer were written for a newer database.
pub(super) async fn newest_known(stores: &Stores) -> Result<OffsetDateTime> {
    let query = sqlx::query_scalar!(
        r#"SELECT newest.id AS "id!" FROM (
             (SELECT id FROM blobs ORDER BY id DESC LIMIT 1)
             UNION ALL (SELECT id FROM jobs ORDER BY id DESC LIMIT 1)
             UNION ALL (SELECT id FROM sessions ORDER BY id DESC LIMIT 1)) AS newest"#,
    );
    let ids = named("reconcile.newest", query.fetch_all(&stores.db)).await?;
    let adopted_at = installation(stores).await?.adopted_at;
    let newest = ids
        .into_iter()
        .filter_map(minted_at)
        .chain(adopted_at)
        .max();
    Ok(newest.unwrap_or(OffsetDateTime::UNIX_EPOCH) + SLACK)
}

/// When an id was minted, if it is one that tells it.
pub(super) fn minted_at(id: Uuid) -> Option<OffsetDateTime> {
    if id.get_version_num() != 7 {
        return None;
    }
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    let at = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()?;
    Some(at + Duration::nanoseconds(nanos.into()))
}

/// Raises the generation in the database and in the bucket, if they belong together.
///
/// # Errors
/// A store is away. Whatever is written until then, the two still belong together.
pub async fn renew(stores: &Stores) -> Result<bool> {
    if inspect(stores).await? != Custody::Ours {
        return Ok(false);
    }
    claim(stores).await?;
    Ok(true)
}

/// Marks the bucket as that of this database, as it is now: what no row knows is removed from now on, when it is old
/// enough. The database gets another identity, so that any other one that has used this bucket notices.
pub async fn adopt(stores: &Stores) -> Result<()> {
    let mut unit = Unit::begin(stores, &Origin::system()).await?;
    let at = unit.at();
    let query = sqlx::query!(
        "UPDATE installation SET id = gen_random_uuid(), adopted_at = $1",
        at
    );
    named("installation.adopt", query.execute(unit.connection())).await?;
    unit.audit(Action::BucketAdopted, Target::None, Outcome::Success)
        .await?;
    unit.commit().await?;
    claim(stores).await
}

/// Marks a bucket that nobody has marked and in which there is nothing that this database does not know.
pub(super) async fn claim(stores: &Stores) -> Result<()> {
    let query =
        sqlx::query!("UPDATE installation SET pending = generation + 1 RETURNING id, pending");
    let row = named("installation.begin_generation", query.fetch_one(&stores.db)).await?;
    let marker = Marker {
        installation: row.id,
        generation: row.pending,
    };
    let bytes = serde_json::to_vec(&marker).map_err(Error::internal)?;
    stores
        .objects
        .put(MARKER, bytes.into(), "application/json")
        .await?;
    let query = sqlx::query!(
        "UPDATE installation SET generation = $2 WHERE id = $1 AND generation < $2",
        row.id,
        row.pending
    );
    named("installation.end_generation", query.execute(&stores.db)).await?;
    Ok(())
}

async fn installation(stores: &Stores) -> Result<Installation> {
    let query = sqlx::query_as!(
        Installation,
        "SELECT id, generation, pending, adopted_at FROM installation"
    );
    Ok(named("installation.find", query.fetch_one(&stores.db)).await?)
}

async fn read(stores: &Stores) -> Result<Option<Marker>> {
    let mut chunks = match stores.objects.get(MARKER, None).await {
        Err(ObjectError::NotFound) => return Ok(None),
        chunks => chunks?,
    };
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.try_next().await? {
        bytes.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(Error::internal)
}
