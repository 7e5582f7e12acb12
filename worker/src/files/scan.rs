//! `files.scan`: scans the contents of a stored file for viruses.

use std::sync::Arc;

use plinth_domain::job::ScanBlob;

use super::FilesContext;
use crate::attempt::Attempt;
use crate::outcome::JobResult;
use crate::registry::JobHandler;

impl JobHandler for ScanBlob {
    type Context = FilesContext;

    async fn run(self, context: Arc<FilesContext>, attempt: Attempt) -> JobResult {
        context
            .owner_limit
            .acquire_for_blob(&attempt, self.blob_id)
            .await?;
        Ok(context.scans.run(self.blob_id).await?)
    }
}
