//! Receiving: bytes come in, sealed parts go out to S3, and memory stays at two parts whatever the size.

use bytes::Bytes;
use plinth_domain::audit::Origin;
use plinth_domain::file::FileName;
use plinth_domain::id::{BlobId, UserId};
use plinth_object_store::{ObjectError, Part};
use plinth_platform::crypto::{ChunkCipher, DataKey, Sha256};
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use super::part::{PART, PART_CHUNKS, PartBuffer};
use super::repository::{self, NewBlob};
use super::transfers::{Transfer, Transfers};
use super::usage;
use super::{context, folder};
use crate::files::Bounds;
use crate::files::sniff::{self, Detected};
use crate::unit::Unit;
use crate::{Error, Result, Stores};

/// S3 takes no more parts of one object.
pub(in crate::files) const LARGEST: u64 = 10_000 * PART as u64;

/// What one writer begins with; others follow only where an upload is resumed.
const FIRST_SEGMENT: u32 = 1;

/// What is known of a blob that was received.
#[derive(Debug)]
pub(in crate::files) struct Received {
    pub(in crate::files) id: BlobId,
    pub(in crate::files) owner: UserId,
    pub(in crate::files) detected: Detected,
    pub(in crate::files) size: u64,
    pub(in crate::files) sha256: [u8; 32],
}

/// A blob on its way. [`Receiver::store`] ends it, and it is still to be made somebody's; [`Receiver::abandon`] leaves
/// nothing of it. One that is dropped is removed by the clean-up after its time.
pub(in crate::files) struct Receiver {
    stores: Stores,
    transfer: Transfer,
    id: BlobId,
    owner: UserId,
    /// Of the file that it becomes, if that is known.
    name: Option<FileName>,
    object_key: String,
    chunks: ChunkCipher,
    bounds: Bounds,
    size: u64,
    /// Bytes of it in parts.
    sent: u64,
    hash: Sha256,
    beginning: Vec<u8>,
    part: PartBuffer,
    /// Its first chunk's place in the content.
    index: u32,
    parts: Option<Parts>,
}

/// The side of a blob that is in parts.
struct Parts {
    upload: String,
    sent: Vec<Part>,
    /// The part on its way while the next one fills.
    sending: Option<JoinHandle<Result<Part, ObjectError>>>,
    next: i32,
}

impl Receiver {
    /// Begins one within the bounds of its owner. Not found when the owner's account is deleted.
    pub(in crate::files) async fn begin(
        stores: &Stores,
        transfers: &Transfers,
        unit: &mut Unit,
        owner: UserId,
        bounds: &Bounds,
    ) -> Result<Self> {
        let at = unit.at();
        let id = BlobId::mint(at);
        let object_key = format!("{}content", folder(id));
        let key = DataKey::generate();
        let wrapped = stores
            .keys
            .wrap(&context(id), &key)
            .await
            .map_err(Error::internal)?;
        let blob = NewBlob {
            id,
            owner,
            object_key: &object_key,
            key: Some(&wrapped),
        };
        if !repository::begin(unit.connection(), &blob, at).await? {
            return Err(Error::NotFound);
        }
        Ok(Self {
            stores: stores.clone(),
            transfer: transfers.begin(owner),
            id,
            owner,
            name: None,
            object_key,
            chunks: ChunkCipher::new(&key, *id.0.as_bytes()),
            bounds: Bounds {
                size: bounds.size.min(LARGEST),
                ..bounds.clone()
            },
            size: 0,
            sent: 0,
            hash: Sha256::default(),
            beginning: Vec::new(),
            part: PartBuffer::default(),
            index: 0,
            parts: None,
        })
    }

    /// Takes the file's name into account when the type is checked.
    pub(in crate::files) fn named(self, name: FileName) -> Self {
        Self {
            name: Some(name),
            ..self
        }
    }

    pub(in crate::files) fn id(&self) -> BlobId {
        self.id
    }

