//! The objections of a strict mail server to a message.
//!
//! The mailbox takes every message and lists the objections with it. Tests that read a mail fail on
//! any.

use std::collections::HashMap;

/// Octets of a line, without its CRLF (RFC 5322, section 2.1.1).
const MAX_LINE: usize = 998;
/// Characters of a header line that can be folded (RFC 5322, section 2.1.1).
const MAX_FOLDED_LINE: usize = 78;
/// Characters of an encoded word, and of a line with one (RFC 2047, section 2).
const MAX_ENCODED_WORD: usize = 75;
const MAX_LINE_WITH_ENCODED_WORD: usize = 76;
/// Characters of an encoded line of a body (RFC 2045, sections 6.7 and 6.8).
const MAX_ENCODED_LINE: usize = 76;
/// Characters of a boundary (RFC 2046, section 5.1.1).
const MAX_BOUNDARY: usize = 70;

/// Fields that every mail has exactly once. `Auto-Submitted` says that no person wrote it (RFC
/// 3834, section 5).
const REQUIRED: [&str; 8] = [
    "date",
    "from",
    "to",
    "subject",
    "message-id",
    "mime-version",
    "content-type",
    "auto-submitted",
];

/// Returns the objections to a message as it came after DATA, with its dots stuffed and without the
/// last line. `is_8bit` is set if the client declared `BODY=8BITMIME`.
pub(super) fn objections(received: &[u8], is_8bit: bool) -> Vec<String> {
    let mut found = Objections::default();
    let mut lines = Vec::new();
    for line in received.split_inclusive(|byte| *byte == b'\n') {
        lines.push(found.check_line(line, is_8bit));
    }
    let text: Vec<_> = lines
        .iter()
        .map(|line| String::from_utf8_lossy(line))
        .collect();
    let lines: Vec<&str> = text.iter().map(AsRef::as_ref).collect();
    let (headers, body) = split_headers(&lines);
    found.check_message_headers(headers);
    found.check_entity(headers, body);
    found.0
}

#[derive(Default)]
struct Objections(Vec<String>);

impl Objections {
    fn object(&mut self, to: &str, line: &str) {
        let line: String = line.chars().take(120).collect();
        self.0.push(format!("{to}: {line:?}"));
    }

