//! The type of a file, from its first bytes and, for a text, its name. What a client says of the type is ignored.

mod signatures;
mod text;

/// Bytes that are enough for every signature and to tell text from anything else.
pub(super) const ENOUGH: usize = 8 * 1024;

/// What the beginning of a file shows about its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Detected {
    /// The media type that the bytes alone show. Equal bytes have the same one, whatever their names.
    pub(super) media_type: &'static str,
    form: text::Form,
}

impl Detected {
    /// The media type of a file with these bytes and this name. The name's extension tells forms of text apart and
    /// nothing else.
    pub(super) fn named(self, name: &str) -> &'static str {
        match self.media_type {
            text::PLAIN => self.form.media_type(name),
            other => other,
        }
    }
}

/// Detects the type of a file of which these are the first bytes, at least [`ENOUGH`] of them or all. Markup and scripts
/// are plain text: a browser must not run them.
pub(super) fn detect(beginning: &[u8]) -> Detected {
    let beginning = &beginning[..beginning.len().min(ENOUGH)];
    let Some(text) = text::of(beginning) else {
        let media_type = signatures::media_type(beginning).unwrap_or("application/octet-stream");
        return Detected {
            media_type,
            form: text::Form::default(),
        };
    };
    // Only with fewer bytes than asked for is it known that these are all.
    let is_cut = beginning.len() == ENOUGH;
    match text::document(text) {
        Some(media_type) => Detected {
            media_type,
            form: text::Form::default(),
        },
        None => Detected {
            media_type: text::PLAIN,
            form: text::Form::of(text, is_cut),
        },
    }
}

#[cfg(test)]
mod tests;
