//! The bytes of one request on their way into an upload.

use plinth_core::files::{Resumables, UploadSlot, Writer};
use plinth_core::{Error, Result as CoreResult};
use plinth_domain::audit::Origin;
use plinth_domain::id::BlobId;
use tracing::Instrument as _;

use super::checksum::Checksum;
use crate::http::failure::{Failure, Result};
use crate::http::octets::Octets;

/// Where the bytes go.
pub(super) struct Stretch {
    pub(super) uploads: Resumables,
    pub(super) origin: Origin,
    pub(super) slot: UploadSlot,
    pub(super) id: BlobId,
    pub(super) position: u64,
    pub(super) checksum: Option<Checksum>,
}

impl Stretch {
    /// Adds the bytes. What has come is kept when the client breaks off, unless it had said what it must hash to.
    pub(super) async fn add(self, octets: Octets) -> Result<()> {
        // A task of its own: a client that goes away ends the request, not the keeping of what it sent.
        let adding = self.run(octets).in_current_span();
        tokio::spawn(adding).await.map_err(Error::internal)?
    }

    async fn run(mut self, mut octets: Octets) -> Result<()> {
        let is_checked = self.checksum.is_some();
        let mut writer = self
            .uploads
            .write(&self.origin, self.slot, self.id, self.position, is_checked)
            .await?;
        let received = receive(&mut writer, &mut octets, self.checksum.as_mut()).await;
        if let Some(checksum) = self.checksum {
            // Nothing is kept of what did not come whole.
            received?;
            if !checksum.matches() {
                return Err(Error::ChecksumMismatch.into());
            }
            return end(writer, &self.origin, Ok(())).await;
        }
        end(writer, &self.origin, received).await
    }
}

async fn receive(
    writer: &mut Writer,
    octets: &mut Octets,
    mut checksum: Option<&mut Checksum>,
) -> Result<()> {
    loop {
        let preempted = writer.preempted();
        let bytes = tokio::select! {
            bytes = octets.chunk() => bytes?,
            error = preempted => return Err(error.into()),
        };
        let Some(bytes) = bytes else { return Ok(()) };
        if let Some(checksum) = &mut checksum {
            checksum.update(&bytes);
        }
        writer.write(bytes).await?;
    }
}

/// Makes the file where all bytes have come, and keeps what there is where not.
async fn end(writer: Writer, origin: &Origin, received: Result<()>) -> Result<()> {
    match received {
        Ok(()) if writer.is_whole() => {
            writer.finish(origin).await?;
            Ok(())
        }
        Ok(()) => Ok(writer.pause().await.map(drop)?),
        // The fault of the client or its connection, or want of memory: what was good before is kept.
        Err(
            failure @ (Failure::BrokenBody(_)
            | Failure::Timeout
            | Failure::Core(Error::Busy { .. })),
        ) => {
            keep(writer.pause().await);
            Err(failure)
        }
        Err(failure) => Err(failure),
    }
}

fn keep(paused: CoreResult<u64>) {
    if let Err(error) = paused {
        tracing::warn!(%error, "what came of an upload could not be kept; the client sends it again");
    }
}
