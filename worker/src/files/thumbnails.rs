//! `files.thumbnails`: the derived images of a file that was just stored.

use plinth_core::files::Tell;
use plinth_domain::job::{JobPayload as _, MakeThumbnails};

use super::Studio;
use crate::attempt::Attempt;
use crate::outcome::Done;

pub async fn make(studio: Studio, job: MakeThumbnails, attempt: Attempt) -> Done {
    let Some(file) = studio.processing.find(job.file_id).await? else {
        tracing::info!("the file was deleted before its images were made");
        return Ok(());
    };
    studio.make(&file, None, Tell::Owner, attempt.number >= MakeThumbnails::MAX_ATTEMPTS).await
}
