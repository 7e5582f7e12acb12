//! `files.strip`: takes the metadata out of a picture that was stored.

use std::sync::Arc;

use plinth_core::files::Unstripped;
use plinth_domain::job::{JobPayload as _, StripMetadata};
use plinth_pictures::protocol::MAX_SOURCE_BYTES;
use plinth_pictures::{Stripped, Unreadable};

use super::{FilesContext, SandboxError};
use crate::attempt::Attempt;
use crate::outcome::{Failure, JobResult};
use crate::registry::JobHandler;

/// Attempts at a picture at which the process crashes each time.
const CRASHES: i16 = 3;

impl JobHandler for StripMetadata {
    type Context = FilesContext;

    /// A picture from which it cannot be taken is no failed job: nobody gets it, and its owner finds the reason. In the last of
    /// all attempts, so is one whose process is always ended from outside, as systems do whose memory runs out. Where the
    /// process itself crashes, the fault is ours: the picture waits, and the job is a dead letter.
    async fn run(self, context: Arc<FilesContext>, attempt: Attempt) -> JobResult {
        context.share.take_for_blob(&attempt, self.blob_id).await?;
        let Some(picture) = context.stripping.find(self.blob_id).await? else {
            return Ok(());
        };
        let stripped = match develop(&context, &picture).await? {
            Err(SandboxError::Killed(_)) if attempt.number >= Self::MAX_ATTEMPTS => {
                Err(Unreadable::TooMuchMemory)
            }
            // What is not stripped stays pending: it may succeed with another release, and must not be given out before.
            Err(error @ SandboxError::Crashed(_)) if attempt.number >= CRASHES => {
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
                tracing::info!(?reason, "the metadata of a picture cannot be taken out");
                context
                    .stripping
                    .refuse(&picture, &reason.to_string())
                    .await?;
            }
        }
        Ok(())
    }
}

async fn develop(
    context: &FilesContext,
    picture: &Unstripped,
) -> plinth_core::Result<Result<Result<Stripped, Unreadable>, SandboxError>> {
    if usize::try_from(picture.size()).is_ok_and(|size| size > MAX_SOURCE_BYTES) {
        return Ok(Ok(Err(Unreadable::TooLarge)));
    }
    let bytes = context.stripping.read(picture).await?;
    Ok(context.images.sandbox.strip(&bytes).await)
}
