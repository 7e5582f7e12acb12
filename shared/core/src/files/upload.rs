//! One upload: bytes come in, parts go out to S3, and memory stays at two parts whatever the size.

use bytes::{Bytes, BytesMut};
use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::file::{File, FileName};
use plinth_domain::id::{FileId, UserId};
use plinth_domain::job::MakeThumbnails;
use plinth_domain::preset::{self, Presets};
use plinth_object_store::{ObjectError, Part};
use plinth_platform::crypto::Sha256;
use serde_json::json;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use super::repository::{self, NewFile, Stored};
use super::sniff;
use crate::unit::Unit;
use crate::{Error, Result, Stores};

/// Bytes of one part: S3 takes 10,000 parts of at least 5 MiB, so 80 GB is the largest file.
const PART: usize = 8 * 1024 * 1024;

/// An upload under way. [`Upload::finish`] makes the file; [`Upload::abandon`] leaves nothing of it. One that is
/// dropped is removed by the next clean-up after its time.
pub struct Upload {
    stores: Stores,
    id: FileId,
    owner: UserId,
    object_key: String,
    limit: u64,
    presets: Presets,
    size: u64,
    hash: Sha256,
    beginning: Vec<u8>,
    pending: BytesMut,
    parts: Option<Parts>,
}

/// The side of an upload that is in parts.
struct Parts {
    upload: String,
    sent: Vec<Part>,
    /// The part on its way while the next one fills.
    sending: Option<JoinHandle<Result<Part, ObjectError>>>,
    next: i32,
}

impl Upload {
    pub(super) async fn begin(
        stores: &Stores,
        origin: &Origin,
        owner: UserId,
        name: &FileName,
        limit: u64,
        presets: &Presets,
    ) -> Result<Self> {
        let mut unit = Unit::begin(stores, origin).await?;
        let at = unit.at();
        let id = FileId::mint(at);
        let object_key = format!("files/{id}/original");
        let file = NewFile { id, owner, name: name.as_str(), object_key: &object_key };
        if !repository::begin(unit.connection(), &file, at).await? {
            return Err(Error::NotFound);
        }
        unit.commit().await?;
        Ok(Self {
            stores: stores.clone(),
            id,
            owner,
            object_key,
            limit,
            presets: presets.clone(),
            size: 0,
            hash: Sha256::default(),
            beginning: Vec::new(),
            pending: BytesMut::new(),
            parts: None,
        })
    }

    /// Takes the next bytes; waits while S3 is slower than the client.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<()> {
        self.size += bytes.len() as u64;
        if self.size > self.limit {
            return Err(Error::TooLarge { limit: self.limit });
        }
        self.hash.update(&bytes);
        let wanted = sniff::ENOUGH.saturating_sub(self.beginning.len()).min(bytes.len());
        self.beginning.extend_from_slice(&bytes[..wanted]);
        while !bytes.is_empty() {
            let room = PART - self.pending.len();
            self.pending.extend_from_slice(&bytes.split_to(room.min(bytes.len())));
            if self.pending.len() == PART {
                self.send_part().await?;
            }
        }
        Ok(())
    }

    /// Makes the file out of what was written.
    pub async fn finish(mut self, origin: &Origin) -> Result<File> {
        let content_type = sniff::content_type(&self.beginning);
        if let Err(error) = self.store_rest(content_type).await {
            self.abandon().await;
            return Err(error);
        }
        let sha256 = std::mem::take(&mut self.hash).finish();
        let size = i64::try_from(self.size).map_err(Error::internal)?;
        let stored = Stored { content_type, size, sha256: &sha256 };
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let at = unit.at();
        if !repository::finish(unit.connection(), self.id, &stored, at).await? {
            // The clean-up took it for abandoned, and may have been done before the last byte came.
            self.stores.objects.delete(&self.object_key).await?;
            return Err(Error::Interrupted);
        }
        if preset::is_image(content_type) {
            repository::expect_variants(unit.connection(), self.id, &self.presets, at).await?;
            unit.enqueue(&MakeThumbnails { file_id: self.id }).await?;
        }
        let details = json!({ "size": size, "content_type": content_type });
        unit.audit_with(Action::FileUploaded, Target::File(self.id), Outcome::Success, details).await?;
        unit.commit().await?;
        repository::find(&self.stores.db, self.id, Some(self.owner)).await?.ok_or(Error::NotFound)
    }

    /// Frees what was stored. What fails here is left to the clean-up.
    pub async fn abandon(mut self) {
        // A part that arrived after the end of its upload would be nobody's.
        if let Some(sending) = self.parts.as_mut().and_then(|parts| parts.sending.take()) {
            let _ = sending.await;
        }
        if let Err(error) = super::removal::discard(&self.stores, self.id).await {
            tracing::warn!(%error, file.id = %self.id, "a broken upload waits for the clean-up");
        }
    }

    async fn store_rest(&mut self, content_type: &str) -> Result<()> {
        if self.parts.is_none() {
            let bytes = std::mem::take(&mut self.pending).freeze();
            return Ok(self.stores.objects.put(&self.object_key, bytes, content_type).await?);
        }
        if !self.pending.is_empty() {
            self.send_part().await?;
        }
        if let Some(parts) = &mut self.parts {
            parts.settle().await?;
            let sent = std::mem::take(&mut parts.sent);
            self.stores.objects.finish_parts(&self.object_key, &parts.upload, sent).await?;
        }
        Ok(())
    }

    async fn send_part(&mut self) -> Result<()> {
        // The next part gets its room at once: growing to it would hold it twice.
        let bytes = std::mem::replace(&mut self.pending, BytesMut::with_capacity(PART)).freeze();
        if self.parts.is_none() {
            let upload = self.stores.objects.begin_parts(&self.object_key).await?;
            repository::note_parts(&self.stores.db, self.id, &upload).await?;
            self.parts = Some(Parts { upload, sent: Vec::new(), sending: None, next: 1 });
        }
        let parts = self.parts.as_mut().expect("it was just set");
        parts.settle().await?;
        let (objects, key, upload) =
            (self.stores.objects.clone(), self.object_key.clone(), parts.upload.clone());
        let number = parts.next;
        parts.next += 1;
        let send = async move { objects.put_part(&key, &upload, number, bytes).await };
        parts.sending = Some(tokio::spawn(send.in_current_span()));
        Ok(())
    }
}

impl Parts {
    /// Waits for the part on its way.
    async fn settle(&mut self) -> Result<()> {
        if let Some(sending) = self.sending.take() {
            self.sent.push(sending.await.map_err(Error::internal)??);
        }
        Ok(())
    }
}
