//! The door to direct uploads. One of somebody else does not exist.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::file::FileName;
use plinth_domain::id::{BlobId, FileId, UserId};
use plinth_domain::job::VerifyDirectUpload;
use plinth_domain::rejection::Rejection;
use plinth_object_store::{ListedPart, SignedRequest};
use serde_json::json;
use time::OffsetDateTime;

use super::repository::{self, Found, Object};
use super::{DirectState, DirectUpload, part_size};
use crate::files::blobs::{self, usage};
use crate::files::{Bounds, Files, unfinished};
use crate::unit::Unit;
use crate::{Error, Result, Stores};

/// How long what is signed can be sent.
const SIGNED_FOR: Duration = Duration::from_hours(1);

/// Parts that are signed in one answer.
pub const MOST_SIGNED: usize = 100;

/// The request of one part.
#[derive(Debug, Clone)]
pub struct SignedPart {
    /// 1 for the first.
    pub number: u64,
    /// Bytes.
    pub size: u64,
    pub request: SignedRequest,
    pub expires_at: OffsetDateTime,
}

/// The door. Clones share the stores.
#[derive(Clone)]
pub struct DirectUploads {
    stores: Stores,
    files: Files,
}

impl DirectUploads {
    pub fn new(stores: &Stores, files: &Files) -> Self {
        Self {
            stores: stores.clone(),
            files: files.clone(),
        }
    }

    /// Begins an upload of so many bytes with this SHA-256, of a new file or of a version of one. What it may take is set
    /// aside at once.
    ///
    /// # Errors
    /// [`Error::Forbidden`] where the deployment allows none, [`Error::Conflict`] where there is no room.
    pub async fn begin(
        &self,
        origin: &Origin,
        owner: UserId,
        name: &FileName,
        file: Option<FileId>,
        size: u64,
        sha256: [u8; 32],
    ) -> Result<DirectUpload> {
        self.check_allowed()?;
        if let Some(file) = file {
            self.files.check_version(owner, file).await?;
        }
        let Bounds {
            size: limit, quota, ..
        } = self.files.limits().of_owner(&self.stores.db, owner).await?;
        if size > limit {
            return Err(Error::TooLarge { limit });
        }
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let (id, key) = blobs::begin_direct(&mut unit, owner, size, quota).await?;
        if file.is_none() {
            usage::check_count(unit.connection(), owner, quota).await?;
        }
        let upload = DirectUpload {
            id,
            name: name.as_str().to_owned(),
            file,
            size,
            sha256,
            part_size: part_size(size),
            state: DirectState::Waiting,
            job: None,
            updated_at: unit.at(),
        };
        repository::insert(unit.connection(), &upload, owner).await?;
        unfinished::check(unit.connection(), owner, self.files.limits().unfinished()).await?;
        let details = json!({ "kind": "direct", "size": size });
        unit.audit_with(
            Action::UploadBegun,
            Target::Upload(id),
            Outcome::Success,
            details,
        )
        .await?;
        unit.commit().await?;
        if upload.part_count() > 1
            && let Err(error) = self.begin_parts(id, &key).await
        {
            blobs::discard(&self.stores, &Origin::system(), id).await?;
            return Err(error);
        }
        Ok(upload)
    }

    async fn begin_parts(&self, id: BlobId, key: &str) -> Result<()> {
        let parts = self.stores.objects.begin_parts(key).await?;
        blobs::repository::note_parts(&self.stores.db, id, &parts).await?;
        Ok(())
    }

    /// How far an upload is.
    pub async fn find(&self, owner: UserId, id: BlobId) -> Result<DirectUpload> {
        Ok(self.found(owner, id).await?.upload)
    }

    async fn found(&self, owner: UserId, id: BlobId) -> Result<Found> {
        repository::find(&self.stores.db, id, Some(owner))
            .await?
            .ok_or(Error::NotFound)
    }

    /// Signs the requests of these parts; of an upload that is sent in one request, number 1 is the whole.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there is no such part, [`Error::Conflict`] where the client said that all are sent.
    pub async fn sign(
        &self,
        owner: UserId,
        id: BlobId,
        numbers: &[u64],
    ) -> Result<Vec<SignedPart>> {
        let Found { upload, object, .. } = self.found(owner, id).await?;
        self.check_allowed()?;
        let object = object
            .filter(|_| upload.state == DirectState::Waiting)
            .ok_or_else(|| over(&upload))?;
        if numbers.is_empty() || numbers.len() > MOST_SIGNED {
            let detail = format!("From 1 to {MOST_SIGNED} parts are signed at once.");
            return Err(Error::invalid(
                "/numbers",
                Rejection::new("out_of_range", detail),
            ));
        }
        let mut signed = Vec::with_capacity(numbers.len());
        for (index, number) in numbers.iter().copied().enumerate() {
            if number == 0 || number > upload.part_count() {
                let detail = format!("The upload has parts 1 to {}.", upload.part_count());
                let pointer = format!("/numbers/{index}");
                return Err(Error::invalid(
                    &pointer,
                    Rejection::new("out_of_range", detail),
                ));
            }
            signed.push(self.sign_one(&upload, &object, number).await?);
        }
        Ok(signed)
    }

