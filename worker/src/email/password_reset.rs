//! `email.password_reset`: the e-mail with which a user chooses a new password.

use std::sync::Arc;

use plinth_core::auth::MailedToken;
use plinth_domain::id::JobId;
use plinth_domain::job::SendPasswordResetMail;
use plinth_platform::mailer::Mail;

use super::{EmailContext, Product, mail_request, parse_address, render, texts};
use crate::attempt::Attempt;
use crate::outcome::{Failure, JobResult};
use crate::registry::JobHandler;

impl JobHandler for SendPasswordResetMail {
    type Context = EmailContext;

    /// Finds the account of the address, and mails a token to it unless one was mailed recently.
    async fn run(self, context: Arc<EmailContext>, attempt: Attempt) -> JobResult {
        let due = context
            .password_resets
            .prepare(&parse_address(&self.email)?, mail_request(&attempt))
            .await?;
        let Some(due) = due else {
            tracing::info!(
                "mail skipped: no account has the address, or it was mailed to recently"
            );
            return Ok(());
        };
        let mail = write(&context.product, attempt.job, &due).map_err(Failure::permanent)?;
        context.deliver(&attempt, mail).await?;
        context.password_resets.sent(due.user).await?;
        Ok(())
    }
}

fn write(product: &Product, job: JobId, due: &MailedToken) -> Result<Mail, minijinja::Error> {
    let text = texts::password_reset(&product.name, due.display_name.as_deref(), due.valid);
    let link = product.link_with_token("reset-password", &due.token.reveal());
    render::render(&product.name, job, &due.to, text, &link)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plinth_domain::id::UserId;
    use plinth_platform::crypto::OpaqueToken;

    use super::super::fixtures;
    use super::*;

    fn due(display_name: &str) -> MailedToken {
        MailedToken {
            user: UserId(uuid::Uuid::nil()),
            to: "ada@example.org".to_owned(),
            display_name: Some(display_name.to_owned()),
            token: OpaqueToken::generate(),
            valid: Duration::from_hours(1),
        }
    }

    #[test]
    fn a_display_name_is_escaped() {
        let due = due("<b onclick='x'>&\"Ada\"{{ link }}");
        let mail =
            write(&fixtures::product(), fixtures::job(), &due).expect("all values are defined");
        assert!(!mail.html.contains("<b "), "{}", mail.html);
        assert!(
            mail.html
                .contains("&lt;b onclick=&#x27;x&#x27;&gt;&amp;&quot;Ada&quot;{{ link }}"),
            "{}",
            mail.html
        );
        assert!(mail.text.contains("<b onclick='x'>"), "{}", mail.text);
    }

    #[test]
    fn both_parts_contain_the_link() {
        let due = due("<b>Ada");
        let mail =
            write(&fixtures::product(), fixtures::job(), &due).expect("all values are defined");
        let link = format!(
            "https://plinth.example/reset-password?token={}",
            due.token.reveal()
        );
        fixtures::assert_parts(&mail, &link);
        assert!(
            mail.text.starts_with("Hello <b>Ada,\n\nSomeone "),
            "{}",
            mail.text
        );
        assert!(
            mail.html.contains("&lt;b&gt;Ada") && !mail.html.contains("<b>"),
            "{}",
            mail.html
        );
        assert!(mail.text.contains("expires in 1 hour."), "{}", mail.text);
    }
}
