//! Outgoing mail by SMTP, text and HTML in one message.

use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Message, SmtpTransport, Transport as _};
use plinth_domain::email::Email;

use crate::settings::SmtpSettings;

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
    #[error("no conversation with the mail server was begun: {0}")]
    Connection(#[source] lettre::transport::smtp::Error),
    #[error("the mail server did not take the mail: {0}")]
    Server(#[source] lettre::transport::smtp::Error),
    #[error("the sending of the mail was interrupted: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// Whose fault it is that a mail was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailFailure {
    /// Of this mail, for good: another attempt cannot help (RFC 5321, section 4.2.1: a 5yz reply).
    Refused,
    /// Of this mail, for now (a 4yz reply): a full mailbox, greylisting.
    NotYet,
    /// Of the server, which takes no mail from us at all: it cannot be reached, or does not let us in.
    Server,
    /// Of the server or of this mail: some servers give a reply about the service to one recipient only. The server has not
    /// got the mail.
    Unclear,
    /// The conversation about the mail broke off: of the server or of this mail, and perhaps the server has the mail.
    BrokeOff,
}

/// Replies that are about the login, and not about a mail (RFC 4954, section 6).
const LOGIN_REPLIES: [&str; 4] = ["530", "534", "535", "538"];

/// Replies that should be about the service (RFC 5321, section 4.2.3; RFC 4954, section 6), and that servers also give to
/// one mail, as when they limit a recipient.
const UNCLEAR_REPLIES: [&str; 2] = ["421", "454"];

impl MailError {
    /// Whose fault it is.
    pub fn failure(&self) -> MailFailure {
        let error = match self {
            Self::Address(_) | Self::Message(_) | Self::LocalPart(_) => {
                return MailFailure::Refused;
            }
            Self::Interrupted(_) => return MailFailure::BrokeOff,
            Self::Connection(error) => {
                let code = error.status().map(|code| code.to_string());
                let is_unclear = code.is_some_and(|code| UNCLEAR_REPLIES.contains(&code.as_str()));
                return if is_unclear {
                    MailFailure::Unclear
                } else {
                    MailFailure::Server
                };
            }
            Self::Server(error) => error,
        };
        if let Some(code) = error.status() {
            return match code.to_string().as_str() {
                code if LOGIN_REPLIES.contains(&code) => MailFailure::Server,
                code if UNCLEAR_REPLIES.contains(&code) => MailFailure::Unclear,
                _ if error.is_permanent() => MailFailure::Refused,
                _ => MailFailure::NotYet,
            };
        }
        // The kinds of lettre's errors are private; their words are pinned by tests.
        let words = error.to_string();
        if error.is_client() && words.contains("8BITMIME") {
            return MailFailure::Refused;
        }
        if error.is_client() || error.is_tls() || words.starts_with("Connection error") {
            return MailFailure::Server;
        }
        MailFailure::BrokeOff
    }
}

/// Says that no person wrote the mail, so that no vacation notice answers it (RFC 3834).
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Sends mail through the configured server.
#[derive(Clone)]
pub struct Mailer {
    /// It blocks a thread of its own: only this transport of lettre's has a deadline for every reply. The asynchronous one
    /// has it for the connection alone, and waits without end for a server that says nothing.
    transport: SmtpTransport,
    from: Mailbox,
}

impl Mailer {
    pub fn new(settings: &SmtpSettings) -> Result<Self, MailError> {
        let transport =
            SmtpTransport::from_url(settings.url.expose()).map_err(MailError::Connection)?;
        let transport = transport.timeout(Some(settings.timeout)).build();
        let mut from: Mailbox = settings.from.parse()?;
        // A domain as A-labels needs no SMTPUTF8.
        if let Ok(email) = Email::parse_known(from.email.as_ref()) {
            from.email = email.envelope().parse()?;
        }
        Ok(Self { transport, from })
    }

    /// Hands the mail to the server; `Ok` once it has answered 250.
    pub async fn send(&self, mail: Mail) -> Result<(), MailError> {
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, mail.to.parse()?))
            .subject(mail.subject)
            .header(AutoSubmitted)
            .message_id(Some(format!("<{}@{}>", mail.id, self.from.email.domain())))
            .multipart(MultiPart::alternative_plain_html(mail.text, mail.html))?;
        self.converse(move |transport| {
            // lettre gives the same errors for a connection that breaks and for a mail that may have gone. A connection
            // that stands is kept, and the mail is sent by it.
            transport.test_connection().map_err(MailError::Connection)?;
            match transport.send(&message) {
                Ok(_) => Ok(()),
                // lettre itself refuses the envelope if the server has not announced SMTPUTF8 (RFC 6531, section 3.2).
                Err(error) if error.is_client() && error.to_string().contains("SMTPUTF8") => {
                    Err(MailError::LocalPart(error))
                }
                Err(error) => Err(MailError::Server(error)),
            }
        })
        .await?
    }

    /// Whether the server takes a connection and answers on it.
    pub async fn answers(&self) -> bool {
        matches!(
            self.converse(SmtpTransport::test_connection).await,
            Ok(Ok(true))
        )
    }

    /// A conversation that has begun goes on if nobody waits for its end any more.
    async fn converse<T: Send + 'static>(
        &self,
        conversation: impl FnOnce(&SmtpTransport) -> T + Send + 'static,
    ) -> Result<T, MailError> {
        let transport = self.transport.clone();
        Ok(tokio::task::spawn_blocking(move || conversation(&transport)).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    fn mailer(url: &str) -> Mailer {
        let transport = SmtpTransport::from_url(url).expect("a URL");
        let transport = transport.timeout(Some(Duration::from_millis(300))).build();
        Mailer {
            transport,
            from: "a@example.org".parse().expect("an address"),
        }
    }

    fn mail() -> Mail {
        let text = String::from("x");
        Mail {
            to: "b@example.org".to_owned(),
            subject: text.clone(),
            text: text.clone(),
            html: text,
            id: "1".to_owned(),
        }
    }

    /// A server that answers a command that begins so with this reply, or goes away without one. It greets with the reply
    /// if no command is named, and announces no extensions.
    fn server(command: &'static str, reply: Option<&'static str>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("smtp://{}", listener.local_addr().expect("is bound"));
        std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("a client");
            let mut lines = BufReader::new(socket.try_clone().expect("a copy")).lines();
            let _ = write!(
                socket,
                "{}\r\n",
                if command.is_empty() {
                    reply.unwrap_or("")
                } else {
                    "220 test"
                }
            );
            while let Some(Ok(line)) = lines.next() {
                let reply = if line.starts_with(command) {
                    reply
                } else {
                    Some("250 ok")
                };
                let Some(reply) = reply else { return };
                let _ = write!(socket, "{reply}\r\n");
            }
        });
        url
    }

    #[tokio::test]
    async fn a_failure_is_charged_to_the_mail_or_to_the_server() {
        let closed = TcpListener::bind("127.0.0.1:0")
            .expect("a free port")
            .local_addr()
            .expect("is bound");
        // It takes connections and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
        for (url, expected) in [
            (format!("smtp://{closed}"), MailFailure::Server),
            (
                format!("smtp://{}", silent.local_addr().expect("is bound")),
                MailFailure::Server,
            ),
            (server("", Some("421 closing")), MailFailure::Unclear),
            (
                server("", Some("554 no service for you")),
                MailFailure::Server,
            ),
            (server("EHLO", None), MailFailure::Server),
            (server("EHLO", Some("502 what?")), MailFailure::Server),
            (
                format!("{}?tls=required", server("STARTTLS", None)),
                MailFailure::Server,
            ),
            (server("RCPT", Some("421 closing")), MailFailure::Unclear),
            (server("RCPT", Some("454 not now")), MailFailure::Unclear),
            (
                server("MAIL", Some("530 log in first")),
                MailFailure::Server,
            ),
            (server("RCPT", Some("451 later")), MailFailure::NotYet),
            (server("RCPT", Some("452 full")), MailFailure::NotYet),
            (server("RCPT", Some("550 unknown")), MailFailure::Refused),
            (server("DATA", Some("554 no")), MailFailure::Refused),
            (server("RCPT", None), MailFailure::BrokeOff),
            (server("DATA", None), MailFailure::BrokeOff),
        ] {
            let error = mailer(&url).send(mail()).await.expect_err("is not taken");
            assert_eq!(error.failure(), expected, "{url} {error}");
        }
    }

    #[tokio::test]
    async fn an_internationalized_local_part_is_refused_by_a_relay_without_smtputf8() {
        let to = || Mail {
            to: "grüße@example.org".to_owned(),
            ..mail()
        };
        let error = mailer(&server("VRFY", None))
            .send(to())
            .await
            .expect_err("is not taken");
        assert_eq!(error.failure(), MailFailure::Refused, "{error}");
        assert!(error.to_string().contains("SMTPUTF8"), "{error}");
        // What else is missing at the relay is no fault of the address.
        let url = format!("{}?tls=required", server("VRFY", None));
        let error = mailer(&url).send(to()).await.expect_err("is not taken");
        assert_eq!(error.failure(), MailFailure::Server, "{error}");
    }

    #[tokio::test]
    async fn a_mail_in_any_script_needs_no_8bitmime() {
        let text = "Grüße 🏭 ".repeat(300);
        let mail = Mail {
            subject: text.clone(),
            text: text.clone(),
            html: text,
            ..mail()
        };
        mailer(&server("VRFY", None))
            .send(mail)
            .await
            .expect("the mail is ASCII on the wire");
    }
}
