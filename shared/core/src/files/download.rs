//! The bytes of a file or of a variant, in whole or in a range.

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use plinth_object_store::{ByteRange, ObjectError, ObjectStore};

use crate::Result;

/// What can be downloaded: everything that its headers need, before a byte of it is asked for.
#[derive(Debug, Clone)]
pub struct Content {
    pub name: String,
    pub content_type: String,
    /// Bytes.
    pub size: u64,
    /// Strong: the same tag means the same bytes.
    pub etag: String,
    pub(super) object_key: String,
}

/// The bytes as they come.
pub type Download = BoxStream<'static, Result<Bytes, ObjectError>>;

impl Content {
    pub(super) async fn open(&self, objects: &ObjectStore, range: Option<ByteRange>) -> Result<Download> {
        if self.size == 0 {
            return Ok(futures_util::stream::empty().boxed());
        }
        Ok(objects.get(&self.object_key, range).await?.boxed())
    }
}
