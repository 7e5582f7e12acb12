//! `email.verification`: the mail that proves an address.

use std::sync::Arc;

use minijinja::context;
use plinth_core::auth::VerificationMail;
use plinth_domain::id::JobId;
use plinth_domain::job::SendVerificationMail;
use plinth_platform::mailer::Mail;

use super::{EmailContext, Product, asked, compose};
use crate::attempt::Attempt;
use crate::outcome::{Failure, JobResult};
use crate::registry::JobHandler;

impl JobHandler for SendVerificationMail {
    type Context = EmailContext;

    /// Mints a token and mails it. A repetition mails another token; the first one stays valid.
    async fn run(self, context: Arc<EmailContext>, attempt: Attempt) -> JobResult {
        let due = match self {
            Self::Registration { registration_id } => {
                context
                    .verification
                    .prepare(registration_id, asked(&attempt))
                    .await?
            }
            Self::Account { user_id } => context.verification.prepare_for_account(user_id).await?,
        };
        mail(&context, due, attempt).await
    }
}

/// Mails the token, where there is one.
pub(super) async fn mail(
    context: &EmailContext,
    due: Option<VerificationMail>,
    attempt: Attempt,
) -> JobResult {
    let Some(due) = due else {
        tracing::info!("nothing to verify, or mailed a moment ago");
        return Ok(());
    };
    let mail = write(&context.product, attempt.job, &due).map_err(Failure::permanent)?;
    context.deliver(&attempt, mail).await?;
    context.verification.sent(due.target).await?;
    Ok(())
}

fn write(product: &Product, job: JobId, due: &VerificationMail) -> Result<Mail, minijinja::Error> {
    let values = context! {
        link => product.link_with_token("verify-email", &due.token.reveal()),
        product => product.name.as_str(),
        valid_hours => due.valid.as_secs().div_ceil(3600),
    };
    compose(
        "verification",
        job,
        &due.to,
        "Please confirm your address",
        &values,
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plinth_domain::audit::Target;
    use plinth_platform::crypto::OpaqueToken;

    use super::super::specimens;
    use super::*;

    #[test]
    fn both_parts_carry_the_link() {
        let due = VerificationMail {
            to: "ada@example.org".to_owned(),
            token: OpaqueToken::generate(),
            valid: Duration::from_hours(24),
            target: Target::None,
        };
        let mail =
            write(&specimens::product(), specimens::job(), &due).expect("every name is given");
        let link = format!(
            "https://plinth.example/verify-email?token={}",
            due.token.reveal()
        );
        specimens::assert_link(&mail, &link);
        assert!(mail.text.starts_with("Hello,\n\nPlease "), "{}", mail.text);
        assert!(
            mail.text.contains("24 hours") && mail.text.contains("Difference & Engine"),
            "{}",
            mail.text
        );
        assert!(
            mail.html.contains("Difference &amp; Engine"),
            "{}",
            mail.html
        );
        assert_eq!(mail.id, "01937b1e-0000-7000-8000-000000000001");
    }
}
