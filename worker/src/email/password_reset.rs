//! `email.password_reset`: the mail with which somebody chooses another password.

use std::sync::Arc;

use minijinja::context;
use plinth_core::auth::MailedToken;
use plinth_domain::id::JobId;
use plinth_domain::job::SendPasswordResetMail;
use plinth_platform::mailer::Mail;

use super::{EmailContext, Product, address, asked, compose};
use crate::attempt::Attempt;
use crate::outcome::{Failure, JobResult};
use crate::registry::JobHandler;

impl JobHandler for SendPasswordResetMail {
    type Context = EmailContext;

    /// Finds out who is meant, and mails him a token unless he got one a moment ago.
    async fn run(self, context: Arc<EmailContext>, attempt: Attempt) -> JobResult {
        let due = context
            .password_resets
            .prepare(&address(&self.email)?, asked(&attempt))
            .await?;
        let Some(due) = due else {
            tracing::info!("no account has this address, or it was mailed to a moment ago");
            return Ok(());
        };
        let mail = write(&context.product, attempt.job, &due).map_err(Failure::permanent)?;
        context.deliver(&attempt, mail).await?;
        context.password_resets.sent(due.user).await?;
        Ok(())
    }
}

fn write(product: &Product, job: JobId, due: &MailedToken) -> Result<Mail, minijinja::Error> {
    let values = context! {
        link => product.link_with_token("reset-password", &due.token.reveal()),
        display_name => due.display_name.as_deref(),
        product => product.name.as_str(),
        valid_hours => due.valid.as_secs().div_ceil(3600),
    };
    compose(
        "password_reset",
        job,
        &due.to,
        "Choose another password",
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
    fn a_name_cannot_smuggle_markup() {
        let due = due("<b onclick='x'>&\"Ada\"{{ link }}");
        let mail =
            write(&specimens::product(), specimens::job(), &due).expect("every name is given");
        assert!(!mail.html.contains("<b "), "{}", mail.html);
        assert!(
            mail.html
                .contains("&lt;b onclick=&#x27;x&#x27;&gt;&amp;&quot;Ada&quot;{{ link }}"),
            "{}",
            mail.html
        );
        assert!(mail.text.contains("<b onclick='x'>"), "text is text");
    }

    #[test]
    fn both_parts_carry_the_link() {
        let due = due("<b>Ada");
        let mail =
            write(&specimens::product(), specimens::job(), &due).expect("every name is given");
        let link = format!(
            "https://plinth.example/reset-password?token={}",
            due.token.reveal()
        );
        specimens::assert_link(&mail, &link);
        assert!(mail.text.starts_with("Hello <b>Ada,\n"), "{}", mail.text);
        assert!(
            mail.html.contains("&lt;b&gt;Ada") && !mail.html.contains("<b>"),
            "{}",
            mail.html
        );
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
