//! One stretch of a resumable upload: what comes goes into parts, and what is left over at its end into the tail.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use plinth_domain::audit::Origin;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::file::File;
use plinth_domain::id::UserId;
use plinth_domain::job::FinishUpload;
use plinth_domain::preset::Presets;
use plinth_object_store::{ObjectError, Part};
use plinth_platform::crypto::{CHUNK_BYTES, ChunkCipher, DataKey, ResumableSha256, sealed_size};

use super::Resumable;
use super::repository::{self as uploads, Claimed, Progress};
use crate::files::blobs::usage;
use crate::files::blobs::{self, PART_CHUNKS, PartBuffer, Received, Source, Transfer};
use crate::files::sniff::{self, Detected};
use crate::files::upload::{Purpose, keep};
use crate::files::{Bounds, Files, UploadSlot, reconcile, repository};
use crate::unit::Unit;
use crate::{Error, Result, Stores, access};

/// The worker makes the file of an upload whose process has not made it after so long.
const FINISHED_BY_WORKER_AFTER: Duration = Duration::from_mins(1);

/// A stretch under way. It ends with [`Writer::pause`] or [`Writer::finish`]; dropped, it was in vain, except for the parts
/// that were written down.
pub struct Writer {
    stores: Stores,
    transfer: Transfer,
    presets: Presets,
    owner: UserId,
    _slot: UploadSlot,
    upload: Resumable,
    purpose: Purpose,
    /// Its number among those who wrote to the upload.
    number: i32,
    object_key: String,
    multipart_upload_id: Option<String>,
    key: DataKey,
    chunks: Arc<ChunkCipher>,
    segments: Vec<u32>,
    bounds: Bounds,
    /// Bytes that are set aside for it.
    reserved: u64,
    /// Over all bytes in parts.
    hash: ResumableSha256,
    part: PartBuffer,
    /// The first chunk of the part that fills.
    index: u32,
    /// Parts that S3 has taken and the database does not know of.
    unrecorded: Vec<Part>,
    /// Nothing is written down before the end of the stretch.
    whole_or_nothing: bool,
    /// Whose tail is kept; 0 where there is none.
    tail_of: i32,
    /// Set where only the object is still to be made of its parts.
    sha256: Option<[u8; 32]>,
}

impl Writer {
    pub(super) async fn resume(
        stores: &Stores,
        files: &Files,
        slot: UploadSlot,
        claimed: Claimed,
        bounds: Bounds,
        whole_or_nothing: bool,
    ) -> Result<Self> {
        let (id, owner) = (claimed.upload.id, slot.owner());
        let key = stores
            .keys
            .unwrap(&blobs::context(id), &claimed.key)
            .await
            .map_err(Error::internal)?;
        let hash = match &claimed.hash_state {
            Some(state) => ResumableSha256::restore(state)
                .ok_or_else(|| Error::internal("a hash's state is none"))?,
            None => ResumableSha256::default(),
        };
        let Resumable { name, file, .. } = &claimed.upload;
        let purpose = Purpose::find(&stores.db, owner, name, *file).await?;
        let index = claimed.segments.last().copied().unwrap_or(0);
        let mut writer = Self {
            stores: stores.clone(),
            transfer: files.transfers().begin(owner),
            presets: files.presets().clone(),
            owner,
            _slot: slot,
            chunks: Arc::new(ChunkCipher::new(&key, *id.0.as_bytes())),
            key,
            upload: claimed.upload,
            purpose,
            number: claimed.writer,
            object_key: claimed.object_key,
            multipart_upload_id: claimed.multipart_upload_id,
            segments: claimed.segments,
            bounds,
            reserved: claimed.reserved,
            hash,
            part: PartBuffer::default(),
            index,
            unrecorded: Vec::new(),
            whole_or_nothing,
            tail_of: claimed.tail_writer,
            sha256: claimed.sha256,
        };
        writer.read_tail().await?;
        Ok(writer)
    }

    /// Whether all bytes have come.
    pub fn is_whole(&self) -> bool {
        self.upload.is_whole()
    }

