//! `files.finish_upload`: the file of a resumable upload whose request ended after the last byte and before the file.

use plinth_core::files::Resumables;
use plinth_domain::job::FinishUpload;

use crate::outcome::Done;

pub async fn finish(uploads: Resumables, job: FinishUpload) -> Done {
    uploads.finish_whole(job.upload).await?;
    Ok(())
}
