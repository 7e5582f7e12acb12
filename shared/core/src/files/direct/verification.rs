//! The worker's side of a direct upload: what the client sent is made an object, read back and made a file.
//!
//! It is done in steps, and how far it is is written down with the state of the hash: another attempt goes on, also with
//! what takes longer than one may.

use futures_util::TryStreamExt as _;
use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::direct_upload::DirectRefusal;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::{BlobId, UserId};
use plinth_object_store::{ByteRange, ObjectError, StoredObject};
use plinth_platform::crypto::ResumableSha256;
use serde_json::json;

use super::repository::{self, Found, Object};
use super::service::is_whole;
use super::{DirectState, DirectUpload, MIB};
use crate::files::blobs::{self, Received, Source, release, usage};
use crate::files::sniff::Detected;
use crate::files::upload::{Purpose, keep};
use crate::files::{Files, reconcile};
use crate::unit::Unit;
use crate::{Error, Result, Stores};

/// Bytes that are read back before it is written down.
const STEP: u64 = 64 * MIB;

/// The worker's door.
#[derive(Clone)]
pub struct DirectVerification {
    stores: Stores,
    files: Files,
}

/// A verification under way: [`Verifying::step`] until nothing is left, then [`Verifying::finish`].
pub struct Verifying {
    door: DirectVerification,
    upload: DirectUpload,
    owner: UserId,
    source: Source,
    detected: Detected,
    hash: ResumableSha256,
    /// Bytes that were read back.
    position: u64,
}

impl DirectVerification {
    pub fn new(stores: &Stores, files: &Files) -> Self {
        Self {
            stores: stores.clone(),
            files: files.clone(),
        }
    }

    /// Makes the object of its parts, and begins to read it or goes on. `None` where nothing is to be done any more.
    pub async fn begin(&self, id: BlobId) -> Result<Option<Verifying>> {
        let Some(found) = repository::find(&self.stores.db, id, None).await? else {
            return Ok(None);
        };
        let Found {
            upload,
            owner,
            object,
            read: (position, state),
        } = found;
        let Some(object) = object.filter(|_| upload.state == DirectState::Verifying) else {
            return Ok(None);
        };
        let made = match self.made(&upload, &object).await? {
            Some(made) if made.size == upload.size => made,
            other => {
                let refusal = if other.is_some() {
                    DirectRefusal::WrongSize
                } else {
                    DirectRefusal::Incomplete
                };
                self.refuse(owner, id, refusal).await?;
                return Ok(None);
            }
        };
        let etag = made
            .etag
            .ok_or_else(|| Error::internal("the object store gives no ETag"))?;
        let read = match state.filter(|_| object.etag.as_ref() == Some(&etag)) {
            Some(state) => ResumableSha256::restore(&state).map(|hash| (position, hash)),
            None => None,
        };
        if object.etag.as_ref() != Some(&etag) {
            let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
            if !repository::note_object(unit.connection(), id, &etag).await? {
                return Ok(None);
            }
            unit.commit().await?;
        }
        let (position, hash) = read.unwrap_or_default();
        let source = Source {
            object_key: object.key,
            size: upload.size,
            chunks: None,
            segments: vec![0],
            etag: Some(etag),
        };
        let detected = blobs::detect(&self.stores.objects, source.clone()).await?;
        Ok(Some(Verifying {
            door: self.clone(),
            upload,
            owner,
            source,
            detected,
            hash,
            position,
        }))
    }

    /// The object, made of its parts where it is not yet; `None` where it cannot be.
    async fn made(&self, upload: &DirectUpload, object: &Object) -> Result<Option<StoredObject>> {
        let objects = &self.stores.objects;
        // Nobody but a verification makes the object of parts: one that died may have.
        let there = objects.head(&object.key).await?;
        let (None, Some(parts)) = (&there, &object.parts) else {
            return Ok(there);
        };
        let listed = match objects.list_parts(&object.key, parts).await {
            Err(ObjectError::PartsLost) => return Ok(objects.head(&object.key).await?),
            listed => listed?,
        };
        if !is_whole(upload, &listed) {
            return Ok(None);
        }
        let listed = listed.into_iter().map(|listed| listed.part).collect();
        match objects.finish_parts(&object.key, parts, listed).await {
            // One that was taken for dead was faster, or somebody has changed them.
            Ok(()) | Err(ObjectError::PartsLost) => Ok(objects.head(&object.key).await?),
            Err(error) => Err(error.into()),
        }
    }

