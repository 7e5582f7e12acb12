//! The child process: it handles one file and exits, so that a malicious picture cannot affect
//! another.

use std::io::{Read, Write};

use plinth_domain::preset::Recipe;

use crate::contain::{self, ContainError};
use crate::protocol::{
    Grant, MAX_MESSAGE_BYTES, MAX_SOURCE_BYTES, MemoryEstimate, ProtocolError, Request, Response,
    Size, parse_message, read_frame, serialize_message, write_frame,
};
use crate::render::{RenderedPicture, render, required_memory};
use crate::strip::{self, Stripped};

/// The reason why a child exits without a response.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("failed to restrict the process")]
    Contain(#[from] ContainError),
    #[error("failed to communicate with the worker")]
    Protocol(#[from] ProtocolError),
}

/// Restricts this process, reads a request and a file from the input, and responds with derived
/// images, with the file without its metadata, or with the reason why that is impossible.
///
/// # Errors
/// Fails if the process could not be restricted, before anything is read, or if the worker is gone.
pub fn serve(mut input: impl Read, mut output: impl Write) -> Result<(), ServeError> {
    contain::contain()?;
    let request: Request = parse_message(&read_frame(&mut input, MAX_MESSAGE_BYTES)?)?;
    let file = read_frame(&mut input, MAX_SOURCE_BYTES)?;
    let estimate = match &request {
        Request::Render {
            recipes,
            max_pixels,
        } => required_memory(&file, recipes, *max_pixels),
        Request::Strip => Ok(strip::required_memory(&file)),
    };
    let estimate = estimate.map_or_else(MemoryEstimate::Unreadable, MemoryEstimate::Needs);
    write_frame(&mut output, &serialize_message(&estimate)?)?;
    if let MemoryEstimate::Unreadable(_) = estimate {
        return Ok(());
    }
    let grant: Grant = parse_message(&read_frame(&mut input, MAX_MESSAGE_BYTES)?)?;
    contain::limit_memory(grant.memory)?;
    match request {
        Request::Render {
            recipes,
            max_pixels,
        } => respond_with_images(&mut output, &file, &recipes, max_pixels),
        Request::Strip => respond_with_file(&mut output, &file),
    }
}

fn respond_with_images(
    output: &mut impl Write,
    file: &[u8],
    recipes: &[Recipe],
    max_pixels: u64,
) -> Result<(), ServeError> {
    match render(file, recipes, max_pixels) {
        Ok(RenderedPicture { picture, images }) => {
            let sizes = images
                .iter()
                .map(|image| Size {
                    width: image.width,
                    height: image.height,
                })
                .collect();
            write_frame(
                output,
                &serialize_message(&Response::Made { picture, sizes })?,
            )?;
            for image in &images {
                write_frame(output, &image.bytes)?;
            }
        }
        Err(reason) => write_frame(output, &serialize_message(&Response::Unreadable(reason))?)?,
    }
    Ok(())
}

fn respond_with_file(output: &mut impl Write, file: &[u8]) -> Result<(), ServeError> {
    match strip::strip(file) {
        Ok(Stripped { bytes, taken_at }) => {
            let is_changed = bytes.is_some();
            write_frame(
                output,
                &serialize_message(&Response::Stripped {
                    is_changed,
                    taken_at,
                })?,
            )?;
            if let Some(bytes) = bytes {
                write_frame(output, &bytes)?;
            }
        }
        Err(reason) => write_frame(output, &serialize_message(&Response::Unreadable(reason))?)?,
    }
    Ok(())
}
