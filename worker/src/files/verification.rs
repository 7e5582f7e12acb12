//! `files.verify`: what a client sent to the object store itself is read back, and made a file.

use std::sync::Arc;

use plinth_domain::job::VerifyDirectUpload;

use super::FilesContext;
use crate::attempt::Attempt;
use crate::outcome::JobResult;
use crate::registry::JobHandler;

impl JobHandler for VerifyDirectUpload {
    type Context = FilesContext;

    async fn run(self, context: Arc<FilesContext>, attempt: Attempt) -> JobResult {
        context.share.take_for_blob(&attempt, self.upload).await?;
        let Some(mut verifying) = context.verification.begin(self.upload).await? else {
            return Ok(());
        };
        while let Some(percent) = verifying.step().await? {
            attempt.progress(percent).await;
        }
        verifying.finish().await?;
        Ok(())
    }
}
