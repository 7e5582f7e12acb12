//! An upload: a blob that is received and then made a file, or another version of one.

use bytes::Bytes;
use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::file::{File, FileName};
use plinth_domain::id::{FileId, UserId};
use plinth_domain::job::ScanBlob;
use plinth_domain::preset::Presets;
use plinth_platform::database::PgPool;
use serde_json::json;

use super::blobs::repository as blobs;
use super::blobs::usage::{self, More};
use super::blobs::{Received, Receiver, release};
use super::repository::{self, Content, NewFile};
use super::variants::Derivable;
use super::{Bounds, Files, scans, stripping};
use crate::unit::Unit;
use crate::{Error, Result, Stores};

/// What an upload becomes.
#[derive(Debug, Clone)]
pub(super) enum Purpose {
    File(FileName),
    /// A version of a file, under the name of that file.
    Version(FileId, FileName),
}

impl Purpose {
    /// What an upload of this name becomes, perhaps a version of a file. If that file is gone the name stands, and the end of
    /// the upload refuses it.
    pub(super) async fn find(
        db: &PgPool,
        owner: UserId,
        name: &str,
        file: Option<FileId>,
    ) -> Result<Self> {
        let name = FileName::stored(name.to_owned());
        let Some(id) = file else {
            return Ok(Self::File(name));
        };
        let found = repository::find(db, id, Some(owner)).await?;
        Ok(Self::Version(
            id,
            found.map_or(name, |file| FileName::stored(file.name)),
        ))
    }

    pub(super) fn name(&self) -> &FileName {
        match self {
            Self::File(name) | Self::Version(_, name) => name,
        }
    }
}

/// An upload under way. [`Upload::store`] and [`Upload::finish_all`] make the file; [`Upload::abandon`] leaves nothing of it. One that is
/// dropped is removed by the next clean-up after its time.
pub struct Upload {
    stores: Stores,
    owner: UserId,
    purpose: Purpose,
    bounds: Bounds,
    presets: Presets,
    receiver: Receiver,
    /// What the client says that the bytes hash to.
    expected: Option<[u8; 32]>,
    /// What came, once all of it is stored.
    received: Option<Received>,
}

impl Upload {
    pub(super) async fn begin(
        stores: &Stores,
        files: &Files,
        origin: &Origin,
        owner: UserId,
        purpose: Purpose,
    ) -> Result<Self> {
        let bounds = files.limits().of_owner(&stores.db, owner).await?;
        let mut unit =
            Unit::begin_exempt(stores, origin, "the file that it becomes is audited").await?;
        let receiver =
            Receiver::begin(stores, files.transfers(), &mut unit, owner, &bounds).await?;
        let receiver = receiver.named(purpose.name().clone());
        unit.commit().await?;
        let presets = files.presets().clone();
        Ok(Self {
            stores: stores.clone(),
            owner,
            purpose,
            bounds,
            presets,
            receiver,
            expected: None,
            received: None,
        })
    }

    /// The bytes must have this SHA-256, or there will be no file.
    pub fn expect(&mut self, sha256: [u8; 32]) {
        self.expected = Some(sha256);
    }

    /// Ends when its memory is to be given up for uploads that are faster; with the error to end it with.
    pub fn preempted(&self) -> impl Future<Output = Error> + Send + use<> {
        self.receiver.preempted()
    }

