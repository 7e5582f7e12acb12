//! The child: one file, then the end. What one picture did to this process reaches no other.

use std::io::{Read, Write};

use plinth_domain::preset::Recipe;

use crate::contain::{self, ContainError};
use crate::protocol::{
    Answer, Grant, MAX_MESSAGE, MAX_SOURCE, ProtocolError, Request, Size, Weighed, frame_of,
    message, read_frame, write_frame,
};
use crate::render::{Developed, render, weigh};
use crate::strip::{self, Stripped};

/// Why a child ended without an answer.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the process could not be contained")]
    Contain(#[from] ContainError),
    #[error("the worker could not be talked to")]
    Protocol(#[from] ProtocolError),
}

/// Contains this process, reads a file from the input, and answers with its derived images, or with the file without its
/// metadata, or why there are none.
///
/// # Errors
/// The process could not be contained, in which case nothing was read, or the other side is gone.
pub fn serve(mut input: impl Read, mut output: impl Write) -> Result<(), ServeError> {
    contain::contain()?;
    let request: Request = message(&read_frame(&mut input, MAX_MESSAGE)?)?;
    let file = read_frame(&mut input, MAX_SOURCE)?;
    let weighed = match &request {
        Request::Render {
            recipes,
            max_pixels,
        } => weigh(&file, recipes, *max_pixels),
        Request::Strip => Ok(strip::weigh(&file)),
    };
    let weighed = weighed.map_or_else(Weighed::Unreadable, Weighed::Needs);
    write_frame(&mut output, &frame_of(&weighed)?)?;
    if let Weighed::Unreadable(_) = weighed {
        return Ok(());
    }
    let grant: Grant = message(&read_frame(&mut input, MAX_MESSAGE)?)?;
    contain::limit_memory(grant.memory)?;
    match request {
        Request::Render {
            recipes,
            max_pixels,
        } => answer_with_images(&mut output, &file, &recipes, max_pixels),
        Request::Strip => answer_with_file(&mut output, &file),
    }
}

fn answer_with_images(
    output: &mut impl Write,
    file: &[u8],
    recipes: &[Recipe],
    max_pixels: u64,
) -> Result<(), ServeError> {
    match render(file, recipes, max_pixels) {
        Ok(Developed { picture, images }) => {
            let sizes = images
                .iter()
                .map(|one| Size {
                    width: one.width,
                    height: one.height,
                })
                .collect();
            write_frame(output, &frame_of(&Answer::Made { picture, sizes })?)?;
            for image in &images {
                write_frame(output, &image.bytes)?;
            }
        }
        Err(reason) => write_frame(output, &frame_of(&Answer::Unreadable(reason))?)?,
    }
    Ok(())
}

fn answer_with_file(output: &mut impl Write, file: &[u8]) -> Result<(), ServeError> {
    match strip::strip(file) {
        Ok(Stripped { bytes, taken_at }) => {
            let is_changed = bytes.is_some();
            write_frame(
                output,
                &frame_of(&Answer::Stripped {
                    is_changed,
                    taken_at,
                })?,
            )?;
            if let Some(bytes) = bytes {
                write_frame(output, &bytes)?;
            }
        }
        Err(reason) => write_frame(output, &frame_of(&Answer::Unreadable(reason))?)?,
    }
    Ok(())
}
