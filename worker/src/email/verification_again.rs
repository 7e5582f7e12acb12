//! `email.verification_again`: the same mail for an unverified account, asked for by a release without registrations.

use std::sync::Arc;

use plinth_domain::job::ResendVerificationMail;

use super::{Post, address, asked, verification};
use crate::attempt::Attempt;
use crate::outcome::Done;

/// Mails a token to the unverified account of the address, unless one was mailed a moment ago.
pub async fn send(post: Arc<Post>, job: ResendVerificationMail, attempt: Attempt) -> Done {
    let due = post
        .verification
        .prepare_for_address(&address(&job.email)?, asked(&attempt))
        .await?;
    verification::mail(&post, due, attempt).await
}
