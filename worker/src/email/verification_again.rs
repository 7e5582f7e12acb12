//! `email.verification_again`: the same mail for an unverified account, asked for by a release without registrations.

use std::sync::Arc;

use plinth_domain::job::ResendVerificationMail;

use super::{EmailContext, address, asked, verification};
use crate::attempt::Attempt;
use crate::outcome::JobResult;
use crate::registry::JobHandler;

impl JobHandler for ResendVerificationMail {
    type Context = EmailContext;

    /// Mails a token to the unverified account of the address, unless one was mailed a moment ago.
    async fn run(self, context: Arc<EmailContext>, attempt: Attempt) -> JobResult {
        let due = context
            .verification
            .prepare_for_address(&address(&self.email)?, asked(&attempt))
            .await?;
        verification::mail(&context, due, attempt).await
    }
}
