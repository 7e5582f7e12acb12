//! The child: one file, then the end. What one picture did to this process reaches no other.

use std::io::{Read, Write};

use crate::contain::{self, ContainError};
use crate::protocol::{
    Answer, Grant, MAX_MESSAGE, MAX_SOURCE, ProtocolError, Request, Size, Weighed, frame_of, message,
    read_frame, write_frame,
};
use crate::render::{Developed, render, weigh};

/// Why a child ended without an answer.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the process could not be contained")]
    Contain(#[from] ContainError),
    #[error("the worker could not be talked to")]
    Protocol(#[from] ProtocolError),
}

/// Contains this process, reads a file from the input, and answers with its derived images or why there are none.
///
/// # Errors
/// The process could not be contained, in which case nothing was read, or the other side is gone.
pub fn serve(mut input: impl Read, mut output: impl Write) -> Result<(), ServeError> {
    contain::contain()?;
    let request: Request = message(&read_frame(&mut input, MAX_MESSAGE)?)?;
    let file = read_frame(&mut input, MAX_SOURCE)?;
    let weighed = match weigh(&file, &request.recipes, request.max_pixels) {
        Ok(memory) => Weighed::Needs(memory),
        Err(reason) => Weighed::Unreadable(reason),
    };
    write_frame(&mut output, &frame_of(&weighed)?)?;
    if let Weighed::Unreadable(_) = weighed {
        return Ok(());
    }
    let grant: Grant = message(&read_frame(&mut input, MAX_MESSAGE)?)?;
    contain::limit_memory(grant.memory)?;
    match render(&file, &request.recipes, request.max_pixels) {
        Ok(Developed { picture, images }) => {
            let sizes = images.iter().map(|one| Size { width: one.width, height: one.height }).collect();
            write_frame(&mut output, &frame_of(&Answer::Made { picture, sizes })?)?;
            for image in &images {
                write_frame(&mut output, &image.bytes)?;
            }
        }
        Err(reason) => write_frame(&mut output, &frame_of(&Answer::Unreadable(reason))?)?,
    }
    Ok(())
}
