//! The type of a file, from its first bytes; what a client says of it is never believed.

/// Bytes that are enough for every signature and for telling text from anything else.
pub(super) const ENOUGH: usize = 8 * 1024;

/// The media type that the beginning of a file shows. Markup and scripts are plain text: a browser must not run them.
pub(super) fn content_type(beginning: &[u8]) -> &'static str {
    match infer::get(beginning) {
        Some(kind) if !matches!(kind.mime_type(), "text/html" | "text/xml" | "text/x-shellscript") => {
            kind.mime_type()
        }
        _ if is_text(beginning) => "text/plain",
        _ => "application/octet-stream",
    }
}

/// UTF-8 without control characters but the usual white space; the cut may be within a character.
fn is_text(beginning: &[u8]) -> bool {
    let text = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&beginning[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_decide() {
        assert_eq!(content_type(b"\xff\xd8\xff\xe0\0\x10JFIF"), "image/jpeg");
        assert_eq!(content_type(b"\x89PNG\r\n\x1a\n"), "image/png");
        assert_eq!(content_type(b"%PDF-1.7"), "application/pdf");
        assert_eq!(content_type("Grüße\n".as_bytes()), "text/plain");
        assert_eq!(content_type(&"ü".as_bytes()[..1]), "application/octet-stream");
        assert_eq!(content_type(b"<!DOCTYPE html><script>alert(1)</script>"), "text/plain");
        assert_eq!(content_type(b"<?xml version=\"1.0\"?><svg/>"), "text/plain");
        assert_eq!(content_type(b"#!/bin/sh\nrm -rf /"), "text/plain");
        assert_eq!(content_type(b"\0\x01\x02"), "application/octet-stream");
        assert_eq!(content_type(b""), "application/octet-stream");
    }
}
