//! `files.verify`: verifies the contents that a client sent directly to the object store, and makes
//! the file.

use std::sync::Arc;

use plinth_domain::job::VerifyDirectUpload;

use super::FilesContext;
use crate::attempt::Attempt;
use crate::outcome::JobResult;
use crate::registry::JobHandler;

impl JobHandler for VerifyDirectUpload {
    type Context = FilesContext;

    async fn run(self, context: Arc<FilesContext>, attempt: Attempt) -> JobResult {
        context
            .owner_limit
            .acquire_for_blob(&attempt, self.upload)
            .await?;
        let Some(mut verifying) = context.verification.begin(self.upload).await? else {
            return Ok(());
        };
        while let Some(percent) = verifying.step().await? {
            attempt.report_progress(percent).await;
        }
        verifying.finish().await?;
        Ok(())
    }
}