    /// Checks a line as it came over the wire; returns it without its end and the stuffed dot.
    fn check_line<'a>(&mut self, line: &'a [u8], is_8bit: bool) -> &'a [u8] {
        let content = line.strip_suffix(b"\r\n").unwrap_or_else(|| {
            self.object("does not end with CRLF", &String::from_utf8_lossy(line));
            line
        });
        let shown = String::from_utf8_lossy(content);
        if content.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            self.object("has a bare CR or LF, or a NUL", &shown);
        }
        if !is_8bit && !content.is_ascii() {
            self.object(
                "has octets above 127 without BODY=8BITMIME (RFC 6152)",
                &shown,
            );
        }
        let content = match content {
            [b'.', b'.', ..] => &content[1..],
            [b'.', ..] => {
                self.object(
                    "begins with a dot that was not doubled (RFC 5321, section 4.5.2)",
                    &shown,
                );
                content
            }
            _ => content,
        };
        if content.len() > MAX_LINE {
            self.object("is longer than 998 octets", &shown);
        }
        content
    }

    /// Checks the fields of the message itself.
    fn check_message_headers(&mut self, headers: &[&str]) {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for (name, _) in fields(headers) {
            *counts.entry(name).or_default() += 1;
        }
        for name in REQUIRED {
            if counts.get(name) != Some(&1) {
                self.object("is not there exactly once", name);
            }
        }
        for line in headers {
            self.check_header_line(line);
        }
        for (name, value) in fields(headers) {
            self.check_encoded_words(&value);
            if ["from", "to", "sender", "reply-to"].contains(&name.as_str()) {
                self.check_address(&value);
            }
        }
    }

    fn check_header_line(&mut self, line: &str) {
        if !line.is_ascii() {
            self.object("has a header that is not ASCII", line);
        }
        if line.trim().is_empty() || (!line.starts_with([' ', '\t']) && !line.contains(':')) {
            self.object("is no header line", line);
        }
        // White space after the name, or at the start of a folded line, is no place to fold at.
        let value = line
            .split_once(": ")
            .map_or(line, |(_, value)| value)
            .trim();
        if line.len() > MAX_FOLDED_LINE && value.contains([' ', '\t']) {
            self.object("could be folded at 78 characters", line);
        }
        if line.len() > MAX_LINE_WITH_ENCODED_WORD && line.contains("=?") {
            self.object("has an encoded word and more than 76 characters", line);
        }
    }

    /// Checks the encoded words of an unfolded value (RFC 2047, sections 2 and 5).
    fn check_encoded_words(&mut self, value: &str) {
        let mut is_quoted = false;
        for word in value.split([' ', '\t']) {
            if word.contains("=?") {
                let parts: Vec<_> = word.split('?').collect();
                let is_whole = matches!(parts[..], ["=", charset, encoding, _, "="]
                    if !charset.is_empty() && ["b", "q"].contains(&encoding.to_ascii_lowercase().as_str()));
                if !is_whole || is_quoted {
                    self.object("has an encoded word that does not stand for itself", word);
                }
                if word.len() > MAX_ENCODED_WORD {
                    self.object("has an encoded word of more than 75 characters", word);
                }
            }
            is_quoted ^= word.matches('"').count() % 2 == 1;
        }
    }

    fn check_address(&mut self, value: &str) {
        let address = value
            .rsplit_once('<')
            .and_then(|(_, rest)| rest.split_once('>'))
            .map_or(value, |(it, _)| it);
        if !address.contains('@') || address.contains([' ', '?']) {
            self.object("has no plain address", value);
        }
    }

    /// Checks the body of the message, or of one of its parts.
    fn check_entity(&mut self, headers: &[&str], body: &[&str]) {
        let fields: HashMap<_, _> = fields(headers).collect();
        let kind = fields
            .get("content-type")
            .map_or("text/plain", String::as_str);
        if kind.starts_with("multipart/") {
            return self.check_parts(kind, body);
        }
        let encoding = fields
            .get("content-transfer-encoding")
            .map_or("7bit", String::as_str);
        let is_right: fn(&str) -> bool = match encoding.to_ascii_lowercase().as_str() {
            "7bit" => str::is_ascii,
            "8bit" => |_| true,
            "quoted-printable" => is_quoted_printable,
            "base64" => is_base64,
            _ => |_| false,
        };
        for line in body.iter().filter(|line| !is_right(line)) {
            self.object(&format!("is not {encoding}"), line);
        }
    }

    fn check_parts(&mut self, kind: &str, body: &[&str]) {
        let boundary = kind.split_once("boundary=").map_or("", |(_, rest)| rest);
        let boundary = boundary
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .trim_matches('"');
        if boundary.is_empty() || boundary.len() > MAX_BOUNDARY {
            return self.object("has no usable boundary", kind);
        }
        let (delimiter, end) = (format!("--{boundary}"), format!("--{boundary}--"));
        let Some(last) = body.iter().position(|line| line.trim_end() == end) else {
            return self.object("has no closing delimiter", kind);
        };
        let mut parts = body[..last].split(|line| line.trim_end() == delimiter);
        // The text before the first delimiter belongs to no part.
        parts.next();
        let mut count = 0;
        for part in parts {
            let (headers, body) = split_headers(part);
            for line in headers {
                self.check_header_line(line);
            }
            self.check_entity(headers, body);
            count += 1;
        }
        if count == 0 {
            self.object("has no parts", kind);
        }
    }
}

/// The lines before the first empty one, and those after it.
fn split_headers<'a, 'b>(lines: &'a [&'b str]) -> (&'a [&'b str], &'a [&'b str]) {
    match lines.iter().position(|line| line.is_empty()) {
        Some(end) => (&lines[..end], &lines[end + 1..]),
        None => (lines, &[]),
    }
}

