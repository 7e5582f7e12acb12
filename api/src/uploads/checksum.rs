//! Upload-Checksum: the expected hash of the bytes of one request.

use aws_lc_rs::digest::{Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plinth_core::{Error, Result};
use plinth_domain::rejection::Rejection;

/// The supported algorithms. tus requires SHA-1, which detects errors but not attacks.
pub(super) const ALGORITHMS: &str = "sha256,sha1";

/// The checksum of a request, computed while its bytes are received.
pub(super) struct Checksum {
    context: Context,
    expected: Vec<u8>,
}

impl Checksum {
    pub(super) fn parse(header: &str) -> Result<Self> {
        let rejected = |detail| {
            Error::invalid(
                "/header/upload-checksum",
                Rejection::new("invalid_checksum", detail),
            )
        };
        let (name, value) = header
            .trim()
            .split_once(' ')
            .ok_or_else(|| rejected("Expected an algorithm and base64."))?;
        let algorithm: &'static Algorithm = match name {
            "sha256" => &SHA256,
            "sha1" => &SHA1_FOR_LEGACY_USE_ONLY,
            _ => return Err(rejected("Expected sha256 or sha1.")),
        };
        let expected = STANDARD
            .decode(value.trim())
            .map_err(|_| rejected("Expected base64."))?;
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

    fn matches(header: &str, bytes: &[u8]) -> bool {
        let mut checksum = Checksum::parse(header).expect("reads");
        checksum.update(bytes);
        checksum.matches()
    }

    #[test]
    fn both_algorithms_are_verified() {
        assert!(matches("sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=", b"hello"));
        assert!(matches(
            "sha256 LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
            b"hello"
        ));
        assert!(!matches("sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=", b"hellO"));
        for wrong in ["", "sha1", "md5 AAAA", "sha1 !"] {
            assert!(Checksum::parse(wrong).is_err(), "{wrong}");
        }
    }
}
