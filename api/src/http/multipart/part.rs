//! A file in a form.

use bytes::{Bytes, BytesMut};
use multer::Field;
use poem::http::HeaderName;

use super::body::HashedBody;
use super::malformed;
use crate::http::digest;
use crate::http::failure::Result;

/// In a request, the content is the representation, so both fields mean the same.
pub(super) const DIGESTS: [HeaderName; 2] = [digest::CONTENT_DIGEST, digest::REPR_DIGEST];

/// The maximum number of bytes of a part without a file name that are buffered until a part with
/// one follows.
const MAX_BUFFERED_BYTES: usize = 64 * 1024;

/// A file of a form.
pub struct FilePart {
    name: Option<String>,
    digest: Option<[u8; 32]>,
    /// Bytes that have been read already.
    head: Bytes,
    /// The rest of the part.
    rest: Option<Field<'static>>,
    body: HashedBody,
}

impl FilePart {
    pub(super) fn named(field: Field<'static>, body: HashedBody) -> Result<Self> {
        let name = field.file_name().map(decode_file_name);
        let digest = digest::parse_sha256(field.headers(), &DIGESTS)?;
        Ok(Self {
            name,
            digest,
            head: Bytes::new(),
            rest: Some(field),
            body,
        })
    }

    /// Reads a part without a file name, completely if it is small.
    pub(super) async fn unnamed(mut field: Field<'static>, body: HashedBody) -> Result<Self> {
        let digest = digest::parse_sha256(field.headers(), &DIGESTS)?;
        let mut head = BytesMut::new();
        while let Some(bytes) = body.chunk(&mut field).await.map_err(malformed)? {
            head.extend_from_slice(&bytes);
            if head.len() > MAX_BUFFERED_BYTES {
                return Ok(Self {
                    name: None,
                    digest,
                    head: head.freeze(),
                    rest: Some(field),
                    body,
                });
            }
        }
        Ok(Self {
            name: None,
            digest,
            head: head.freeze(),
            rest: None,
            body,
        })
    }

    /// Returns whether the rest of the part must be read before the next part of the form.
    pub(super) fn has_more(&self) -> bool {
        self.rest.is_some()
    }

    /// Returns the file name that the client sent.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the SHA-256 in the headers of the part.
    pub fn digest(&self) -> Option<[u8; 32]> {
        self.digest
    }

    /// Returns the next bytes, or `None` at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        if !self.head.is_empty() {
            return Ok(Some(std::mem::take(&mut self.head)));
        }
        match &mut self.rest {
            Some(field) => self.body.chunk(field).await.map_err(malformed),
            None => Ok(None),
        }
    }
}

/// Decodes the three characters that browsers encode in file names, and no others (HTML, section
/// 4.10.21.8).
fn decode_file_name(name: &str) -> String {
    name.replace("%22", "\"")
        .replace("%0D", "\r")
        .replace("%0A", "\n")
}
