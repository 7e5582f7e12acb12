//! `email.verification_again`: the verification e-mail for an unverified account, requested by a
//! release without registrations.

use std::sync::Arc;

use plinth_domain::job::ResendVerificationMail;

use super::{EmailContext, mail_request, parse_address, verification};
use crate::attempt::Attempt;
use crate::outcome::JobResult;
use crate::registry::JobHandler;

impl JobHandler for ResendVerificationMail {
    type Context = EmailContext;

    /// Mails a token to the unverified account of the address, unless one was mailed recently.
    async fn run(self, context: Arc<EmailContext>, attempt: Attempt) -> JobResult {
        let due = context
            .verification
            .prepare_for_address(&parse_address(&self.email)?, mail_request(&attempt))
            .await?;
        verification::deliver(&context, due, attempt).await
    }
}
