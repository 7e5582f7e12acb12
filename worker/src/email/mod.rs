//! Queue `email`: one file for each e-mail.

mod email_change;
mod password_reset;
mod render;
mod security_notice;
mod texts;
mod verification;
mod verification_resend;

use plinth_core::Stores;
use plinth_core::auth::{Asked, EmailChanges, PasswordResets, SecurityNotices, Verification};
use plinth_core::jobs::{OutagePause, OutagePauses, SendState, SentMails};
use plinth_domain::email::Email;
use plinth_domain::id::JobId;
use plinth_domain::job::Queue;
use plinth_platform::error_chain;
use plinth_platform::mailer::{Mail, MailError, MailFailure, Mailer};
use plinth_platform::settings::Settings;

use crate::attempt::Attempt;
use crate::backoff;
use crate::outcome::{Failure, JobResult};

/// The context of the handlers of this queue.
pub struct EmailContext {
    verification: Verification,
    password_resets: PasswordResets,
    email_changes: EmailChanges,
    notices: SecurityNotices,
    mailer: Mailer,
    sent: SentMails,
    pauses: OutagePauses,
    /// The number of e-mails to one domain that are sent at once in the whole fleet.
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

    /// Sends the job's e-mail unless the mail server already has it. The ledger is written before
    /// and after. An e-mail is sent twice only if the worker dies, or loses its lease, between the
    /// server's 250 and the commit.
    async fn deliver(&self, attempt: &Attempt, mut mail: Mail) -> JobResult {
        // The limit is by domain, because a slow domain slows down the mail server's replies.
        let to = parse_address(&mail.to)?;
        attempt
            .acquire_limit(&format!("mail:{}", to.ascii_domain()), self.per_domain)
            .await?;
        to.envelope().clone_into(&mut mail.to);
        match self.sent.begin(attempt.job).await? {
            SendState::Accepted => return Ok(()),
            SendState::Uncertain => {
                tracing::warn!("mail may be sent twice, the last conversation broke off");
            }
            SendState::New => {}
        }
        if let Err(error) = self.mailer.send(mail).await {
            return Err(self.classify_failure(attempt.job, error).await?);
        }
        self.record_accepted(attempt.job).await;
        Ok(())
    }

    /// Returns the failure of the job whose e-mail was not accepted. Pauses the queue if the mail
    /// server is the cause.
    async fn classify_failure(&self, job: JobId, error: MailError) -> plinth_core::Result<Failure> {
        let failure = error.failure();
        if failure != MailFailure::ConnectionLost {
            self.sent.refused(job).await?;
        }
        Ok(match failure {
            MailFailure::Permanent => Failure::permanent(error),
            MailFailure::Transient => postponed(error),
            // If the server answers others, the recipient is slow or limited.
            MailFailure::ConnectionLost | MailFailure::Ambiguous
                if self.mailer.is_reachable().await =>
            {
                postponed(error)
            }
            MailFailure::ConnectionLost | MailFailure::Ambiguous | MailFailure::Server => {
                self.pause_queue(&error).await?;
                postponed(error)
            }
        })
    }

    /// Pauses the queue because the mail server accepts no e-mails, so that they are not tried one
    /// after the other.
    async fn pause_queue(&self, error: &MailError) -> plinth_core::Result<()> {
        let reason = error_chain::format_error_chain(error);
        if let Some(OutagePause { number, length }) =
            self.pauses.begin(Queue::Email, &reason).await?
        {
            tracing::error!(
                error = reason,
                number,
                ?length,
                "mail server accepts no mails, queue paused"
            );
        }
        Ok(())
    }

    /// Records that the server has the e-mail. Retries while PostgreSQL is unavailable, because
    /// another attempt would send the e-mail again. The runner stops the handler with its lease.
    async fn record_accepted(&self, job: JobId) {
        for failures in 1.. {
            let Err(error) = self.sent.accepted(job).await else {
                return;
            };
            let wait = backoff::STORE_RETRY.random_wait(failures);
            tracing::warn!(%error, ?wait, "failed to record an accepted mail, retrying");
            tokio::time::sleep(wait).await;
        }
    }
}

/// The sender of the e-mails.
#[derive(Debug, Clone)]
struct Product {
    name: String,
    /// The base URL of the links.
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

/// Returns a failure that postpones the job until the deadline of e-mails, without counting the
/// attempt.
fn postponed(error: MailError) -> Failure {
    Failure::Postponed {
        error: error.into(),
        backoff: backoff::MAIL_RETRY,
    }
}

/// Returns when the e-mail was requested, and whether an earlier attempt may have sent it.
fn mail_request(attempt: &Attempt) -> Asked {
    Asked {
        at: attempt.job.minted_at(),
        again: attempt.is_repetition(),
    }
}

/// Parses the address in a job.
fn parse_address(text: &str) -> Result<Email, Failure> {
    Email::parse_known(text).map_err(Failure::permanent)
}

#[cfg(test)]
mod fixtures {
    //! The values that the tests of all e-mails use.

    use super::*;

    pub(super) fn job() -> JobId {
        JobId(
            "01937b1e-0000-7000-8000-000000000001"
                .parse()
                .expect("a UUID"),
        )
    }

    pub(super) fn product() -> Product {
        Product {
            name: "Difference & Engine".to_owned(),
            public_url: "https://plinth.example/".to_owned(),
        }
    }

    /// Asserts that both parts contain the link, the HTML part as a button and in full, and that
    /// they end with the sign-off.
    pub(super) fn assert_parts(mail: &Mail, link: &str) {
        assert!(mail.text.contains(&format!("\n{link}\n")), "{}", mail.text);
        // The slash is escaped in an attribute too; a mail reader decodes it.
        let href = format!("href=\"{}\"", link.replace('/', "&#x2f;"));
        assert_eq!(mail.html.matches(&href).count(), 2, "{}", mail.html);
        assert!(
            mail.text
                .ends_with("\n\nBest regards,\nDifference & Engine"),
            "{}",
            mail.text
        );
        assert!(
            mail.html
                .contains("<p>Best regards,<br>Difference &amp; Engine</p>"),
            "{}",
            mail.html
        );
    }
}
