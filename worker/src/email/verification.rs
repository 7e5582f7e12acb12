//! `email.verification`: the mail that proves an address.

use std::sync::Arc;
use std::time::Duration;

use minijinja::context;
use plinth_domain::id::JobId;
use plinth_domain::job::SendVerificationMail;
use plinth_platform::mailer::Mail;

use super::{Post, compose, not_sent};
use crate::outcome::{Attempt, Done, Failure};

/// Mints a token and mails it. A repetition mails another token; the first one stays valid.
pub async fn send(post: Arc<Post>, job: SendVerificationMail, attempt: Attempt) -> Done {
    let Some(due) = post.verification.prepare(job.user_id).await? else {
        tracing::info!("nothing to verify any more");
        return Ok(());
    };
    let letter = Letter {
        job: attempt.job,
        to: &due.to,
        display_name: due.display_name.as_deref(),
        public_url: &post.public_url,
        token: &due.token.reveal(),
        valid: due.valid,
    };
    let mail = letter.write().map_err(Failure::permanent)?;
    post.mailer.send(mail).await.map_err(not_sent)?;
    post.verification.sent(job.user_id).await?;
    Ok(())
}

/// What the mail says.
struct Letter<'a> {
    job: JobId,
    to: &'a str,
    display_name: Option<&'a str>,
    public_url: &'a str,
    token: &'a str,
    valid: Duration,
}

impl Letter<'_> {
    fn write(&self) -> Result<Mail, minijinja::Error> {
        let values = context! {
            link => format!("{}/verify-email?token={}", self.public_url.trim_end_matches('/'), self.token),
            display_name => self.display_name,
            valid_hours => self.valid.as_secs().div_ceil(3600),
        };
        compose("verification", self.job, self.to, "Please confirm your address", &values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(display_name: Option<&str>) -> Mail {
        let job = JobId("01937b1e-0000-7000-8000-000000000001".parse().expect("a uuid"));
        let letter = Letter {
            job,
            to: "ada@example.org",
            display_name,
            public_url: "https://plinth.example/",
            token: "tok-en_1",
            valid: Duration::from_hours(24),
        };
        letter.write().expect("the templates are given every name")
    }

    #[test]
    fn both_parts_carry_the_link() {
        let mail = written(Some("Ada"));
        let link = "https://plinth.example/verify-email?token=tok-en_1";
        assert!(mail.text.contains(&format!("\n{link}\n")), "{}", mail.text);
        assert!(mail.text.starts_with("Hello Ada,\n"), "{}", mail.text);
        assert!(mail.text.contains("24 hours"), "{}", mail.text);
        // The slash of an attribute is escaped too; a mail reader decodes it.
        let href = format!("href=\"{}\"", link.replace('/', "&#x2f;"));
        assert_eq!(mail.html.matches(&href).count(), 2, "{}", mail.html);
        assert_eq!(mail.id, "01937b1e-0000-7000-8000-000000000001");
        assert!(written(None).text.starts_with("Hello,\n"));
    }

    #[test]
    fn a_name_cannot_smuggle_markup() {
        let mail = written(Some("<b onclick='x'>&\"Ada\"{{ link }}"));
        assert!(!mail.html.contains("<b "), "{}", mail.html);
        assert!(
            mail.html.contains("&lt;b onclick=&#x27;x&#x27;&gt;&amp;&quot;Ada&quot;{{ link }}"),
            "{}",
            mail.html
        );
        assert!(mail.text.contains("<b onclick='x'>"), "text is text");
    }
}