    /// Takes the next bytes; waits while S3 is slower than the client, and for memory.
    ///
    /// # Errors
    /// [`Error::Busy`] if there is no memory for it.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.receiver.write(bytes).await
    }

    /// Stores the last of the bytes; no more come.
    pub async fn store(&mut self) -> Result<()> {
        let received = self.receiver.store().await?;
        if self
            .expected
            .is_some_and(|expected| expected != received.sha256)
        {
            return Err(Error::DigestMismatch);
        }
        self.received = Some(received);
        Ok(())
    }

    /// Makes the files out of what was stored, in one transaction. Where that fails nothing is left of any.
    pub async fn finish_all(uploads: Vec<Self>, origin: &Origin) -> Result<Vec<File>> {
        match Self::try_finish(&uploads, origin).await {
            Ok(files) => Ok(files),
            Err(error) => {
                for upload in uploads {
                    upload.abandon().await;
                }
                Err(error)
            }
        }
    }

    async fn try_finish(uploads: &[Self], origin: &Origin) -> Result<Vec<File>> {
        let Some(first) = uploads.first() else {
            return Ok(Vec::new());
        };
        let mut unit = Unit::begin(&first.stores, origin).await?;
        let mut made = Vec::with_capacity(uploads.len());
        for upload in uploads {
            let received = upload.received.as_ref().ok_or(Error::Interrupted)?;
            made.push(
                keep(
                    &mut unit,
                    received,
                    &upload.purpose,
                    &upload.bounds,
                    &upload.presets,
                )
                .await?,
            );
        }
        unit.commit().await?;
        let files = repository::find_all(&first.stores.db, &made, first.owner).await?;
        if files.len() == made.len() {
            Ok(files)
        } else {
            Err(Error::NotFound)
        }
    }

    /// Frees what was stored. What fails here is left to the clean-up.
    pub async fn abandon(self) {
        self.receiver.abandon().await;
    }
}

/// Makes what was received a file or a version of one. Bytes that the owner has already are not kept twice.
pub(super) async fn keep(
    unit: &mut Unit,
    received: &Received,
    purpose: &Purpose,
    bounds: &Bounds,
    presets: &Presets,
) -> Result<FileId> {
    let media_type = received.detected.named(purpose.name().as_str());
    bounds.check_type(media_type)?;
    let owner = received.owner;
    usage::hold(unit.connection(), owner).await?;
    let reserved = blobs::hold_received(unit.connection(), received.id)
        .await?
        .ok_or(Error::Interrupted)?;
    let same = blobs::same(unit.connection(), owner, &received.sha256).await?;
    let at = unit.at();
    let id = match purpose {
        Purpose::File(_) => FileId::mint(at),
        Purpose::Version(file, _) => *file,
    };
    let more = More {
        bytes: if same.is_some() { 0 } else { received.size },
        reserved: if same.is_some() { 0 } else { reserved },
        files: i64::from(matches!(purpose, Purpose::File(_))),
    };
    usage::take(unit.connection(), owner, &more, bounds.quota).await?;
    if same.is_none() {
        store(unit, id, received, bounds, presets).await?;
    }
    let blob = same.unwrap_or(received.id);
    let size = i64::try_from(received.size).map_err(Error::internal)?;
    let content = Content {
        blob,
        media_type,
        size,
    };
    let mut details = json!({ "size": size, "content_type": media_type });
    let action = match purpose {
        Purpose::File(name) => {
            let file = NewFile {
                id,
                owner,
                name: name.as_str(),
                content,
            };
            repository::insert(unit.connection(), &file, at).await?;
            Action::FileUploaded
        }
        Purpose::Version(file, _) => {
            bounds.check_versions(unit.connection(), *file).await?;
            let number =
                repository::add_version(unit.connection(), *file, owner, content, at).await?;
            details["version"] = number.ok_or(Error::NotFound)?.into();
            Action::FileVersionAdded
        }
    };
    unit.audit_with(action, Target::File(id), Outcome::Success, details)
        .await?;
    if let Some(same) = same {
        // What came is given up, with what was set aside for it.
        release(unit, received.id).await?;
        scans::joined(unit, same, owner, id).await?;
        if bounds.strips_metadata {
            stripping::joined(unit, same, owner, id).await?;
        }
    }
    Ok(id)
}

async fn store(
    unit: &mut Unit,
    file: FileId,
    received: &Received,
    bounds: &Bounds,
    presets: &Presets,
) -> Result<()> {
    let at = unit.at();
    let Received {
        id,
        owner,
        detected,
        ..
    } = *received;
    let content_type = detected.media_type;
    let metadata = bounds.metadata(content_type);
    if unit.stores().antivirus.clamd().is_some() {
        // What comes next comes with the verdict.
        let job = unit.enqueue(&ScanBlob { blob_id: id }).await?;
        return blobs::set_stored(unit.connection(), received, Some(job), metadata, at).await;
    }
    blobs::set_stored(unit.connection(), received, None, metadata, at).await?;
    stripping::go_on(
        unit,
        Derivable {
            file,
            blob: id,
            owner,
            content_type,
        },
        metadata,
        presets,
    )
    .await
}
