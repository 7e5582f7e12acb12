//! Reads and writes JPEGs by libjpeg-turbo. A picture is decoded at the smallest scale that is large enough, some rows at a
//! time: most of the work of a camera's picture is in pixels that no derived image shows.

mod header;
mod libjpeg;
pub(crate) mod segments;
mod write;

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub(crate) use header::Header;
pub(crate) use libjpeg::images;
pub(crate) use segments::without_torn_segment;
pub(crate) use write::encode;

use crate::Unreadable;

/// What every JPEG begins with.
pub(crate) const MAGIC: [u8; 3] = [0xff, segments::START, 0xff];

/// libjpeg's way to say that something is wrong is to unwind.
fn guarded<T>(work: impl FnOnce() -> Result<T, Unreadable>) -> Result<T, Unreadable> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|words| Err(meaning(&*words)))
}

/// What libjpeg said when it gave up.
fn meaning(words: &(dyn Any + Send)) -> Unreadable {
    match words.downcast_ref::<String>() {
        Some(words) if words.contains("Insufficient memory") => Unreadable::TooMuchMemory,
        _ => Unreadable::Damaged,
    }
}

fn broken(error: &io::Error) -> Unreadable {
    if error.kind() == io::ErrorKind::OutOfMemory {
        Unreadable::TooMuchMemory
    } else {
        Unreadable::Damaged
    }
}