    /// Nothing comes of it: the bytes go, what was set aside is given back, and its owner is told why.
    async fn refuse(&self, owner: UserId, id: BlobId, refusal: DirectRefusal) -> Result<()> {
        tracing::info!(upload.id = %id, ?refusal, "a direct upload is refused");
        let mut unit = Unit::begin(&self.stores, &by(owner)).await?;
        usage::hold(unit.connection(), owner).await?;
        let at = unit.at();
        if !repository::set_refused(unit.connection(), id, refusal, at).await? {
            return Ok(());
        }
        release(&mut unit, id).await?;
        let details = json!({ "upload": id, "reason": refusal.as_str() });
        unit.audit_with(
            Action::DirectUploadRefused,
            Target::None,
            Outcome::Refused,
            details,
        )
        .await?;
        unit.commit().await
    }
}

impl Verifying {
    /// Reads the next bytes back; how far it is, of 100. `None` when all were read.
    pub async fn step(&mut self) -> Result<Option<u8>> {
        let size = self.upload.size;
        if self.position == size {
            return Ok(None);
        }
        let end = size.min(self.position + STEP);
        let range = ByteRange {
            first: self.position,
            last: end - 1,
        };
        let objects = &self.door.stores.objects;
        let mut bytes = blobs::open(objects, self.source.clone(), Some(range)).await?;
        while let Some(some) = bytes.try_next().await? {
            self.hash.update(&some);
            self.position += some.len() as u64;
        }
        if self.position != end {
            return Err(Error::internal(
                "the object store gave another range than it was asked for",
            ));
        }
        if end < size {
            let position = i64::try_from(end).map_err(Error::internal)?;
            let mut unit = Unit::begin(&self.door.stores, &Origin::system()).await?;
            // One that is given up is not read to its end.
            if !repository::record(
                unit.connection(),
                self.upload.id,
                position,
                &self.hash.save(),
            )
            .await?
            {
                return Ok(None);
            }
            unit.commit().await?;
        }
        Ok(Some(
            u8::try_from(end.saturating_mul(100) / size).unwrap_or(100),
        ))
    }

    /// Makes the file, where the bytes are those that were announced.
    pub async fn finish(self) -> Result<()> {
        let (id, stores) = (self.upload.id, &self.door.stores);
        if self.position < self.upload.size {
            return self.clear_away().await;
        }
        if self.hash.clone().finish() != self.upload.sha256 {
            return self
                .door
                .refuse(self.owner, id, DirectRefusal::WrongChecksum)
                .await;
        }
        let received = Received {
            id,
            owner: self.owner,
            detected: self.detected,
            size: self.upload.size,
            sha256: self.upload.sha256,
        };
        let purpose =
            Purpose::find(&stores.db, self.owner, &self.upload.name, self.upload.file).await?;
        let presets = self.door.files.presets();
        let bounds = self
            .door
            .files
            .limits()
            .of_owner(&stores.db, self.owner)
            .await?;
        let mut unit = Unit::begin(stores, &by(self.owner)).await?;
        let at = unit.at();
        let kept = keep(&mut unit, &received, &purpose, &bounds, presets).await;
        let refusal = match kept {
            Ok(file) => {
                repository::set_made(unit.connection(), id, file, at).await?;
                return unit.commit().await;
            }
            Err(Error::Interrupted) => {
                drop(unit);
                return self.clear_away().await;
            }
            Err(Error::NotFound) => DirectRefusal::FileGone,
            Err(Error::TypeNotAllowed { .. }) => DirectRefusal::TypeNotAllowed,
            Err(Error::Conflict {
                code: ErrorCode::QuotaExceeded,
                ..
            }) => DirectRefusal::QuotaExceeded,
            Err(Error::Conflict {
                code: ErrorCode::TooManyVersions,
                ..
            }) => DirectRefusal::TooManyVersions,
            Err(error) => return Err(error),
        };
        drop(unit);
        self.door.refuse(self.owner, id, refusal).await
    }

    /// It was given up meanwhile, perhaps before its object was made: then nobody knows of that. Or another verification,
    /// which took this one for dead, was faster: then the object is a file's.
    async fn clear_away(&self) -> Result<()> {
        let stores = &self.door.stores;
        let is_known = blobs::repository::find(&stores.db, self.upload.id)
            .await?
            .is_some();
        if !is_known && reconcile::may_remove(stores).await? {
            stores.objects.delete(&self.source.object_key).await?;
        }
        Ok(())
    }
}

/// What comes of it is the owner's doing.
fn by(owner: UserId) -> Origin {
    Origin::system().by(owner)
}
