//! `files.purge`: removes the objects of a deleted file, then its row.

use std::sync::Arc;

use plinth_domain::job::PurgeBlob;

use super::FilesContext;
use crate::attempt::Attempt;
use crate::outcome::JobResult;
use crate::registry::JobHandler;

impl JobHandler for PurgeBlob {
    type Context = FilesContext;

    async fn run(self, context: Arc<FilesContext>, _: Attempt) -> JobResult {
        context.purge.run(self.blob_id).await?;
        Ok(())
    }
}
