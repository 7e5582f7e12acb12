//! Queue `email`: one file a mail.

mod email_change;
mod password_reset;
mod security_notice;
mod verification;
mod verification_again;

use std::sync::LazyLock;

use minijinja::{Environment, UndefinedBehavior, Value};
use plinth_core::Stores;
use plinth_core::auth::{Asked, EmailChanges, PasswordResets, SecurityNotices, Verification};
use plinth_core::jobs::{OutagePause, OutagePauses, SentMails, Standing};
use plinth_domain::email::Email;
use plinth_domain::id::JobId;
use plinth_domain::job::Queue;
use plinth_platform::error_chain;
use plinth_platform::mailer::{Mail, MailError, MailFailure, Mailer};
use plinth_platform::settings::Settings;

use crate::attempt::Attempt;
use crate::backoff;
use crate::outcome::{Failure, JobResult};

/// What the handlers of this queue need.
pub struct EmailContext {
    verification: Verification,
    password_resets: PasswordResets,
    email_changes: EmailChanges,
    notices: SecurityNotices,
    mailer: Mailer,
    sent: SentMails,
    pauses: OutagePauses,
    /// Mails to one domain that are sent at once, in the whole fleet.
    per_domain: u32,
    product: Product,
}

impl EmailContext {
    /// # Errors
    /// The settings of the mail server are invalid.
    pub fn new(stores: &Stores, settings: &Settings) -> anyhow::Result<Self> {
        let lifetimes = &settings.auth;
        Ok(Self {
            verification: Verification::new(stores, lifetimes.verification_lifetime),
            password_resets: PasswordResets::new(stores, lifetimes.password_reset_lifetime),
            email_changes: EmailChanges::new(stores, lifetimes.email_change_lifetime),
            notices: SecurityNotices::new(stores, lifetimes.email_undo_lifetime),
            mailer: Mailer::new(&settings.smtp)?,
            sent: SentMails::new(stores),
            pauses: OutagePauses::new(stores),
            per_domain: settings.smtp.per_domain.0,
            product: Product {
                name: settings.general.product_name.clone(),
                public_url: settings.general.public_url.to_string(),
            },
        })
    }

    /// Sends the job's mail, unless the mail server has it already. It is written down before and after: the one
    /// repetition there can be is that of a worker which dies, or loses its lease, between the server's 250 and our commit.
    async fn deliver(&self, attempt: &Attempt, mut mail: Mail) -> JobResult {
        // What the server does with the mail of a domain takes as long as that domain does.
        let to = address(&mail.to)?;
        attempt
            .hold(&format!("mail:{}", to.ascii_domain()), self.per_domain)
            .await?;
        to.envelope().clone_into(&mut mail.to);
        match self.sent.begin(attempt.job).await? {
            Standing::Accepted => return Ok(()),
            Standing::Uncertain => {
                tracing::warn!("the mail may be sent twice: its last sending broke off");
            }
            Standing::New => {}
        }
        if let Err(error) = self.mailer.send(mail).await {
            return Err(self.not_sent(attempt.job, error).await?);
        }
        self.write_down(attempt.job).await;
        Ok(())
    }

    /// What a mail that was not taken means for its job, and for the queue.
    async fn not_sent(&self, job: JobId, error: MailError) -> plinth_core::Result<Failure> {
        let failure = error.failure();
        if failure != MailFailure::ConnectionLost {
            self.sent.refused(job).await?;
        }
        Ok(match failure {
            MailFailure::Permanent => Failure::permanent(error),
            MailFailure::Transient => later(error),
            // A recipient whose server is slow, or limited, fails its own mails only.
            MailFailure::ConnectionLost | MailFailure::Ambiguous
                if self.mailer.is_reachable().await =>
            {
                later(error)
            }
            MailFailure::ConnectionLost | MailFailure::Ambiguous | MailFailure::Server => {
                self.pause(&error).await?;
                later(error)
            }
        })
    }

