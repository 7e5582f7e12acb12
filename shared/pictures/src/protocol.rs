//! The protocol between the worker and the child: frames, each a length of four bytes followed by
//! as many bytes.
//!
//! The worker sends a [`Request`] and the file. The child sends its [`MemoryEstimate`] and, after
//! the worker has sent a [`Grant`], its [`Response`], with one frame for each image or for the file
//! without its metadata. The worker does not trust the child and checks every limit.

use std::io::{self, Read, Write};

use plinth_domain::picture::{Picture, TakenAt};
use plinth_domain::preset::Recipe;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Unreadable;

/// Maximum bytes of a message.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024;

/// Maximum bytes of a file.
pub const MAX_SOURCE_BYTES: usize = 64 * 1024 * 1024;

/// Maximum bytes of all derived images of one file together.
pub const MAX_IMAGES_BYTES: usize = 64 * 1024 * 1024;

/// A request to the child. The next frame is the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Render derived images.
    Render {
        recipes: Vec<Recipe>,
        /// Maximum pixels of a picture that is decoded.
        max_pixels: u64,
    },
    /// Remove the file's metadata.
    Strip,
}

/// The memory that the child needs, as estimated from the file's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MemoryEstimate {
    /// Total memory that the child will need, in bytes.
    Needs(u64),
    Unreadable(Unreadable),
}

/// The memory that the child may use, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    pub memory: u64,
}

/// The child's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Response {
    /// Contains a size for each recipe, in their order. One frame for each image follows in that
    /// order.
    Made {
        picture: Picture,
        sizes: Vec<Size>,
    },
    /// A frame with the file follows if it has changed.
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

/// The reason why a frame or a message could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    #[error("connection to the other process lost")]
    Io(#[from] io::Error),
    #[error("frame of {length} bytes exceeds the limit of {limit}")]
    TooLong { length: u32, limit: usize },
    #[error("invalid message")]
    Message(#[from] serde_json::Error),
    #[error("unexpected response")]
    UnexpectedResponse,
}

/// Returns the length in a frame's head.
///
/// # Errors
/// Fails if the length exceeds the limit.
pub fn frame_length(head: [u8; 4], limit: usize) -> Result<usize, ProtocolError> {
    let length = u32::from_be_bytes(head);
    usize::try_from(length)
        .ok()
        .filter(|length| *length <= limit)
        .ok_or(ProtocolError::TooLong { length, limit })
}

/// Returns the head of a frame with these bytes.
///
/// # Errors
/// Fails if the length does not fit into four bytes.
pub fn frame_head(bytes: &[u8]) -> io::Result<[u8; 4]> {
    u32::try_from(bytes.len())
        .map(u32::to_be_bytes)
        .map_err(io::Error::other)
}

/// Parses a message.
pub fn parse_message<M: DeserializeOwned>(frame: &[u8]) -> Result<M, ProtocolError> {
    Ok(serde_json::from_slice(frame)?)
}

/// Serializes a message.
pub fn serialize_message<M: Serialize>(message: &M) -> Result<Vec<u8>, ProtocolError> {
    Ok(serde_json::to_vec(message)?)
}

/// Reads a frame. Memory for all of it is reserved, but pages are not touched before their bytes
/// arrive.
pub fn read_frame(input: &mut impl Read, limit: usize) -> Result<Vec<u8>, ProtocolError> {
    let mut head = [0; 4];
    input.read_exact(&mut head)?;
    let length = frame_length(head, limit)?;
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
    output.write_all(&frame_head(frame)?)?;
    output.write_all(frame)?;
    Ok(output.flush()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_wrong_length_is_an_error() {
        let mut endless = &b"\xff\xff\xff\xff"[..];
        assert!(matches!(
            read_frame(&mut endless, MAX_SOURCE_BYTES),
            Err(ProtocolError::TooLong { .. })
        ));
        let mut cut = &b"\x00\x40\x00\x00abc"[..];
        assert!(matches!(
            read_frame(&mut cut, MAX_SOURCE_BYTES),
            Err(ProtocolError::Io(_))
        ));
    }

    #[test]
    fn only_valid_messages_are_parsed() {
        let recipes = vec!["256x128 cover webp q75".parse().expect("a recipe")];
        let request = Request::Render {
            recipes,
            max_pixels: 100,
        };
        let frame = serialize_message(&request).expect("serializes");
        assert_eq!(parse_message::<Request>(&frame).expect("parses"), request);
        assert!(parse_message::<Response>(&frame).is_err());
        assert!(parse_message::<MemoryEstimate>(br#"{"needs":-1}"#).is_err());
        assert!(parse_message::<Response>(br#"{"made":{"picture":null,"sizes":[]}}"#).is_err());
    }

    proptest! {
        #[test]
        fn frames_are_read_as_written(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..5)) {
            let mut wire = Vec::new();
            for frame in &frames {
                write_frame(&mut wire, frame).expect("writing to memory succeeds");
            }
            let mut input = wire.as_slice();
            for frame in &frames {
                prop_assert_eq!(&read_frame(&mut input, 300).expect("a frame"), frame);
            }
            prop_assert!(read_frame(&mut input, 300).is_err());
        }

        #[test]
        fn any_bytes_are_a_frame_within_the_limit_or_an_error(wire in prop::collection::vec(any::<u8>(), 0..600), limit in 0_usize..600) {
            if let Ok(frame) = read_frame(&mut wire.as_slice(), limit) {
                prop_assert!(frame.len() <= limit);
                prop_assert_eq!(&wire[4..4 + frame.len()], frame.as_slice());
                let _ = (parse_message::<MemoryEstimate>(&frame), parse_message::<Response>(&frame), parse_message::<Request>(&frame));
            }
        }
    }
}
