//! Upload-Checksum: what the bytes of one request hash to.

use aws_lc_rs::digest::{Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plinth_core::{Error, Result};
use plinth_domain::rejection::Rejection;

/// The algorithms that are compared. tus asks for SHA-1; it finds errors and proves nothing.
pub(super) const ALGORITHMS: &str = "sha256,sha1";

/// A checksum that is compared with the bytes as they pass.
pub(super) struct Checksum {
    context: Context,
    expected: Vec<u8>,
}

impl Checksum {
    pub(super) fn read(header: &str) -> Result<Self> {
        let rejected = |detail| {
            Error::invalid(
                "/header/upload-checksum",
                Rejection::new("invalid_checksum", detail),
            )
        };
        let (name, value) = header
            .trim()
            .split_once(' ')
            .ok_or_else(|| rejected("An algorithm and base64 are expected."))?;
        let algorithm: &'static Algorithm = match name {
            "sha256" => &SHA256,
            "sha1" => &SHA1_FOR_LEGACY_USE_ONLY,
            _ => return Err(rejected("sha256 and sha1 are compared.")),
        };
        let expected = STANDARD
            .decode(value.trim())
            .map_err(|_| rejected("The value is not base64."))?;
        Ok(Self {
            context: Context::new(algorithm),
            expected,
        })
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    pub(super) fn matches(self) -> bool {
        self.context.finish().as_ref() == self.expected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_met(header: &str, bytes: &[u8]) -> bool {
        let mut checksum = Checksum::read(header).expect("reads");
        checksum.update(bytes);
        checksum.matches()
    }

    #[test]
    fn both_algorithms_are_compared() {
        assert!(is_met("sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=", b"hello"));
        assert!(is_met(
            "sha256 LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
            b"hello"
        ));
        assert!(!is_met("sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=", b"hellO"));
        for wrong in ["", "sha1", "md5 AAAA", "sha1 !"] {
            assert!(Checksum::read(wrong).is_err(), "{wrong}");
        }
    }
}