    /// The server takes nothing from anybody: mails wait for it in the queue, and are not tried one after the other.
    async fn pause(&self, error: &MailError) -> plinth_core::Result<()> {
        let reason = error_chain::format_error_chain(error);
        if let Some(OutagePause { number, length }) =
            self.pauses.begin(Queue::Email, &reason).await?
        {
            tracing::error!(
                error = reason,
                number,
                ?length,
                "the mail server takes no mails; the queue is paused"
            );
        }
        Ok(())
    }

    /// The server has the mail. That is written however long PostgreSQL is away, since another attempt would send it
    /// again; whoever runs the handler ends it with the lease.
    async fn write_down(&self, job: JobId) {
        for failures in 1.. {
            let Err(error) = self.sent.accepted(job).await else {
                return;
            };
            let wait = backoff::STORE.draw(failures);
            tracing::warn!(%error, ?wait, "it cannot be written down yet that the server has the mail");
            tokio::time::sleep(wait).await;
        }
    }
}

/// Whose mails these are.
#[derive(Debug, Clone)]
struct Product {
    name: String,
    /// The base of the links.
    public_url: String,
}

impl Product {
    fn link(&self, page: &str) -> String {
        format!("{}/{page}", self.public_url.trim_end_matches('/'))
    }

    fn link_with_token(&self, page: &str, token: &str) -> String {
        self.link(&format!("{page}?token={token}"))
    }
}

macro_rules! templates {
    ($($name:literal),* $(,)?) => {
        [$(
            (concat!($name, ".txt"), include_str!(concat!("templates/", $name, ".txt"))),
            (concat!($name, ".html"), include_str!(concat!("templates/", $name, ".html"))),
        )*]
    };
}

/// Every template; an HTML one escapes what is put into it, and none takes a name that it was not given.
static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, text) in templates!["verification", "password_reset", "email_change", "notice"] {
        templates
            .add_template(name, text)
            .expect("a test renders every template");
    }
    templates
});

/// Writes the two parts of a mail. Every attempt of a job has the same Message-ID, so that a reader can tell a repetition.
fn compose(
    template: &str,
    job: JobId,
    to: &str,
    subject: &str,
    values: &Value,
) -> Result<Mail, minijinja::Error> {
    let part = |ending: &str| {
        TEMPLATES
            .get_template(&format!("{template}.{ending}"))?
            .render(values)
    };
    Ok(Mail {
        to: to.to_owned(),
        subject: subject.to_owned(),
        text: part("txt")?,
        html: part("html")?,
        id: job.to_string(),
    })
}

/// Tried again until the deadline of mails; the attempt is not counted.
fn later(error: MailError) -> Failure {
    Failure::PutOff {
        error: error.into(),
        backoff: backoff::MAIL,
    }
}

/// The mail as core knows it.
fn asked(attempt: &Attempt) -> Asked {
    Asked {
        at: attempt.job.minted_at(),
        again: attempt.is_repetition(),
    }
}

/// The address in a job.
fn address(text: &str) -> Result<Email, Failure> {
    Email::parse_known(text).map_err(Failure::permanent)
}

#[cfg(test)]
mod specimens {
    //! What the tests of every mail write with.

    use super::*;

    pub(super) fn job() -> JobId {
        JobId(
            "01937b1e-0000-7000-8000-000000000001"
                .parse()
                .expect("a uuid"),
        )
    }

    pub(super) fn product() -> Product {
        Product {
            name: "Difference & Engine".to_owned(),
            public_url: "https://plinth.example/".to_owned(),
        }
    }

    /// Both parts have the link; the HTML one as often as a reader needs it, and escaped.
    pub(super) fn assert_link(mail: &Mail, link: &str) {
        assert!(mail.text.contains(&format!("\n{link}\n")), "{}", mail.text);
        // The slash of an attribute is escaped too; a mail reader decodes it.
        let href = format!("href=\"{}\"", link.replace('/', "&#x2f;"));
        assert_eq!(mail.html.matches(&href).count(), 2, "{}", mail.html);
    }
}
