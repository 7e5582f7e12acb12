//! `files.scan`: asks the scanner for viruses about bytes that were stored.

use plinth_core::files::Scans;
use plinth_domain::job::ScanBlob;

use super::OwnerShare;
use crate::attempt::Attempt;
use crate::outcome::Done;

pub async fn ask(scans: Scans, share: OwnerShare, job: ScanBlob, attempt: Attempt) -> Done {
    share.take_for_blob(&attempt, job.blob_id).await?;
    Ok(scans.run(job.blob_id).await?)
}
