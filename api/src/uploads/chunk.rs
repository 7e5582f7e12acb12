//! Receives the bytes of one request into an upload.

use plinth_core::files::{Resumables, UploadSlot, Writer};
use plinth_core::{Error, Result as CoreResult};
use plinth_domain::audit::Origin;
use plinth_domain::id::BlobId;
use tracing::Instrument as _;

use super::checksum::Checksum;
use crate::http::failure::{Failure, Result};
use crate::http::upload_body::UploadBody;

/// The chunk of an upload that one request carries.
pub(super) struct UploadChunk {
    pub(super) uploads: Resumables,
    pub(super) origin: Origin,
    pub(super) slot: UploadSlot,
    pub(super) id: BlobId,
    pub(super) position: u64,
    pub(super) checksum: Option<Checksum>,
}

impl UploadChunk {
    /// Appends the bytes. If the connection ends early, the received bytes are kept, unless the
    /// request has a checksum.
    pub(super) async fn add(self, body: UploadBody) -> Result<()> {
        // A separate task: a client that disconnects cancels the request, but not the storing of
        // what it sent.
        let adding = self.run(body).in_current_span();
        tokio::spawn(adding).await.map_err(Error::internal)?
    }

    async fn run(mut self, mut body: UploadBody) -> Result<()> {
        let is_checked = self.checksum.is_some();
        let mut writer = self
            .uploads
            .write(&self.origin, self.slot, self.id, self.position, is_checked)
            .await?;
        let received = receive(&mut writer, &mut body, self.checksum.as_mut()).await;
        if let Some(checksum) = self.checksum {
            // The checksum covers all bytes, so an incomplete chunk is discarded.
            received?;
            if !checksum.matches() {
                return Err(Error::ChecksumMismatch.into());
            }
            return finish_or_pause(writer, &self.origin, Ok(())).await;
        }
        finish_or_pause(writer, &self.origin, received).await
    }
}

async fn receive(
    writer: &mut Writer,
    body: &mut UploadBody,
    mut checksum: Option<&mut Checksum>,
) -> Result<()> {
    loop {
        let preempted = writer.preempted();
        let bytes = tokio::select! {
            bytes = body.chunk() => bytes?,
            error = preempted => return Err(error.into()),
        };
        let Some(bytes) = bytes else { return Ok(()) };
        if let Some(checksum) = &mut checksum {
            checksum.update(&bytes);
        }
        writer.write(bytes).await?;
    }
}

/// Creates the file if all bytes have come, and otherwise keeps the received ones.
async fn finish_or_pause(writer: Writer, origin: &Origin, received: Result<()>) -> Result<()> {
    match received {
        Ok(()) if writer.is_whole() => {
            writer.finish(origin).await?;
            Ok(())
        }
        Ok(()) => Ok(writer.pause().await.map(drop)?),
        // The client, its connection or a lack of memory: the bytes received before are intact.
        Err(
            failure @ (Failure::BrokenBody(_)
            | Failure::Timeout
            | Failure::Core(Error::Busy { .. })),
        ) => {
            log_failed_pause(writer.pause().await);
            Err(failure)
        }
        Err(failure) => Err(failure),
    }
}

fn log_failed_pause(paused: CoreResult<u64>) {
    if let Err(error) = paused {
        tracing::warn!(%error, "failed to keep received bytes of an upload");
    }
}
