//! One caught message, read from the bytes that arrived.

use mail_parser::{Address, Message as Parsed, MessageParser, MimeHeaders as _, PartType};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

/// Sender and recipients as SMTP named them; the headers can differ.
#[derive(Debug, Clone, Default)]
pub(crate) struct Envelope {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
}

/// A message as the JSON list shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Message {
    pub(crate) id: Uuid,
    /// The bare address of the From header, else of the envelope.
    pub(crate) from: String,
    /// The recipients' bare addresses from the envelope, separated by `, `.
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) text: Option<String>,
    pub(crate) html: Option<String>,
    /// Whether a person wrote the message (RFC 3834).
    pub(crate) auto_submitted: Option<String>,
    /// The objections of a strict server.
    pub(crate) objections: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) received_at: OffsetDateTime,
}

impl Message {
    /// Reads a message. Bytes that are no message become one with themselves as its text.
    pub(crate) fn read(envelope: &Envelope, bytes: &[u8], received_at: OffsetDateTime) -> Self {
        let parsed = MessageParser::default().parse(bytes);
        let parsed = parsed.as_ref();
        let text = parsed.and_then(plain_text);
        let html = parsed.and_then(html_text);
        let nothing = text.is_none() && html.is_none();
        Self {
            id: Uuid::new_v4(),
            from: parsed
                .and_then(Parsed::from)
                .and_then(Address::first)
                .and_then(|address| address.address())
                .map_or_else(|| envelope.from.clone(), str::to_owned),
            to: envelope.to.join(", "),
            subject: parsed
                .and_then(Parsed::subject)
                .unwrap_or_default()
                .to_owned(),
            text: if nothing {
                Some(String::from_utf8_lossy(bytes).into_owned())
            } else {
                text
            },
            html,
            auto_submitted: parsed
                .and_then(|message| message.header_raw("Auto-Submitted"))
                .map(|value| value.trim().to_owned()),
            objections: Vec::new(),
            received_at,
        }
    }

    /// Returns its approximate size in memory, in bytes.
    pub(crate) fn weight(&self) -> usize {
        let parts = [&self.text, &self.html];
        let bodies: usize = parts
            .into_iter()
            .flatten()
            .chain(&self.objections)
            .map(String::len)
            .sum();
        512 + self.from.len() + self.to.len() + self.subject.len() + bodies
    }

    /// Returns whether the message was sent to this address.
    pub(crate) fn is_for(&self, address: &str) -> bool {
        self.to
            .split(", ")
            .any(|recipient| recipient.eq_ignore_ascii_case(address))
    }
}

/// Returns the first part that was sent as plain text; never one made from HTML.
fn plain_text(message: &Parsed<'_>) -> Option<String> {
    message
        .parts
        .iter()
        .filter(|part| part.attachment_name().is_none())
        .find_map(|part| match &part.body {
            PartType::Text(text) => Some(text.clone().into_owned()),
            _ => None,
        })
}

fn html_text(message: &Parsed<'_>) -> Option<String> {
    message
        .parts
        .iter()
        .filter(|part| part.attachment_name().is_none())
        .find_map(|part| match &part.body {
            PartType::Html(html) => Some(html.clone().into_owned()),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Message {
        let envelope = Envelope {
            from: "bounce@plinth.test".to_owned(),
            to: vec!["ada@example.org".to_owned(), "bob@example.org".to_owned()],
        };
        Message::read(&envelope, bytes, OffsetDateTime::UNIX_EPOCH)
    }

    #[test]
    fn both_parts_of_an_alternative_are_read_and_decoded() {
        let message = read(
            b"From: Plinth <no-reply@plinth.test>\r\nTo: ada@example.org\r\nAuto-Submitted: auto-generated\r\n\
              Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\n\
              Content-Type: multipart/alternative; boundary=b\r\n\r\n\
              --b\r\nContent-Type: text/plain; charset=utf-8\r\n\
              Content-Transfer-Encoding: quoted-printable\r\n\r\nlink: http://x/?a=3Db\r\n\
              --b\r\nContent-Type: text/html\r\n\r\n<p>link</p>\r\n--b--\r\n",
        );
        assert_eq!(message.from, "no-reply@plinth.test");
        assert_eq!(message.to, "ada@example.org, bob@example.org");
        assert_eq!(message.subject, "Gr\u{fc}\u{df}e");
        assert_eq!(
            message.text.as_deref().map(str::trim),
            Some("link: http://x/?a=b")
        );
        assert_eq!(message.html.as_deref().map(str::trim), Some("<p>link</p>"));
        assert_eq!(message.auto_submitted.as_deref(), Some("auto-generated"));
    }

    #[test]
    fn a_message_without_an_html_part_has_none() {
        let message = read(b"Subject: a\r\n\r\nhello\r\n");
        assert_eq!(message.text.as_deref(), Some("hello\r\n"));
        assert_eq!((message.html, message.auto_submitted), (None, None));
        assert_eq!(message.from, "bounce@plinth.test");
    }

    #[test]
    fn a_recipient_is_recognised_whatever_its_case() {
        let message = read(b"Subject: a\r\n\r\nhello\r\n");
        assert!(message.is_for("Bob@Example.org"));
        assert!(!message.is_for("ob@example.org"));
    }

    #[test]
    fn bytes_that_are_no_message_are_shown_as_text() {
        let message = read(b"");
        assert_eq!(message.subject, "");
        assert!(message.text.is_some());
    }
}