/// The fields, unfolded: names in lower case, and values.
fn fields(headers: &[&str]) -> impl Iterator<Item = (String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in headers {
        match (line.split_once(':'), fields.last_mut()) {
            (_, Some((_, value))) if line.starts_with([' ', '\t']) => value.push_str(line),
            (Some((name, value)), _) => {
                fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            _ => {}
        }
    }
    fields.into_iter()
}

/// RFC 2045, section 6.7: `=` stands before two hexadecimal digits in upper case or at the end,
/// which is no white space.
fn is_quoted_printable(line: &str) -> bool {
    let is_hexadecimal = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    let (encoded, is_soft) = line
        .strip_suffix('=')
        .map_or((line, false), |encoded| (encoded, true));
    line.len() <= MAX_ENCODED_LINE
        && line.is_ascii()
        && (is_soft || !line.ends_with([' ', '\t']))
        && encoded.split('=').skip(1).all(|rest| {
            rest.as_bytes()
                .first_chunk::<2>()
                .is_some_and(|digits| digits.iter().all(is_hexadecimal))
        })
}

fn is_base64(line: &str) -> bool {
    line.len() <= MAX_ENCODED_LINE
        && line
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Date: Tue, 01 Dec 2026 12:00:00 +0000\r\n\
        From: =?utf-8?b?R3LDvMOfZQ==?= <no-reply@plinth.test>\r\n\
        To: ada@example.org\r\n\
        Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
        Message-ID: <1@plinth.test>\r\n\
        MIME-Version: 1.0\r\n\
        Auto-Submitted: auto-generated\r\n\
        Content-Type: multipart/alternative;\r\n boundary=\"b\"\r\n\r\n\
        --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n..dot\r\n\
        --b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        <p>Gr=C3=BC=C3=9F=\r\ne</p>\r\n\
        --b--\r\n";

    #[test]
    fn a_good_mail_is_taken() {
        assert_eq!(objections(GOOD.as_bytes(), false), Vec::<String>::new());
        let raw = GOOD.replace("7bit", "8bit").replace("..dot", "Grüße");
        assert_eq!(objections(raw.as_bytes(), true), Vec::<String>::new());
    }

    #[test]
    fn each_fault_is_objected_to() {
        let long_word = format!("=?utf-8?q?{}?=", "a".repeat(70));
        let words = format!("Subject: {}", "word ".repeat(20));
        for (right, wrong, objection) in [
            ("To: ada@example.org\r\n", "To: ada@example.org\n", "CRLF"),
            ("..dot", "a\rb", "bare CR"),
            ("..dot", &"a".repeat(999), "998"),
            ("..dot", ".dot", "doubled"),
            ("..dot", "Grüße", "8BITMIME"),
            ("..dot", "Grüße", "7bit"),
            (
                "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=",
                "Subject: Grüße",
                "not ASCII",
            ),
            ("Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=", &words, "folded"),
            ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", &long_word, "75 characters"),
            (
                "=?utf-8?q?Gr=C3=BC=C3=9Fe?=",
                "\"a =?utf-8?q?a?= b\"",
                "stand for itself",
            ),
            (
                "=?utf-8?q?Gr=C3=BC=C3=9Fe?=",
                "a=?utf-8?q?a?=",
                "stand for itself",
            ),
            (
                "<no-reply@plinth.test>",
                "<=?utf-8?q?a?=@plinth.test>",
                "plain address",
            ),
            ("Auto-Submitted: auto-generated\r\n", "", "auto-submitted"),
            (
                "MIME-Version: 1.0\r\n",
                "MIME-Version: 1.0\r\nMIME-Version: 1.0\r\n",
                "mime-version",
            ),
            ("--b--", "--b", "closing delimiter"),
            ("Gr=C3=BC=C3=9F=\r\n", "Gr=c3=bc\r\n", "quoted-printable"),
            ("<p>Gr", &"a".repeat(77), "quoted-printable"),
        ] {
            assert!(GOOD.contains(right), "{right}");
            let found = objections(GOOD.replacen(right, wrong, 1).as_bytes(), false);
            assert!(
                found.iter().any(|found| found.contains(objection)),
                "{wrong:?}: {found:?}"
            );
        }
    }
}
