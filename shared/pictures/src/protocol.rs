//! What the worker and the child say to each other: frames, each a length of four bytes and as many bytes after it.
//!
//! The worker says a [`Request`] and the file; the child says what it needs ([`Weighed`]), and once that is granted
//! ([`Grant`]) its [`Answer`], with one frame for each picture or for the file without its metadata. The worker believes
//! none of it: see the limits.

use std::io::{self, Read, Write};

use plinth_domain::picture::{Picture, TakenAt};
use plinth_domain::preset::Recipe;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Unreadable;

/// The longest message, in bytes.
pub const MAX_MESSAGE: usize = 16 * 1024;

/// The largest file that is looked at, in bytes.
pub const MAX_SOURCE: usize = 64 * 1024 * 1024;

/// The derived images of one file together, in bytes.
pub const MAX_PICTURES: usize = 64 * 1024 * 1024;

/// What is asked of the child; the file is the next frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Derived images.
    Render {
        recipes: Vec<Recipe>,
        /// The largest picture that is decoded.
        max_pixels: u64,
    },
    /// The file without its metadata.
    Strip,
}

/// What the child knows from the file's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Weighed {
    /// All the memory that the child will need, in bytes.
    Needs(u64),
    Unreadable(Unreadable),
}

/// The memory that the child may have, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    pub memory: u64,
}

/// What came of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// A size for each recipe, in their order; so are the frames that follow.
    Made {
        picture: Picture,
        sizes: Vec<Size>,
    },
    /// A frame with the file follows where it is another one now.
    Stripped {
        is_changed: bool,
        taken_at: Option<TakenAt>,
    },
    Unreadable(Unreadable),
}

/// The size of a derived image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

/// Why what was read is no frame or no message.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    #[error("the other side is gone")]
    Io(#[from] io::Error),
    #[error("a frame of {length} bytes where at most {limit} are expected")]
    TooLong { length: u32, limit: usize },
    #[error("no message that is understood here")]
    Message(#[from] serde_json::Error),
    #[error("pictures that nobody asked for")]
    Unasked,
}

/// The length that a frame's first four bytes tell, unless it is over the limit.
pub fn length(head: [u8; 4], limit: usize) -> Result<usize, ProtocolError> {
    let length = u32::from_be_bytes(head);
    usize::try_from(length)
        .ok()
        .filter(|length| *length <= limit)
        .ok_or(ProtocolError::TooLong { length, limit })
}

/// What stands before so many bytes.
///
/// # Errors
/// They are more than a length can tell.
pub fn head(bytes: &[u8]) -> io::Result<[u8; 4]> {
    u32::try_from(bytes.len())
        .map(u32::to_be_bytes)
        .map_err(io::Error::other)
}

/// Reads a message.
pub fn message<M: DeserializeOwned>(frame: &[u8]) -> Result<M, ProtocolError> {
    Ok(serde_json::from_slice(frame)?)
}

/// Writes a message down.
pub fn frame_of<M: Serialize>(message: &M) -> Result<Vec<u8>, ProtocolError> {
    Ok(serde_json::to_vec(message)?)
}

/// Reads a frame. Room for all of it is set aside, but what has not come takes no memory: its pages are never touched.
pub fn read_frame(input: &mut impl Read, limit: usize) -> Result<Vec<u8>, ProtocolError> {
    let mut head = [0; 4];
    input.read_exact(&mut head)?;
    let length = length(head, limit)?;
    let mut frame = Vec::new();
    frame.try_reserve_exact(length).map_err(io::Error::other)?;
    input.take(length as u64).read_to_end(&mut frame)?;
    if frame.len() < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(frame)
}

/// Writes a frame.
pub fn write_frame(output: &mut impl Write, frame: &[u8]) -> Result<(), ProtocolError> {
    output.write_all(&head(frame)?)?;
    output.write_all(frame)?;
    Ok(output.flush()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_that_lies_is_an_error() {
        let mut endless = &b"\xff\xff\xff\xff"[..];
        assert!(matches!(
            read_frame(&mut endless, MAX_SOURCE),
            Err(ProtocolError::TooLong { .. })
        ));
        let mut cut = &b"\x00\x40\x00\x00abc"[..];
        assert!(matches!(
            read_frame(&mut cut, MAX_SOURCE),
            Err(ProtocolError::Io(_))
        ));
    }

    #[test]
    fn messages_are_read_as_they_were_written_and_nothing_else_is() {
        let recipes = vec!["256x128 cover webp q75".parse().expect("a recipe")];
        let request = Request::Render {
            recipes,
            max_pixels: 100,
        };
        let frame = frame_of(&request).expect("is written");
        assert_eq!(message::<Request>(&frame).expect("is read"), request);
        assert!(message::<Answer>(&frame).is_err());
        assert!(message::<Weighed>(br#"{"needs":-1}"#).is_err());
        assert!(message::<Answer>(br#"{"made":{"picture":null,"sizes":[]}}"#).is_err());
    }

    proptest! {
        #[test]
        fn frames_are_read_as_they_were_written(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..5)) {
            let mut wire = Vec::new();
            for frame in &frames {
                write_frame(&mut wire, frame).expect("memory takes all");
            }
            let mut input = wire.as_slice();
            for frame in &frames {
                prop_assert_eq!(&read_frame(&mut input, 300).expect("is there"), frame);
            }
            prop_assert!(read_frame(&mut input, 300).is_err());
        }

        #[test]
        fn any_bytes_are_a_frame_within_the_limit_or_an_error(wire in prop::collection::vec(any::<u8>(), 0..600), limit in 0_usize..600) {
            if let Ok(frame) = read_frame(&mut wire.as_slice(), limit) {
                prop_assert!(frame.len() <= limit);
                prop_assert_eq!(&wire[4..4 + frame.len()], frame.as_slice());
                let _ = (message::<Weighed>(&frame), message::<Answer>(&frame), message::<Request>(&frame));
            }
        }
    }
}
