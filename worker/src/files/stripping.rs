//! `files.strip`: takes the metadata out of a picture that was stored.

use plinth_core::files::{Stripping, Unstripped};
use plinth_domain::job::{JobPayload as _, StripMetadata};
use plinth_pictures::protocol::MAX_SOURCE;
use plinth_pictures::{Stripped, Unreadable};

use super::{Breakdown, Darkroom, Studio};
use crate::attempt::Attempt;
use crate::outcome::{Done, Failure};

/// Attempts at a picture at which the process crashes each time.
const CRASHES: i16 = 3;

/// A picture from which it cannot be taken is no failed job: nobody gets it, and its owner finds the reason. In the last of
/// all attempts, so is one whose process is always ended from outside, as systems do whose memory runs out. Where the
/// process itself crashes, the fault is ours: the picture waits, and the job is a dead letter.
pub async fn strip(
    stripping: Stripping,
    Studio {
        darkroom, share, ..
    }: Studio,
    job: StripMetadata,
    attempt: Attempt,
) -> Done {
    share.take_for_blob(&attempt, job.blob_id).await?;
    let Some(picture) = stripping.find(job.blob_id).await? else {
        return Ok(());
    };
    let stripped = match develop(&stripping, &darkroom, &picture).await? {
        Err(Breakdown::Killed(_)) if attempt.number >= StripMetadata::MAX_ATTEMPTS => {
            Err(Unreadable::TooMuchMemory)
        }
        // What is not stripped stays pending: it may succeed with another release, and must not be given out before.
        Err(breakdown @ Breakdown::Crashed(_)) if attempt.number >= CRASHES => {
            return Err(Failure::permanent(breakdown));
        }
        stripped => stripped?,
    };
    match stripped {
        Ok(Stripped { bytes: None, .. }) => stripping.pass(&picture).await?,
        Ok(Stripped {
            bytes: Some(bytes),
            taken_at,
        }) => {
            stripping
                .replace(&picture, bytes.into(), taken_at.as_ref())
                .await?;
        }
        Err(reason) => {
            tracing::info!(?reason, "the metadata of a picture cannot be taken out");
            stripping.refuse(&picture, &reason.to_string()).await?;
        }
    }
    Ok(())
}

async fn develop(
    stripping: &Stripping,
    darkroom: &Darkroom,
    picture: &Unstripped,
) -> plinth_core::Result<Result<Result<Stripped, Unreadable>, Breakdown>> {
    if usize::try_from(picture.size()).is_ok_and(|size| size > MAX_SOURCE) {
        return Ok(Ok(Err(Unreadable::TooLarge)));
    }
    let bytes = stripping.read(picture).await?;
    Ok(darkroom.strip(&bytes).await)
}
