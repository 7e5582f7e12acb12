//! Upload-Metadata: pairs of a key and a value in base64, separated by commas.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plinth_core::{Error, Result};
use plinth_domain::file::FileName;
use plinth_domain::rejection::Rejection;

const POINTER: &str = "/header/upload-metadata";

/// The maximum length of the metadata of an upload, in bytes.
const MAX_BYTES: usize = 4096;

/// The metadata that a client sends with an upload.
pub(super) struct Metadata {
    name: FileName,
    /// The field as the client sent it, for the response to HEAD.
    text: Option<String>,
}

impl Metadata {
    pub(super) fn parse(text: Option<String>) -> Result<Self> {
        let text = text.filter(|text| !text.is_empty());
        if text.as_ref().is_some_and(|text| text.len() > MAX_BYTES) {
            let detail = format!("Expected at most {MAX_BYTES} bytes.");
            return Err(Error::invalid(POINTER, Rejection::new("too_long", detail)));
        }
        Ok(Self {
            name: parse_file_name(text.as_deref())?,
            text,
        })
    }

    /// Returns the name of the file, and the field as the client sent it.
    pub(super) fn parts(&self) -> (&FileName, Option<&str>) {
        (&self.name, self.text.as_deref())
    }
}

/// Returns the file's name: `filename`, or `name`, which some clients send. The type that the
/// client sent is ignored.
fn parse_file_name(metadata: Option<&str>) -> Result<FileName> {
    let malformed = || {
        let detail = "Expected keys with values in base64, separated by commas.";
        Error::invalid(POINTER, Rejection::new("invalid_metadata", detail))
    };
    let mut name = None;
    for pair in metadata
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
    {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        if matches!(key, "filename" | "name") && name.is_none() {
            let value = STANDARD.decode(value.trim()).map_err(|_| malformed())?;
            name = Some(String::from_utf8(value).map_err(|_| malformed())?);
        }
    }
    let name = name
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "upload".to_owned());
    FileName::clean(&name).map_err(|rejection| Error::invalid(POINTER, rejection))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_among_other_keys() {
        for (metadata, expected) in [
            (None, "upload"),
            (Some(""), "upload"),
            (Some("is_confidential"), "upload"),
            (
                Some("filetype aW1hZ2UvcG5n,filename d29ybGQucG5n"),
                "world.png",
            ),
            (Some("name d29ybGQucG5n, filename Zm9v"), "world.png"),
        ] {
            assert_eq!(
                parse_file_name(metadata).expect("reads").as_str(),
                expected,
                "{metadata:?}"
            );
        }
        for wrong in ["filename !", "filename Li4=", "filename /w=="] {
            assert!(parse_file_name(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
