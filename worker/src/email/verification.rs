//! `email.verification`: the e-mail that proves the address of a registration.

use std::sync::Arc;

use plinth_core::auth::VerificationMail;
use plinth_domain::id::JobId;
use plinth_domain::job::SendVerificationMail;
use plinth_platform::mailer::Mail;

use super::{EmailContext, Product, mail_request, render, texts};
use crate::attempt::Attempt;
use crate::outcome::{Failure, JobResult};
use crate::registry::JobHandler;

impl JobHandler for SendVerificationMail {
    type Context = EmailContext;

    /// Creates a token and mails it. A repetition mails another token; the first one stays valid.
    async fn run(self, context: Arc<EmailContext>, attempt: Attempt) -> JobResult {
        let due = match self {
            Self::Registration { registration_id } => {
                context
                    .verification
                    .prepare(registration_id, mail_request(&attempt))
                    .await?
            }
            Self::Account { user_id } => context.verification.prepare_for_account(user_id).await?,
        };
        deliver(&context, due, attempt).await
    }
}

/// Mails the token, if one is due.
pub(super) async fn deliver(
    context: &EmailContext,
    due: Option<VerificationMail>,
    attempt: Attempt,
) -> JobResult {
    let Some(due) = due else {
        tracing::info!("mail skipped: nothing to verify, or mailed recently");
        return Ok(());
    };
    let mail = write(&context.product, attempt.job, &due).map_err(Failure::permanent)?;
    context.deliver(&attempt, mail).await?;
    context.verification.sent(due.target).await?;
    Ok(())
}

fn write(product: &Product, job: JobId, due: &VerificationMail) -> Result<Mail, minijinja::Error> {
    let text = texts::verification(&product.name, due.valid);
    let link = product.link_with_token("verify-email", &due.token.reveal());
    render::render(&product.name, job, &due.to, text, &link)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plinth_domain::audit::Target;
    use plinth_platform::crypto::OpaqueToken;

    use super::super::fixtures;
    use super::*;

    #[test]
    fn both_parts_contain_the_link() {
        let due = VerificationMail {
            to: "ada@example.org".to_owned(),
            token: OpaqueToken::generate(),
            valid: Duration::from_hours(24),
            target: Target::None,
        };
        let mail =
            write(&fixtures::product(), fixtures::job(), &due).expect("all values are defined");
        let link = format!(
            "https://plinth.example/verify-email?token={}",
            due.token.reveal()
        );
        fixtures::assert_parts(&mail, &link);
        assert!(mail.text.starts_with("Hello,\n\nPlease "), "{}", mail.text);
        assert!(mail.text.contains("expires in 24 hours."), "{}", mail.text);
        assert_eq!(mail.id, "01937b1e-0000-7000-8000-000000000001");
    }
}
