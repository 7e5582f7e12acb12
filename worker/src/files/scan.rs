//! `files.scan`: asks the scanner for viruses about bytes that were stored.

use plinth_core::files::Scans;
use plinth_domain::job::ScanBlob;

use crate::outcome::Done;

pub async fn ask(scans: Scans, job: ScanBlob) -> Done {
    Ok(scans.run(job.blob_id).await?)
}
