//! Digest fields (RFC 9530). Only SHA-256 is supported.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plinth_core::Error;
use plinth_domain::rejection::Rejection;
use poem::http::{HeaderMap, HeaderName};

pub const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
pub const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// Returns the value of a digest field.
pub fn format_sha256(sha256: &[u8; 32]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(sha256))
}

/// Returns the SHA-256 in the first of these fields that has one, or `None`. Other algorithms are
/// ignored.
pub fn parse_sha256(headers: &HeaderMap, names: &[HeaderName]) -> Result<Option<[u8; 32]>, Error> {
    for name in names {
        for value in headers.get_all(name) {
            let parsed = value.to_str().ok().map_or(Err(()), parse_member);
            let malformed = || {
                let detail = "Expected sha-256=:<base64>: (RFC 9530).";
                Error::invalid(
                    &format!("/{name}"),
                    Rejection::new("invalid_digest", detail),
                )
            };
            if let Some(digest) = parsed.map_err(|()| malformed())? {
                return Ok(Some(digest));
            }
        }
    }
    Ok(None)
}

/// Returns the member `sha-256` of a dictionary of byte sequences (RFC 9651).
fn parse_member(field: &str) -> Result<Option<[u8; 32]>, ()> {
    for member in field.split(',') {
        let (name, value) = member.trim().split_once('=').ok_or(())?;
        if name != "sha-256" {
            continue;
        }
        let base64 = value
            .strip_prefix(':')
            .and_then(|value| value.strip_suffix(':'))
            .ok_or(())?;
        return STANDARD
            .decode(base64)
            .map_err(|_| ())?
            .try_into()
            .map(Some)
            .map_err(|_| ());
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_one(value: &str) -> Result<Option<[u8; 32]>, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(REPR_DIGEST, value.parse().expect("a value"));
        parse_sha256(&headers, &[CONTENT_DIGEST, REPR_DIGEST])
    }

    #[test]
    fn sha_256_is_found_among_other_algorithms() {
        let digest = [7; 32];
        let written = format_sha256(&digest);
        assert_eq!(read_one(&written).expect("reads"), Some(digest));
        assert_eq!(
            read_one(&format!("md5=:AAAA:, {written}")).expect("reads"),
            Some(digest)
        );
        assert_eq!(read_one("sha-512=:AAAA:").expect("reads"), None);
        for wrong in ["sha-256=AAAA", "sha-256=:AAAA:", "sha-256=:!:", "nonsense"] {
            assert!(read_one(wrong).is_err(), "{wrong}");
        }
    }
}
