//! `files.purge`: the objects of a deleted file, then its row.

use plinth_core::files::Purge;
use plinth_domain::job::PurgeBlob;

use crate::outcome::Done;

pub async fn remove(purge: Purge, job: PurgeBlob) -> Done {
    purge.run(job.blob_id).await?;
    Ok(())
}
