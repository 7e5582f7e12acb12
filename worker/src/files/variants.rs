//! `files.variants`: makes the variants of an image by the current presets.

use std::sync::Arc;

use plinth_core::files::Notify;
use plinth_domain::job::{JobPayload as _, RemakeVariants};

use super::FilesContext;
use crate::attempt::Attempt;
use crate::outcome::JobResult;
use crate::registry::JobHandler;

impl JobHandler for RemakeVariants {
    type Context = FilesContext;

    async fn run(self, context: Arc<FilesContext>, attempt: Attempt) -> JobResult {
        context
            .owner_limit
            .acquire_for_file(&attempt, self.file_id)
            .await?;
        let Some(source) = context.images.processing.find(self.file_id, None).await? else {
            return Ok(());
        };
        let forced = self.again.as_ref();
        context
            .images
            .make_variants(
                &source,
                forced,
                Notify::Silent,
                &attempt,
                Self::MAX_ATTEMPTS,
            )
            .await?;
        Ok(context.images.processing.remove_strays(&source).await?)
    }
}
