//! Outgoing mail over SMTP, with text and HTML in one message.

use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Message, SmtpTransport, Transport as _};
use plinth_domain::email::Email;

use crate::settings::SmtpSettings;

/// A message to one recipient.
#[derive(Clone)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// The left side of the Message-ID. Every attempt to send this message uses the same one.
    pub id: String,
}

/// The reason why the mail server did not accept a mail.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error("the recipient's address is invalid for SMTP: {0}")]
    Address(#[from] lettre::address::AddressError),
    #[error("failed to build the mail: {0}")]
    Message(#[from] lettre::error::Error),
    #[error(
        "the part of the address before the @ is not ASCII, and the mail server does not support that (SMTPUTF8): {0}"
    )]
    LocalPart(#[source] lettre::transport::smtp::Error),
    #[error("failed to connect to the mail server: {0}")]
    Connection(#[source] lettre::transport::smtp::Error),
    #[error("the mail server did not accept the mail: {0}")]
    Server(#[source] lettre::transport::smtp::Error),
    #[error("the task that sends the mail ended early: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// The cause of a failure: this mail, the server, or unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailFailure {
    /// This mail was rejected permanently: another attempt cannot help (RFC 5321, section 4.2.1: a
    /// 5yz reply).
    Permanent,
    /// This mail was rejected for now (a 4yz reply), for example for a full mailbox or by
    /// greylisting.
    Transient,
    /// The server accepts no mail from this installation: it is unreachable or rejects the login.
    Server,
    /// Either the server or this mail: some servers give a reply about the service to one recipient
    /// only. The server does not have the mail.
    Ambiguous,
    /// The connection was lost while the mail was sent: either the server or this mail is the
    /// cause, and the server may have the mail.
    ConnectionLost,
}

/// Reply codes about the login rather than about a mail (RFC 4954, section 6).
const LOGIN_REPLIES: [&str; 4] = ["530", "534", "535", "538"];

/// Reply codes that should be about the service (RFC 5321, section 4.2.3; RFC 4954, section 6).
/// Servers also give them to one mail, for example when they limit a recipient.
const AMBIGUOUS_REPLIES: [&str; 2] = ["421", "454"];

impl MailError {
    /// Classifies the error by its cause.
    pub fn failure(&self) -> MailFailure {
        let error = match self {
            Self::Address(_) | Self::Message(_) | Self::LocalPart(_) => {
                return MailFailure::Permanent;
            }
            Self::Interrupted(_) => return MailFailure::ConnectionLost,
            Self::Connection(error) => {
                let code = error.status().map(|code| code.to_string());
                let is_ambiguous =
                    code.is_some_and(|code| AMBIGUOUS_REPLIES.contains(&code.as_str()));
                return if is_ambiguous {
                    MailFailure::Ambiguous
                } else {
                    MailFailure::Server
                };
            }
            Self::Server(error) => error,
        };
        if let Some(code) = error.status() {
            return match code.to_string().as_str() {
                code if LOGIN_REPLIES.contains(&code) => MailFailure::Server,
                code if AMBIGUOUS_REPLIES.contains(&code) => MailFailure::Ambiguous,
                _ if error.is_permanent() => MailFailure::Permanent,
                _ => MailFailure::Transient,
            };
        }
        // The kinds of lettre's errors are private. The tests below pin their texts.
        let text = error.to_string();
        if error.is_client() && text.contains("8BITMIME") {
            return MailFailure::Permanent;
        }
        if error.is_client() || error.is_tls() || text.starts_with("Connection error") {
            return MailFailure::Server;
        }
        MailFailure::ConnectionLost
    }
}

/// The header that marks an automatic mail, so that no vacation notice answers it (RFC 3834).
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
    /// Blocking: only this transport of lettre has a deadline for every reply. The asynchronous one
    /// has a deadline for the connection alone, and waits without end for a server that does not
    /// reply.
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

    /// Sends the mail. Returns `Ok` after the server has replied 250.
    pub async fn send(&self, mail: Mail) -> Result<(), MailError> {
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, mail.to.parse()?))
            .subject(mail.subject)
            .header(AutoSubmitted)
            .message_id(Some(format!("<{}@{}>", mail.id, self.from.email.domain())))
            .multipart(MultiPart::alternative_plain_html(mail.text, mail.html))?;
        self.run_blocking(move |transport| {
            // lettre returns the same errors for a failed connection and for a mail that may have
            // been sent, so the connection is tested first. An open connection is reused for the
            // mail.
            transport.test_connection().map_err(MailError::Connection)?;
            match transport.send(&message) {
                Ok(_) => Ok(()),
                // lettre itself rejects the envelope if the server has not announced SMTPUTF8 (RFC
                // 6531, section 3.2).
                Err(error) if error.is_client() && error.to_string().contains("SMTPUTF8") => {
                    Err(MailError::LocalPart(error))
                }
                Err(error) => Err(MailError::Server(error)),
            }
        })
        .await?
    }

    /// Returns whether the server accepts a connection and answers on it.
    pub async fn is_reachable(&self) -> bool {
        matches!(
            self.run_blocking(SmtpTransport::test_connection).await,
            Ok(Ok(true))
        )
    }

    /// Runs `exchange` on a blocking thread. It runs to its end even if the caller stops waiting.
    async fn run_blocking<T: Send + 'static>(
        &self,
        exchange: impl FnOnce(&SmtpTransport) -> T + Send + 'static,
    ) -> Result<T, MailError> {
        let transport = self.transport.clone();
        Ok(tokio::task::spawn_blocking(move || exchange(&transport)).await?)
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

    /// Starts a server that sends `reply` to every command that begins with `command`, or closes
    /// the connection if `reply` is `None`. An empty command makes `reply` the greeting. The server
    /// announces no extensions.
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
    async fn each_failure_is_attributed_to_the_mail_or_to_the_server() {
        let closed = TcpListener::bind("127.0.0.1:0")
            .expect("a free port")
            .local_addr()
            .expect("is bound");
        // Accepts connections and never replies.
        let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
        for (url, expected) in [
            (format!("smtp://{closed}"), MailFailure::Server),
            (
                format!("smtp://{}", silent.local_addr().expect("is bound")),
                MailFailure::Server,
            ),
            (server("", Some("421 closing")), MailFailure::Ambiguous),
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
            (server("RCPT", Some("421 closing")), MailFailure::Ambiguous),
            (server("RCPT", Some("454 not now")), MailFailure::Ambiguous),
            (
                server("MAIL", Some("530 log in first")),
                MailFailure::Server,
            ),
            (server("RCPT", Some("451 later")), MailFailure::Transient),
            (server("RCPT", Some("452 full")), MailFailure::Transient),
            (server("RCPT", Some("550 unknown")), MailFailure::Permanent),
            (server("DATA", Some("554 no")), MailFailure::Permanent),
            (server("RCPT", None), MailFailure::ConnectionLost),
            (server("DATA", None), MailFailure::ConnectionLost),
        ] {
            let error = mailer(&url)
                .send(mail())
                .await
                .expect_err("the server does not accept it");
            assert_eq!(error.failure(), expected, "{url} {error}");
        }
    }

    #[tokio::test]
    async fn an_internationalized_local_part_fails_permanently_at_a_relay_without_smtputf8() {
        let to = || Mail {
            to: "grüße@example.org".to_owned(),
            ..mail()
        };
        let error = mailer(&server("VRFY", None))
            .send(to())
            .await
            .expect_err("the server does not accept it");
        assert_eq!(error.failure(), MailFailure::Permanent, "{error}");
        assert!(error.to_string().contains("SMTPUTF8"), "{error}");
        // Another missing extension is not the fault of the address.
        let url = format!("{}?tls=required", server("VRFY", None));
        let error = mailer(&url)
            .send(to())
            .await
            .expect_err("the server does not accept it");
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
