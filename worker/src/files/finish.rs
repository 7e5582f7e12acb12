//! `files.finish_upload`: makes the file of a resumable upload whose request ended after the last
//! byte and before the file was made.

use std::sync::Arc;

use plinth_domain::job::FinishUpload;

use super::FilesContext;
use crate::attempt::Attempt;
use crate::outcome::JobResult;
use crate::registry::JobHandler;

impl JobHandler for FinishUpload {
    type Context = FilesContext;

    async fn run(self, context: Arc<FilesContext>, attempt: Attempt) -> JobResult {
        context
            .owner_limit
            .acquire_for_blob(&attempt, self.upload)
            .await?;
        context.uploads.finish_whole(self.upload).await?;
        Ok(())
    }
}
