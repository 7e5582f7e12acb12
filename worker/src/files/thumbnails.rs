//! `files.thumbnails`: makes the variants of an image that was just stored.

use std::sync::Arc;

use plinth_core::files::Notify;
use plinth_domain::job::{JobPayload as _, MakeThumbnails};

use super::FilesContext;
use crate::attempt::Attempt;
use crate::outcome::JobResult;
use crate::registry::JobHandler;

impl JobHandler for MakeThumbnails {
    type Context = FilesContext;

    async fn run(self, context: Arc<FilesContext>, attempt: Attempt) -> JobResult {
        context
            .owner_limit
            .acquire_for_file(&attempt, self.file_id)
            .await?;
        let Some(source) = context
            .images
            .processing
            .find(self.file_id, Some(self.blob()))
            .await?
        else {
            tracing::info!("file was deleted before its variants were made");
            return Ok(());
        };
        context
            .images
            .make_variants(&source, None, Notify::Owner, &attempt, Self::MAX_ATTEMPTS)
            .await
    }
}
