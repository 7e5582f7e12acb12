//! Text: what is text at all, documents that are written in it, and the forms that a name tells apart.

use serde::de::IgnoredAny;

use super::signatures;

pub(super) const PLAIN: &str = "text/plain";

/// The beginning as text: UTF-8 without control characters except the usual white space. It may end within a character.
pub(super) fn of(beginning: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&beginning[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return None,
    };
    let is_text = !text.is_empty()
        && !text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}'));
    is_text.then_some(text)
}

/// The media type of a document whose source can be text throughout.
pub(super) fn document(text: &str) -> Option<&'static str> {
    let text = without_mark(text);
    if is_pdf_header(text) {
        Some("application/pdf")
    } else if text
        .strip_prefix("{\\rtf")
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    {
        Some("application/rtf")
    } else if signatures::is_postscript(text.as_bytes()) {
        Some("application/postscript")
    } else {
        None
    }
}

/// `%PDF-1.7` on a line of its own (ISO 32000-1, section 7.5.2).
fn is_pdf_header(text: &str) -> bool {
    let Some(version) = text
        .strip_prefix("%PDF-")
        .and_then(|rest| rest.lines().next())
    else {
        return false;
    };
    let version = version.trim_end();
    version.len() == 3
        && version.split_once('.').is_some_and(|(major, minor)| {
            [major, minor]
                .iter()
                .all(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        })
}

/// What the content of a text allows it to be, if its name says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Form {
    /// As far as it is seen, one JSON value (RFC 8259).
    is_json: bool,
    /// An XML document whose root element is `svg`.
    is_svg: bool,
}

impl Form {
    pub(super) fn of(text: &str, is_cut: bool) -> Self {
        Self {
            is_json: is_json(text, is_cut),
            is_svg: root_element(text) == Some("svg"),
        }
    }

    /// The media type of a text of this form and name. Pages and scripts have none of their own, and so stay plain text.
    pub(super) fn media_type(self, name: &str) -> &'static str {
        let extension = name
            .rsplit_once('.')
            .map(|(_, extension)| extension.to_ascii_lowercase());
        match extension.as_deref() {
            Some("csv") => "text/csv",
            Some("md" | "markdown") => "text/markdown",
            Some("css") => "text/css",
            Some("json") if self.is_json => "application/json",
            Some("svg") if self.is_svg => "image/svg+xml",
            _ => PLAIN,
        }
    }
}

fn is_json(text: &str, is_cut: bool) -> bool {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => true,
        Err(error) => is_cut && error.is_eof(),
    }
}

/// The local name of the root element of an XML document: what follows the declaration, comments, processing instructions
/// and the document type (XML 1.0, section 2.8). `None` if there is no such element in what is seen.
fn root_element(text: &str) -> Option<&str> {
    let mut rest = without_mark(text);
    loop {
        rest = rest.trim_start();
        rest = if let Some(comment) = rest.strip_prefix("<!--") {
            after(comment, "-->")?
        } else if let Some(instruction) = rest.strip_prefix("<?") {
            after(instruction, "?>")?
        } else if let Some(declaration) = rest.strip_prefix("<!DOCTYPE") {
            after_document_type(declaration)?
        } else {
            break;
        };
    }
    let tag = rest.strip_prefix('<')?;
    let end = tag.find(|c: char| c.is_whitespace() || matches!(c, '>' | '/'))?;
    let name = &tag[..end];
    Some(name.split_once(':').map_or(name, |(_, local)| local))
}

/// What follows the document type, which may have declarations in brackets.
fn after_document_type(declaration: &str) -> Option<&str> {
    let end = declaration.find(['[', '>'])?;
    let rest = &declaration[end..];
    if rest.starts_with('[') {
        after(after(rest, "]")?, ">")
    } else {
        after(rest, ">")
    }
}

fn after<'a>(text: &'a str, end: &str) -> Option<&'a str> {
    text.split_once(end).map(|(_, rest)| rest)
}

/// Without the byte order mark, which is no part of the text.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}
