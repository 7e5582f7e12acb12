//! `email.verification_again`: the same mail, for whoever asks for it by his address.

use std::sync::Arc;

use plinth_domain::job::ResendVerificationMail;

use super::{Post, address, asked, verification};
use crate::attempt::Attempt;
use crate::outcome::Done;

/// Finds out who is meant, and mails him a token unless he got one a moment ago.
pub async fn send(post: Arc<Post>, job: ResendVerificationMail, attempt: Attempt) -> Done {
    let due = post.verification.prepare_again(&address(&job.email)?, asked(&attempt)).await?;
    verification::mail(&post, due, attempt).await
}