    /// Takes the next bytes; waits while S3 is slower than the client, and for memory.
    ///
    /// # Errors
    /// [`Error::Busy`] if there is no memory for it.
    pub(in crate::files) async fn write(&mut self, mut bytes: Bytes) -> Result<()> {
        self.size += bytes.len() as u64;
        if self.size > self.bounds.size {
            return Err(Error::TooLarge {
                limit: self.bounds.size,
            });
        }
        self.hash.update(&bytes);
        let wanted = sniff::ENOUGH
            .saturating_sub(self.beginning.len())
            .min(bytes.len());
        self.beginning.extend_from_slice(&bytes[..wanted]);
        while !bytes.is_empty() {
            // Only now is it known that the full part is not the last.
            if self.part.is_full() {
                self.send_part(false).await?;
            }
            self.part.make_room(&self.transfer, bytes.len()).await?;
            let before = bytes.len();
            self.part.fill(&mut bytes);
            self.part.count(before - bytes.len())?;
        }
        Ok(())
    }

    /// Ends when its memory is to be given up for uploads that are faster; with the error to end it with.
    pub(in crate::files) fn preempted(&self) -> impl Future<Output = Error> + Send + use<> {
        self.part.preempted()
    }

    /// Stores the rest. What was received is nobody's yet.
    pub(in crate::files) async fn store(&mut self) -> Result<Received> {
        if self.parts.is_none() {
            let bytes = self.part.take().seal(&self.chunks, FIRST_SEGMENT, 0, true);
            self.stores
                .objects
                .put(&self.object_key, bytes, "application/octet-stream")
                .await?;
        } else {
            self.send_part(true).await?;
        }
        if let Some(parts) = &mut self.parts {
            parts.settle().await?;
            let sent = std::mem::take(&mut parts.sent);
            self.stores
                .objects
                .finish_parts(&self.object_key, &parts.upload, sent)
                .await?;
        }
        Ok(Received {
            id: self.id,
            owner: self.owner,
            detected: sniff::detect(&self.beginning),
            size: self.size,
            sha256: std::mem::take(&mut self.hash).finish(),
        })
    }

    /// Frees what was stored. What fails here is left to the clean-up.
    pub(in crate::files) async fn abandon(mut self) {
        // Others may wait for its memory.
        drop(self.part.take());
        // A part that arrived after the end of its upload would be nobody's.
        if let Some(sending) = self.parts.as_mut().and_then(|parts| parts.sending.take()) {
            let _ = sending.await;
        }
        if let Err(error) = super::discard(&self.stores, &Origin::system(), self.id).await {
            tracing::warn!(%error, blob.id = %self.id, "a broken upload waits for the clean-up");
        }
    }

    async fn send_part(&mut self, is_last: bool) -> Result<()> {
        if self.parts.is_none() {
            // Here already, so that nobody sends gigabytes in vain.
            let detected = sniff::detect(&self.beginning);
            let name = self.name.as_ref().map_or("", FileName::as_str);
            self.bounds.check_type(detected.named(name))?;
            let upload = self.stores.objects.begin_parts(&self.object_key).await?;
            repository::note_parts(&self.stores.db, self.id, &upload).await?;
            self.parts = Some(Parts {
                upload,
                sent: Vec::new(),
                sending: None,
                next: 1,
            });
        }
        let part = self.part.take();
        self.sent += part.len() as u64;
        usage::reserve(
            &self.stores,
            self.owner,
            self.id,
            self.sent,
            self.bounds.quota,
        )
        .await?;
        let parts = self.parts.as_mut().expect("it was just set");
        parts.settle().await?;
        let bytes = part.seal(&self.chunks, FIRST_SEGMENT, self.index, is_last);
        self.index += PART_CHUNKS;
        let (objects, key, upload) = (
            self.stores.objects.clone(),
            self.object_key.clone(),
            parts.upload.clone(),
        );
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
