//! Outgoing mail by SMTP, text and HTML in one message.

use std::time::Duration;

use lettre::message::{Mailbox, MultiPart};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use plinth_domain::email::Email;

use crate::settings::SmtpSettings;

/// How long the server may take for one step of the conversation.
const STEP_TIMEOUT: Duration = Duration::from_secs(20);

/// A message to one person.
#[derive(Clone)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// The left side of the Message-ID; the same for every attempt to send this message.
    pub id: String,
}

/// Why a mail was not taken.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error("the mail's address is not one that a mail can be sent to: {0}")]
    Address(#[from] lettre::address::AddressError),
    #[error("the mail cannot be written: {0}")]
    Message(#[from] lettre::error::Error),
    #[error(
        "the part of the address before the @ is not ASCII, and the mail server does not support that (SMTPUTF8): {0}"
    )]
    LocalPart(#[source] lettre::transport::smtp::Error),
    #[error("the mail server did not take the mail: {0}")]
    Server(#[from] lettre::transport::smtp::Error),
}

impl MailError {
    /// Whether another attempt cannot help (RFC 5321, section 4.2.1: a 5yz reply).
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Address(_) | Self::Message(_) | Self::LocalPart(_) => true,
            Self::Server(error) => error.is_permanent(),
        }
    }
}

/// Sends mail through the configured server.
#[derive(Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mailer {
    pub fn new(settings: &SmtpSettings) -> Result<Self, MailError> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(settings.url.expose())?
            .timeout(Some(STEP_TIMEOUT))
            .build();
        let mut from: Mailbox = settings.from.parse()?;
        // A domain as A-labels needs no SMTPUTF8.
        if let Ok(email) = Email::parse_known(from.email.as_ref()) {
            from.email = email.envelope().parse()?;
        }
        Ok(Self { transport, from })
    }

    /// Hands the mail to the server; `Ok` once it has answered 250.
    pub async fn send(&self, mail: Mail) -> Result<(), MailError> {
        let is_ascii = mail.to.is_ascii();
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, mail.to.parse()?))
            .subject(mail.subject)
            .message_id(Some(format!("<{}@{}>", mail.id, self.from.email.domain())))
            .multipart(MultiPart::alternative_plain_html(mail.text, mail.html))?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            // lettre itself refuses the envelope if the server has not announced SMTPUTF8 (RFC 6531, section 3.2).
            Err(error) if error.is_client() && !is_ascii => Err(MailError::LocalPart(error)),
            Err(error) => Err(error.into()),
        }
    }
}
