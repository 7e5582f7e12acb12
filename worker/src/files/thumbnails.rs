//! `files.thumbnails`: the small images of every preset, under the same keys each time.

use plinth_core::files::{Made, Processing, Source};
use plinth_domain::job::MakeThumbnails;

use super::Darkroom;
use super::render::{CONTENT_TYPE, Rendered};
use crate::attempt::Attempt;
use crate::outcome::Done;

/// A larger file is not loaded, whatever it says it is.
const MAX_SOURCE: u64 = 64 * 1024 * 1024;

/// What the handler needs. Clones share the memory budget.
#[derive(Clone)]
pub struct Thumbnails {
    processing: Processing,
    darkroom: Darkroom,
}

impl Thumbnails {
    pub fn new(processing: Processing) -> Self {
        Self { processing, darkroom: Darkroom::default() }
    }
}

pub async fn make(thumbnails: Thumbnails, job: MakeThumbnails, attempt: Attempt) -> Done {
    let Some(source) = thumbnails.processing.find(&job).await? else {
        tracing::info!("the file was deleted before its thumbnails were made");
        return Ok(());
    };
    let rendered = render(&thumbnails, &source).await?;
    attempt.progress(80).await;
    match rendered {
        Ok(images) => thumbnails.processing.keep(&source, images.into_iter().map(made).collect()).await?,
        Err(reason) => thumbnails.processing.give_up(&source, &reason).await?,
    }
    Ok(())
}

/// The images, or why there are none: a picture that cannot be read is no failed job, its owner is told.
async fn render(
    thumbnails: &Thumbnails,
    source: &Source,
) -> plinth_core::Result<Result<Vec<Rendered>, String>> {
    if source.size() > MAX_SOURCE {
        return Ok(Err(format!("The image file is larger than {} MiB.", MAX_SOURCE >> 20)));
    }
    let bytes = thumbnails.processing.read(source).await?;
    Ok(thumbnails.darkroom.develop(bytes).await.map_err(|unreadable| {
        tracing::info!(error = ?unreadable, "no image can be made of the file");
        unreadable.to_string()
    }))
}

fn made(image: Rendered) -> Made {
    Made {
        preset: image.preset,
        width: image.width,
        height: image.height,
        content_type: CONTENT_TYPE,
        bytes: image.jpeg.into(),
    }
}
