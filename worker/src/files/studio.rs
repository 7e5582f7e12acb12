//! From a stored file to what is kept of it: what both kinds of jobs that make images do.

use plinth_core::files::{Made, Processing, Source, Tell};
use plinth_domain::preset::{Preset, PresetName, Recipe};
use plinth_pictures::protocol::MAX_SOURCE;
use plinth_pictures::{Developed, Rendered, Unreadable};

use super::{Breakdown, Darkroom};
use crate::attempt::Attempt;
use crate::outcome::Done;

/// How far a job is, of 100, when its images are made and not yet kept.
const DEVELOPED: u8 = 80;

/// What the handlers need. Clones share the memory budget.
#[derive(Clone)]
pub struct Studio {
    pub processing: Processing,
    pub darkroom: Darkroom,
}

impl Studio {
    /// Makes the images that are due, and that of the preset named `again` in any case. A picture that cannot be read is
    /// no failed job: its owner finds the reason where the image would be. In the last of so many attempts, so is one whose
    /// process is always ended from outside, as systems do whose memory runs out.
    pub(super) async fn make(
        &self,
        source: &Source,
        again: Option<&PresetName>,
        tell: Tell,
        attempt: &Attempt,
        attempts: i16,
    ) -> Done {
        let due = self.processing.due(source, again);
        if due.is_empty() {
            return Ok(());
        }
        let developed = match self.develop(source, &due).await? {
            Err(Breakdown::Killed(_)) if attempt.number >= attempts => Err(Unreadable::TooMuchMemory),
            developed => developed?,
        };
        attempt.progress(DEVELOPED).await;
        match developed {
            Ok(Developed { picture, images }) => {
                self.processing.keep(source, &picture, made(due, images), tell).await?;
            }
            Err(reason) => {
                tracing::info!(?reason, "no image can be made of the file");
                self.processing.give_up(source, &due, &reason.to_string(), tell).await?;
            }
        }
        Ok(())
    }

    async fn develop(
        &self,
        source: &Source,
        due: &[Preset],
    ) -> plinth_core::Result<Result<Result<Developed, Unreadable>, Breakdown>> {
        if usize::try_from(source.size()).is_ok_and(|size| size > MAX_SOURCE) {
            return Ok(Ok(Err(Unreadable::TooLarge)));
        }
        let bytes = self.processing.read(source).await?;
        let recipes: Vec<Recipe> = due.iter().map(|preset| preset.recipe).collect();
        Ok(self.darkroom.develop(&bytes, &recipes).await)
    }
}

fn made(presets: Vec<Preset>, pictures: Vec<Rendered>) -> Vec<Made> {
    let pair = |(preset, picture): (Preset, Rendered)| Made {
        preset,
        width: picture.width,
        height: picture.height,
        bytes: picture.bytes.into(),
    };
    presets.into_iter().zip(pictures).map(pair).collect()
}
