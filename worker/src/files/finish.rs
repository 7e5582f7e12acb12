//! `files.finish_upload`: the file of a resumable upload whose request ended after the last byte and before the file.

use plinth_core::files::Resumables;
use plinth_domain::job::FinishUpload;

use super::OwnerShare;
use crate::attempt::Attempt;
use crate::outcome::Done;

pub async fn finish(
    uploads: Resumables,
    share: OwnerShare,
    job: FinishUpload,
    attempt: Attempt,
) -> Done {
    share.take_for_blob(&attempt, job.upload).await?;
    uploads.finish_whole(job.upload).await?;
    Ok(())
}
