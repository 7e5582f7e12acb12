//! `email.verification`: the mail that proves an address.

use std::sync::Arc;

use minijinja::context;
use plinth_core::auth::MailedToken;
use plinth_domain::id::JobId;
use plinth_domain::job::SendVerificationMail;
use plinth_platform::mailer::Mail;

use super::{Post, Product, compose};
use crate::attempt::Attempt;
use crate::outcome::{Done, Failure};

/// Mints a token and mails it. A repetition mails another token; the first one stays valid.
pub async fn send(post: Arc<Post>, job: SendVerificationMail, attempt: Attempt) -> Done {
    let due = post.verification.prepare(job.user_id).await?;
    mail(&post, due, attempt).await
}

/// Mails the token, where there is one.
pub(super) async fn mail(post: &Post, due: Option<MailedToken>, attempt: Attempt) -> Done {
    let Some(due) = due else {
        tracing::info!("nothing to verify, or mailed a moment ago");
        return Ok(());
    };
    let mail = write(&post.product, attempt.job, &due).map_err(Failure::permanent)?;
    post.deliver(&attempt, mail).await?;
    post.verification.sent(due.user).await?;
    Ok(())
}

fn write(product: &Product, job: JobId, due: &MailedToken) -> Result<Mail, minijinja::Error> {
    let values = context! {
        link => product.link_with_token("verify-email", &due.token.reveal()),
        display_name => due.display_name.as_deref(),
        product => product.name.as_str(),
        valid_hours => due.valid.as_secs().div_ceil(3600),
    };
    compose("verification", job, &due.to, "Please confirm your address", &values)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plinth_domain::id::UserId;
    use plinth_platform::crypto::OpaqueToken;

    use super::super::specimens;
    use super::*;

    fn due(display_name: Option<&str>) -> MailedToken {
        MailedToken {
            user: UserId(uuid::Uuid::nil()),
            to: "ada@example.org".to_owned(),
            display_name: display_name.map(str::to_owned),
            token: OpaqueToken::generate(),
            valid: Duration::from_hours(24),
        }
    }

    fn written(due: &MailedToken) -> Mail {
        write(&specimens::product(), specimens::job(), due).expect("the templates are given every name")
    }

    #[test]
    fn both_parts_carry_the_link() {
        let due = due(Some("Ada"));
        let mail = written(&due);
        let link = format!("https://plinth.example/verify-email?token={}", due.token.reveal());
        specimens::assert_link(&mail, &link);
        assert!(mail.text.starts_with("Hello Ada,\n"), "{}", mail.text);
        assert!(mail.text.contains("24 hours") && mail.text.contains("Difference & Engine"), "{}", mail.text);
        assert!(mail.html.contains("Difference &amp; Engine"), "{}", mail.html);
        assert_eq!(mail.id, "01937b1e-0000-7000-8000-000000000001");
    }

    #[test]
    fn a_name_cannot_smuggle_markup() {
        let mail = written(&due(Some("<b onclick='x'>&\"Ada\"{{ link }}")));
        assert!(!mail.html.contains("<b "), "{}", mail.html);
        assert!(
            mail.html.contains("&lt;b onclick=&#x27;x&#x27;&gt;&amp;&quot;Ada&quot;{{ link }}"),
            "{}",
            mail.html
        );
        assert!(mail.text.contains("<b onclick='x'>"), "text is text");
        assert!(written(&due(None)).text.starts_with("Hello,\n"));
    }
}
