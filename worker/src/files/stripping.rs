//! `files.strip`: removes the metadata of a stored image.

use std::sync::Arc;

use plinth_core::files::Unstripped;
use plinth_domain::job::{JobPayload as _, StripMetadata};
use plinth_pictures::protocol::MAX_SOURCE_BYTES;
use plinth_pictures::{Stripped, Unreadable};

use super::{FilesContext, MAX_CRASHES, SandboxError};
use crate::attempt::Attempt;
use crate::outcome::{Failure, JobResult};
use crate::registry::JobHandler;

impl JobHandler for StripMetadata {
    type Context = FilesContext;

    /// Strips an image. If its metadata cannot be removed, the job succeeds: the image is withheld,
    /// and its owner sees the reason. The same holds if the system kills the sandbox in every
    /// attempt, as it does when it runs out of memory. If the sandbox crashes, the fault is ours:
    /// the image stays pending, and the job becomes a dead letter.
    async fn run(self, context: Arc<FilesContext>, attempt: Attempt) -> JobResult {
        context
            .owner_limit
            .acquire_for_blob(&attempt, self.blob_id)
            .await?;
        let Some(picture) = context.stripping.find(self.blob_id).await? else {
            return Ok(());
        };
        let stripped = match strip(&context, &picture).await? {
            Err(SandboxError::Killed(_)) if attempt.number >= Self::MAX_ATTEMPTS => {
                Err(Unreadable::TooMuchMemory)
            }
            // The image stays pending: a later release may strip it, and it must not be served
            // before.
            Err(error @ SandboxError::Crashed(_)) if attempt.number >= MAX_CRASHES => {
                return Err(Failure::permanent(error));
            }
            stripped => stripped?,
        };
        match stripped {
            Ok(Stripped { bytes: None, .. }) => context.stripping.pass(&picture).await?,
            Ok(Stripped {
                bytes: Some(bytes),
                taken_at,
            }) => {
                context
                    .stripping
                    .replace(&picture, bytes.into(), taken_at.as_ref())
                    .await?;
            }
            Err(reason) => {
                tracing::info!(?reason, "metadata of an image cannot be removed");
                context
                    .stripping
                    .refuse(&picture, &reason.to_string())
                    .await?;
            }
        }
        Ok(())
    }
}

async fn strip(
    context: &FilesContext,
    picture: &Unstripped,
) -> plinth_core::Result<Result<Result<Stripped, Unreadable>, SandboxError>> {
    if usize::try_from(picture.size()).is_ok_and(|size| size > MAX_SOURCE_BYTES) {
        return Ok(Ok(Err(Unreadable::TooLarge)));
    }
    let bytes = context.stripping.read(picture).await?;
    Ok(context.images.sandbox.strip(&bytes).await)
}
