//! Decodes and encodes JPEGs with libjpeg-turbo. A picture is decoded at the smallest sufficient
//! scale, some rows at a time, because no derived image shows most of the pixels of a camera's
//! picture.

mod header;
mod libjpeg;
pub(crate) mod segments;
mod write;

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub(crate) use header::Header;
pub(crate) use libjpeg::images;
pub(crate) use segments::before_truncated_segment;
pub(crate) use write::encode;

use crate::Unreadable;

/// The first bytes of every JPEG.
pub(crate) const MAGIC: [u8; 3] = [0xff, segments::START, 0xff];

/// Runs `work` and converts an unwinding into a reason: libjpeg reports errors by unwinding.
fn guarded<T>(work: impl FnOnce() -> Result<T, Unreadable>) -> Result<T, Unreadable> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| Err(panic_reason(&*payload)))
}

/// Returns the reason for a panic payload of libjpeg.
fn panic_reason(payload: &(dyn Any + Send)) -> Unreadable {
    match payload.downcast_ref::<String>() {
        Some(text) if text.contains("Insufficient memory") => Unreadable::TooMuchMemory,
        _ => Unreadable::Damaged,
    }
}

fn to_reason(error: &io::Error) -> Unreadable {
    if error.kind() == io::ErrorKind::OutOfMemory {
        Unreadable::TooMuchMemory
    } else {
        Unreadable::Damaged
    }
}