    /// Ends when its memory is to be given up for uploads that are faster; with the error to end the request with. What
    /// has come can be kept by [`Writer::pause`].
    pub fn preempted(&self) -> impl Future<Output = Error> + Send + use<> {
        self.part.preempted()
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Error::Busy`] if there is no memory for it; what came before can be kept by [`Writer::pause`].
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<()> {
        let position = self.upload.position + bytes.len() as u64;
        let limit = self.upload.length.unwrap_or(self.bounds.size);
        if position > limit {
            return Err(Error::TooLarge { limit });
        }
        while !bytes.is_empty() {
            // Only now is it known that the full part is not the last.
            if self.part.is_full() {
                self.send_part(false).await?;
            }
            self.part.make_room(&self.transfer, bytes.len()).await?;
            let before = bytes.len();
            self.part.fill(&mut bytes);
            let taken = before - bytes.len();
            self.upload.position += taken as u64;
            self.part.count(taken)?;
        }
        Ok(())
    }

    /// Keeps what has come, so that it can be gone on with; how many bytes there are.
    pub async fn pause(mut self) -> Result<u64> {
        let stale = self.tail_of;
        self.tail_of = 0;
        if self.part.len() > 0 {
            self.reserve().await?;
            self.store_tail().await?;
            self.tail_of = self.number;
        }
        self.record(self.upload.position, self.tail_of).await?;
        if stale > 0 && stale != self.tail_of {
            self.remove_tail(stale).await;
        }
        Ok(self.upload.position)
    }

    /// Makes the file of what has come, all of it. If the session or API key of the request has ended since it was
    /// admitted, nothing of the upload stays.
    pub async fn finish(mut self, origin: &Origin) -> Result<File> {
        let finished = self.try_finish(origin).await;
        // A worker would make the file of an upload that is whole.
        if let Err(Error::Unauthenticated { .. }) = &finished
            && let Err(error) =
                blobs::discard(&self.stores, &Origin::system(), self.upload.id).await
        {
            tracing::warn!(%error, blob.id = %self.upload.id, "a refused upload waits for the clean-up");
        }
        finished
    }

    async fn try_finish(&mut self, origin: &Origin) -> Result<File> {
        let received = self.store(origin).await?;
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let file = keep(
            &mut unit,
            &received,
            &self.purpose,
            &self.bounds,
            &self.presets,
        )
        .await?;
        if !uploads::set_made(unit.connection(), self.upload.id, self.number, file).await? {
            return Err(taken_over());
        }
        unit.commit().await?;
        if self.tail_of > 0 {
            self.remove_tail(self.tail_of).await;
        }
        repository::find(&self.stores.db, file, Some(self.owner))
            .await?
            .ok_or(Error::NotFound)
    }

    async fn store(&mut self, origin: &Origin) -> Result<Received> {
        if let Some(sha256) = self.sha256 {
            // Somebody came this far before.
            let detected = self.make_object().await?;
            return Ok(self.received(sha256, detected));
        }
        if self.index == 0 {
            let part = self.part.take();
            part.chunks().for_each(|chunk| self.hash.update(chunk));
            let detected = sniff::detect(part.chunks().next().unwrap_or_default());
            let bytes = part.seal(&self.chunks, self.segment()?, 0, true);
            self.reserve().await?;
            self.stores
                .objects
                .put(&self.object_key, bytes, "application/octet-stream")
                .await?;
            let sha256 = std::mem::take(&mut self.hash).finish();
            return Ok(self.received(sha256, detected));
        }
        self.send_part(true).await?;
        let sha256 = self.hash.clone().finish();
        // From here on the object can be made by anybody: it is written down before it is asked for.
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        self.record_in(&mut unit, self.upload.position, 0).await?;
        if !uploads::set_whole(unit.connection(), self.upload.id, self.number, &sha256).await? {
            return Err(taken_over());
        }
        // A client that sees all bytes kept sends no more: if this process dies, a worker makes the file.
        unit.enqueue_later(
            &FinishUpload {
                upload: self.upload.id,
            },
            FINISHED_BY_WORKER_AFTER,
        )
        .await?;
        access::require_standing(unit.connection(), origin, self.stores.clock.now()).await?;
        unit.commit().await?;
        self.sha256 = Some(sha256);
        let detected = self.make_object().await?;
        Ok(self.received(sha256, detected))
    }

    /// Makes the object of its parts, unless that was done before; the type that its first bytes show.
    async fn make_object(&self) -> Result<Detected> {
        let upload = self
            .multipart_upload_id
            .as_deref()
            .ok_or_else(|| Error::internal("no parts were begun"))?;
        let parts = uploads::parts(&self.stores.db, self.upload.id).await?;
        let made = self
            .stores
            .objects
            .finish_parts(&self.object_key, upload, parts)
            .await;
        match made {
            Ok(()) => {}
            Err(ObjectError::PartsLost) if self.is_made().await? => {}
            Err(ObjectError::PartsLost) => return Err(self.begin_anew(upload).await?),
            Err(error) => return Err(error.into()),
        }
        let source = Source {
            object_key: self.object_key.clone(),
            size: self.upload.position,
            chunks: Some(self.chunks.clone()),
            segments: self.segments.clone(),
            etag: None,
        };
        Ok(blobs::detect(&self.stores.objects, source).await?)
    }

    /// Whether somebody made the object before.
    async fn is_made(&self) -> Result<bool> {
        let size = self.stores.objects.size(&self.object_key).await?;
        Ok(size == Some(sealed_size(self.upload.position)))
    }

    /// S3 has other parts than those that were written down, as where somebody who was taken for dead wrote a part after
    /// all: the client sends it all again. What is told to the client.
    async fn begin_anew(&self, parts: &str) -> Result<Error> {
        tracing::warn!(upload.id = %self.upload.id, "the parts of an upload are not those that were kept");
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        uploads::reset(unit.connection(), self.upload.id, self.number).await?;
        unit.commit().await?;
        if reconcile::may_remove(&self.stores).await? {
            self.stores
                .objects
                .abort_parts(&self.object_key, parts)
                .await?;
        }
        let detail = "The upload begins anew: what was kept of it cannot be used.";
        Ok(Error::UploadOffset { offset: 0, detail })
    }

    fn received(&self, sha256: [u8; 32], detected: Detected) -> Received {
        Received {
            id: self.upload.id,
            owner: self.owner,
            detected,
            size: self.upload.position,
            sha256,
        }
    }

    fn segment(&self) -> Result<u32> {
        u32::try_from(self.number).map_err(Error::internal)
    }

    async fn send_part(&mut self, is_last: bool) -> Result<()> {
        let part = self.part.take();
        if self.index == 0 {
            // Here already, so that nobody sends gigabytes in vain.
            let detected = sniff::detect(part.chunks().next().unwrap_or_default());
            self.bounds
                .check_type(detected.named(self.purpose.name().as_str()))?;
        }
        self.reserve().await?;
        let upload = self.parts_of_object().await?;
        if !uploads::is_of(&self.stores.db, self.upload.id, self.number).await? {
            return Err(taken_over());
        }
        let number = i32::try_from(self.index / PART_CHUNKS).map_err(Error::internal)? + 1;
        part.chunks().for_each(|chunk| self.hash.update(chunk));
        let bytes = part.seal(&self.chunks, self.segment()?, self.index, is_last);
        let sent = self
            .stores
            .objects
            .put_part(&self.object_key, &upload, number, bytes)
            .await?;
        self.index += PART_CHUNKS;
        self.unrecorded.push(sent);
        if self.whole_or_nothing || is_last {
            return Ok(());
        }
        // So that whoever dies with a stretch of many parts loses one.
        self.record(self.in_parts(), 0).await
    }

    /// Sets aside what has come, unless the whole was when the upload began.
    async fn reserve(&mut self) -> Result<()> {
        let position = self.upload.position;
        if self.reserved < position {
            usage::reserve(
                &self.stores,
                self.owner,
                self.upload.id,
                position,
                self.bounds.quota,
            )
            .await?;
            self.reserved = position;
        }
        Ok(())
    }

    async fn parts_of_object(&mut self) -> Result<String> {
        if let Some(upload) = &self.multipart_upload_id {
            return Ok(upload.clone());
        }
        let upload = self.stores.objects.begin_parts(&self.object_key).await?;
        blobs::repository::note_parts(&self.stores.db, self.upload.id, &upload).await?;
        self.multipart_upload_id = Some(upload.clone());
        Ok(upload)
    }

    /// Bytes that are in parts, where the last one is full.
    fn in_parts(&self) -> u64 {
        u64::from(self.index) * CHUNK_BYTES as u64
    }

    async fn record(&mut self, position: u64, tail_writer: i32) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        self.record_in(&mut unit, position, tail_writer).await?;
        unit.commit().await?;
        self.unrecorded.clear();
        Ok(())
    }

    async fn record_in(&self, unit: &mut Unit, position: u64, tail_writer: i32) -> Result<()> {
        let progress = Progress {
            position,
            tail_writer,
            hash_state: &self.hash.save(),
            parts: &self.unrecorded,
        };
        if uploads::record(unit.connection(), self.upload.id, self.number, &progress).await? {
            Ok(())
        } else {
            Err(taken_over())
        }
    }

    /// Each writer's tail has a key and a name of its own.
    fn tail(&self, writer: i32) -> (String, ChunkCipher) {
        let key = self
            .key
            .derive(&[b"plinth upload tail v1", &writer.to_be_bytes()]);
        let name = format!("{}tail-{writer}", blobs::folder(self.upload.id));
        (name, ChunkCipher::new(&key, *self.upload.id.0.as_bytes()))
    }

    async fn store_tail(&mut self) -> Result<()> {
        let (name, chunks) = self.tail(self.number);
        let bytes = self.part.take().seal(&chunks, 1, 0, true);
        Ok(self
            .stores
            .objects
            .put(&name, bytes, "application/octet-stream")
            .await?)
    }

    async fn read_tail(&mut self) -> Result<()> {
        if self.tail_of == 0 {
            return Ok(());
        }
        let (name, chunks) = self.tail(self.tail_of);
        let size = self.upload.position - self.in_parts();
        let source = Source {
            object_key: name,
            size,
            chunks: Some(Arc::new(chunks)),
            segments: vec![0],
            etag: None,
        };
        let mut stream = blobs::open(&self.stores.objects, source, None).await?;
        let tail = usize::try_from(size).map_err(Error::internal)?;
        self.part.make_room(&self.transfer, tail).await?;
        while let Some(mut bytes) = stream.try_next().await? {
            self.part.fill(&mut bytes);
        }
        Ok(())
    }

    async fn remove_tail(&self, writer: i32) {
        let (name, _) = self.tail(writer);
        let removed = match reconcile::may_remove(&self.stores).await {
            Ok(true) => self.stores.objects.delete(&name).await.map_err(Error::from),
            Ok(false) => return,
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            tracing::warn!(%error, upload.id = %self.upload.id, "a tail stays until its blob goes");
        }
    }
}

fn taken_over() -> Error {
    let detail = "Somebody else goes on with the upload.".to_owned();
    Error::Conflict {
        code: ErrorCode::UploadTakenOver,
        detail,
    }
}
