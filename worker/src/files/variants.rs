//! `files.variants`: the derived images of a file, as the settings say it now.

use plinth_core::files::Tell;
use plinth_domain::job::{JobPayload as _, RemakeVariants};

use super::Studio;
use crate::attempt::Attempt;
use crate::outcome::Done;

pub async fn remake(studio: Studio, job: RemakeVariants, attempt: Attempt) -> Done {
    studio.share.take_for_file(&attempt, job.file_id).await?;
    let Some(source) = studio.processing.find(job.file_id, None).await? else {
        return Ok(());
    };
    let again = job.again.as_ref();
    studio
        .make(
            &source,
            again,
            Tell::Nobody,
            &attempt,
            RemakeVariants::MAX_ATTEMPTS,
        )
        .await?;
    Ok(studio.processing.remove_strays(&source).await?)
}
