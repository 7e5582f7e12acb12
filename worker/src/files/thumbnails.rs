//! `files.thumbnails`: the derived images of a file that was just stored.

use std::sync::Arc;

use plinth_core::files::Tell;
use plinth_domain::job::{JobPayload as _, MakeThumbnails};

use super::FilesContext;
use crate::attempt::Attempt;
use crate::outcome::JobResult;
use crate::registry::JobHandler;

impl JobHandler for MakeThumbnails {
    type Context = FilesContext;

    async fn run(self, context: Arc<FilesContext>, attempt: Attempt) -> JobResult {
        context.share.take_for_file(&attempt, self.file_id).await?;
        let Some(source) = context
            .images
            .processing
            .find(self.file_id, Some(self.blob()))
            .await?
        else {
            tracing::info!("the file was deleted before its images were made");
            return Ok(());
        };
        context
            .images
            .make(&source, None, Tell::Owner, &attempt, Self::MAX_ATTEMPTS)
            .await
    }
}
