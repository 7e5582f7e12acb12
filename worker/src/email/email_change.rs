//! `email.change`: the e-mail that proves the new address of an account.

use std::sync::Arc;

use plinth_core::auth::MailedToken;
use plinth_domain::id::JobId;
use plinth_domain::job::SendEmailChangeMail;
use plinth_platform::mailer::Mail;

use super::{EmailContext, Product, mail_request, parse_address, render, texts};
use crate::attempt::Attempt;
use crate::outcome::{Failure, JobResult};
use crate::registry::JobHandler;

impl JobHandler for SendEmailChangeMail {
    type Context = EmailContext;

    /// Mails a token to the new address, unless another account has that address.
    async fn run(self, context: Arc<EmailContext>, attempt: Attempt) -> JobResult {
        let due = context
            .email_changes
            .prepare(
                self.user_id,
                &parse_address(&self.email)?,
                mail_request(&attempt),
            )
            .await?;
        let Some(due) = due else {
            tracing::info!("mail skipped: the address is taken, or was mailed to recently");
            return Ok(());
        };
        let mail = write(&context.product, attempt.job, &due).map_err(Failure::permanent)?;
        context.deliver(&attempt, mail).await?;
        context.email_changes.sent(due.user).await?;
        Ok(())
    }
}

fn write(product: &Product, job: JobId, due: &MailedToken) -> Result<Mail, minijinja::Error> {
    let text = texts::email_change(&product.name, due.valid);
    let link = product.link_with_token("confirm-email", &due.token.reveal());
    render::render(&product.name, job, &due.to, text, &link)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plinth_domain::id::UserId;
    use plinth_platform::crypto::OpaqueToken;

    use super::super::fixtures;
    use super::*;

    #[test]
    fn both_parts_contain_the_link_and_no_name() {
        let due = MailedToken {
            user: UserId(uuid::Uuid::nil()),
            to: "ada@example.org".to_owned(),
            display_name: Some("Ada".to_owned()),
            token: OpaqueToken::generate(),
            valid: Duration::from_hours(1),
        };
        let mail =
            write(&fixtures::product(), fixtures::job(), &due).expect("all values are defined");
        let link = format!(
            "https://plinth.example/confirm-email?token={}",
            due.token.reveal()
        );
        fixtures::assert_parts(&mail, &link);
        assert!(
            mail.text.starts_with("Hello,\n\nPlease "),
            "no name goes to an address that is not proved"
        );
        assert!(!mail.html.contains("Ada"), "{}", mail.html);
        assert!(mail.text.contains("expires in 1 hour."), "{}", mail.text);
    }
}
