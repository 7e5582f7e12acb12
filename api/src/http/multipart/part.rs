//! A file in a form.

use bytes::{Bytes, BytesMut};
use multer::Field;
use poem::http::HeaderName;

use super::body::HashedBody;
use super::malformed;
use crate::http::digest;
use crate::http::failure::Result;

/// In a request what is sent is what is represented.
pub(super) const DIGESTS: [HeaderName; 2] = [digest::CONTENT_DIGEST, digest::REPR_DIGEST];

/// Bytes of a part without a name that wait in memory for one with a name.
const MAX_WAITING_BYTES: usize = 64 * 1024;

/// A file in a form.
pub struct FilePart {
    name: Option<String>,
    digest: Option<[u8; 32]>,
    /// Bytes that were read already.
    head: Bytes,
    /// What is still to be read.
    rest: Option<Field<'static>>,
    body: HashedBody,
}

impl FilePart {
    pub(super) fn named(field: Field<'static>, body: HashedBody) -> Result<Self> {
        let name = field.file_name().map(decoded);
        let digest = digest::read(field.headers(), &DIGESTS)?;
        Ok(Self {
            name,
            digest,
            head: Bytes::new(),
            rest: Some(field),
            body,
        })
    }

    /// Reads a part without a name, all of it if it is small.
    pub(super) async fn unnamed(mut field: Field<'static>, body: HashedBody) -> Result<Self> {
        let digest = digest::read(field.headers(), &DIGESTS)?;
        let mut head = BytesMut::new();
        while let Some(bytes) = body.chunk(&mut field).await.map_err(malformed)? {
            head.extend_from_slice(&bytes);
            if head.len() > MAX_WAITING_BYTES {
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

    /// Whether there is more to read before the next part of the form.
    pub(super) fn is_open(&self) -> bool {
        self.rest.is_some()
    }

    /// The name that the client gave it.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The SHA-256 that the part's headers give.
    pub fn digest(&self) -> Option<[u8; 32]> {
        self.digest
    }

    /// The next bytes; `None` at the end.
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

/// What browsers write for characters that cannot stand in the header, and for no others (HTML, section 4.10.21.8).
fn decoded(name: &str) -> String {
    name.replace("%22", "\"")
        .replace("%0D", "\r")
        .replace("%0A", "\n")
}
