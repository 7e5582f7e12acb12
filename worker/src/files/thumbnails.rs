//! `files.thumbnails`: the derived images of a file that was just stored.

use plinth_core::files::Tell;
use plinth_domain::job::{JobPayload as _, MakeThumbnails};

use super::Studio;
use crate::attempt::Attempt;
use crate::outcome::Done;

pub async fn make(studio: Studio, job: MakeThumbnails, attempt: Attempt) -> Done {
    studio.share.take_for_file(&attempt, job.file_id).await?;
    let Some(source) = studio
        .processing
        .find(job.file_id, Some(job.blob()))
        .await?
    else {
        tracing::info!("the file was deleted before its images were made");
        return Ok(());
    };
    studio
        .make(
            &source,
            None,
            Tell::Owner,
            &attempt,
            MakeThumbnails::MAX_ATTEMPTS,
        )
        .await
}
