//! `files.purge`: the objects of a deleted file, then its row.

use plinth_core::files::Purge;
use plinth_domain::job::PurgeFile;

use crate::outcome::Done;

pub async fn remove(purge: Purge, job: PurgeFile) -> Done {
    purge.run(job.file_id).await?;
    Ok(())
}