    async fn sign_one(
        &self,
        upload: &DirectUpload,
        object: &Object,
        number: u64,
    ) -> Result<SignedPart> {
        let (objects, size) = (&self.stores.objects, upload.size_of(number));
        let expires_at = self.stores.clock.now() + SIGNED_FOR;
        let request = match &object.parts {
            Some(parts) => {
                let number = i32::try_from(number).map_err(Error::internal)?;
                objects
                    .sign_part(&object.key, parts, number, size, SIGNED_FOR)
                    .await?
            }
            // Its process died before it had begun the parts, and nobody was told of it.
            None if upload.part_count() > 1 => return Err(Error::NotFound),
            None => {
                let sha256 = STANDARD.encode(upload.sha256);
                objects
                    .sign_put(&object.key, size, &sha256, SIGNED_FOR)
                    .await?
            }
        };
        Ok(SignedPart {
            number,
            size,
            request,
            expires_at,
        })
    }

    /// The client says that all bytes are there: they are verified from now on. Said again, nothing changes.
    ///
    /// # Errors
    /// [`Error::Conflict`] with `not_uploaded` where the object store has not all of them; the upload goes on.
    pub async fn complete(
        &self,
        origin: &Origin,
        owner: UserId,
        id: BlobId,
    ) -> Result<DirectUpload> {
        let Found { upload, object, .. } = self.found(owner, id).await?;
        match (&upload.state, &object) {
            (DirectState::Waiting, Some(object)) => self.check_sent(&upload, object).await?,
            (DirectState::Refused(_), _) => return Err(over(&upload)),
            _ => return Ok(upload),
        }
        self.ask_for_verification(origin, id).await?;
        self.find(owner, id).await
    }

    /// Said twice at once, one of the two asks for the job.
    async fn ask_for_verification(&self, origin: &Origin, id: BlobId) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let at = unit.at();
        let job = unit.enqueue(&VerifyDirectUpload { upload: id }).await?;
        if repository::set_verifying(unit.connection(), id, job, at).await? {
            unit.audit(Action::UploadSent, Target::Upload(id), Outcome::Success)
                .await?;
            unit.commit().await?;
        }
        Ok(())
    }

    /// A courtesy: what is missing can still be sent.
    async fn check_sent(&self, upload: &DirectUpload, object: &Object) -> Result<()> {
        let is_there = match &object.parts {
            Some(parts) => is_whole(
                upload,
                &self.stores.objects.list_parts(&object.key, parts).await?,
            ),
            None => self.stores.objects.head(&object.key).await?.is_some(),
        };
        if is_there {
            return Ok(());
        }
        let detail = "The object store has not got every part, each with its size.".to_owned();
        Err(Error::Conflict {
            code: ErrorCode::NotUploaded,
            detail,
        })
    }

    /// Gives an upload up; nothing of it stays. A file that it has become is not touched.
    pub async fn abandon(&self, origin: &Origin, owner: UserId, id: BlobId) -> Result<()> {
        if self.found(owner, id).await?.object.is_none() {
            return Err(Error::NotFound);
        }
        blobs::discard(&self.stores, origin, id).await
    }

    fn check_allowed(&self) -> Result<()> {
        if self.files.direct().uploads {
            return Ok(());
        }
        let detail = "This deployment takes no direct uploads.".to_owned();
        Err(Error::Forbidden {
            code: ErrorCode::DirectUploadsOff,
            detail,
        })
    }
}

/// Whether every part is there with the size that it should have.
pub(super) fn is_whole(upload: &DirectUpload, parts: &[ListedPart]) -> bool {
    let expected = (1..=upload.part_count()).map(|number| (number, upload.size_of(number)));
    expected.eq(parts.iter().map(|listed| {
        (
            u64::try_from(listed.part.number()).unwrap_or(0),
            listed.size,
        )
    }))
}

fn over(upload: &DirectUpload) -> Error {
    let detail = format!("The upload is {}.", upload.state.name());
    Error::Conflict {
        code: ErrorCode::UploadOver,
        detail,
    }
}
