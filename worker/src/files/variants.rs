//! `files.variants`: the derived images of a file, as the settings say it now.

use plinth_core::files::Tell;
use plinth_domain::job::{JobPayload as _, RemakeVariants};

use super::Studio;
use crate::attempt::Attempt;
use crate::outcome::Done;

pub async fn remake(studio: Studio, job: RemakeVariants, attempt: Attempt) -> Done {
    let Some(file) = studio.processing.find(job.file_id).await? else {
        return Ok(());
    };
    let last = attempt.number >= RemakeVariants::MAX_ATTEMPTS;
    studio.make(&file, job.again.as_ref(), Tell::Nobody, last).await?;
    Ok(studio.processing.remove_strays(&file).await?)
}
