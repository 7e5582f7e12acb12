//! Upload-Metadata: pairs of a key and a value in base64, separated by commas.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plinth_core::{Error, Result};
use plinth_domain::file::FileName;
use plinth_domain::rejection::Rejection;

/// The file's name among them: `filename`, or `name` as some clients say. What a client says of the type is not believed.
pub(super) fn name(metadata: Option<&str>) -> Result<FileName> {
    let pointer = "/header/upload-metadata";
    let malformed = || {
        let detail = "Keys with values in base64 are expected, separated by commas.";
        Error::invalid(pointer, Rejection::new("invalid_metadata", detail))
    };
    let mut name = None;
    for pair in metadata.unwrap_or_default().split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        if matches!(key, "filename" | "name") && name.is_none() {
            let value = STANDARD.decode(value.trim()).map_err(|_| malformed())?;
            name = Some(String::from_utf8(value).map_err(|_| malformed())?);
        }
    }
    let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| "upload".to_owned());
    FileName::parse(&name).map_err(|rejection| Error::invalid(pointer, rejection))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_among_others() {
        for (metadata, expected) in [
            (None, "upload"),
            (Some(""), "upload"),
            (Some("is_confidential"), "upload"),
            (Some("filetype aW1hZ2UvcG5n,filename d29ybGQucG5n"), "world.png"),
            (Some("name d29ybGQucG5n, filename Zm9v"), "world.png"),
        ] {
            assert_eq!(name(metadata).expect("reads").as_str(), expected, "{metadata:?}");
        }
        for wrong in ["filename !", "filename Li4=", "filename /w=="] {
            assert!(name(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
