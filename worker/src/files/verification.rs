//! `files.verify`: what a client sent to the object store itself is read back, and made a file.

use plinth_core::files::DirectVerification;
use plinth_domain::job::VerifyDirectUpload;

use super::OwnerShare;
use crate::attempt::Attempt;
use crate::outcome::Done;

pub async fn verify(
    verification: DirectVerification,
    share: OwnerShare,
    job: VerifyDirectUpload,
    attempt: Attempt,
) -> Done {
    share.take_for_blob(&attempt, job.upload).await?;
    let Some(mut verifying) = verification.begin(job.upload).await? else {
        return Ok(());
    };
    while let Some(percent) = verifying.step().await? {
        attempt.progress(percent).await;
    }
    verifying.finish().await?;
    Ok(())
}
