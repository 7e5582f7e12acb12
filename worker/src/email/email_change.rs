//! `email.change`: the mail that proves an account's new address.

use std::sync::Arc;

use minijinja::context;
use plinth_core::auth::MailedToken;
use plinth_domain::id::JobId;
use plinth_domain::job::SendEmailChangeMail;
use plinth_platform::mailer::Mail;

use super::{EmailContext, Product, address, asked, compose};
use crate::attempt::Attempt;
use crate::outcome::{Failure, JobResult};
use crate::registry::JobHandler;

impl JobHandler for SendEmailChangeMail {
    type Context = EmailContext;

    /// Mails a token to the new address, unless it is somebody else's.
    async fn run(self, context: Arc<EmailContext>, attempt: Attempt) -> JobResult {
        let due = context
            .email_changes
            .prepare(self.user_id, &address(&self.email)?, asked(&attempt))
            .await?;
        let Some(due) = due else {
            tracing::info!("the address is taken, or it was mailed to a moment ago");
            return Ok(());
        };
        let mail = write(&context.product, attempt.job, &due).map_err(Failure::permanent)?;
        context.deliver(&attempt, mail).await?;
        context.email_changes.sent(due.user).await?;
        Ok(())
    }
}

fn write(product: &Product, job: JobId, due: &MailedToken) -> Result<Mail, minijinja::Error> {
    let values = context! {
        link => product.link_with_token("confirm-email", &due.token.reveal()),
        product => product.name.as_str(),
        valid_hours => due.valid.as_secs().div_ceil(3600),
    };
    compose(
        "email_change",
        job,
        &due.to,
        "Please confirm your new address",
        &values,
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plinth_domain::id::UserId;
    use plinth_platform::crypto::OpaqueToken;

    use super::super::specimens;
    use super::*;

    #[test]
    fn both_parts_carry_the_link() {
        let due = MailedToken {
            user: UserId(uuid::Uuid::nil()),
            to: "ada@example.org".to_owned(),
            display_name: Some("Ada".to_owned()),
            token: OpaqueToken::generate(),
            valid: Duration::from_hours(1),
        };
        let mail =
            write(&specimens::product(), specimens::job(), &due).expect("every name is given");
        let link = format!(
            "https://plinth.example/confirm-email?token={}",
            due.token.reveal()
        );
        specimens::assert_link(&mail, &link);
        assert!(
            mail.text.starts_with("Hello,\n\nPlease "),
            "no name goes to an address that is not proved"
        );
        assert!(!mail.html.contains("Ada"), "{}", mail.html);
        assert!(
            mail.text.contains("for 1 hour.") && mail.text.contains("Difference & Engine"),
            "{}",
            mail.text
        );
        assert!(
            mail.html.contains("Difference &amp; Engine"),
            "{}",
            mail.html
        );
    }
}
