//! From a stored file to what is kept of it: what both kinds of jobs that make images do.

use plinth_core::files::{Made, Processing, Reason, Source, Tell};
use plinth_domain::picture::Picture;
use plinth_domain::preset::{Preset, PresetName, Recipe};
use plinth_pictures::protocol::MAX_SOURCE_BYTES;
use plinth_pictures::{RenderedImage, RenderedPicture, Unreadable};

use super::{Crash, ImageSandbox, SandboxError};
use crate::attempt::Attempt;
use crate::outcome::{Failure, JobResult};

/// How far a job is, of 100, when its images are made and not yet kept.
const DEVELOPED: u8 = 80;

/// Attempts at an image at which the process crashes each time.
const CRASHES: i16 = 3;

/// Makes the derived images of stored files.
pub(super) struct ImageService {
    pub(super) processing: Processing,
    pub(super) sandbox: ImageSandbox,
}

impl ImageService {
    /// Makes the images that are due, and that of the preset named `again` in any case. A picture that cannot be read is
    /// no failed job: its owner finds the reason where the image would be. In the last of so many attempts, so is one whose
    /// process is always ended from outside, as systems do whose memory runs out. An image at which the process crashes is
    /// a fault of ours: it is tried again a few times, then the job is a dead letter, and the other images are there.
    pub(super) async fn make(
        &self,
        source: &Source,
        again: Option<&PresetName>,
        tell: Tell,
        attempt: &Attempt,
        attempts: i16,
    ) -> JobResult {
        let due = self.processing.due(source, again);
        if due.is_empty() {
            return Ok(());
        }
        let developed = match self.develop(source, due).await? {
            Err((due, SandboxError::Killed(_))) if attempt.number >= attempts => Results {
                refused: with(&due, Unreadable::TooMuchMemory),
                ..Results::default()
            },
            Err((_, error)) => return Err(error.into()),
            Ok(results) => results,
        };
        attempt.progress(DEVELOPED).await;
        let Results {
            made,
            refused,
            crashed,
        } = developed;
        let tell_made = if crashed.is_empty() {
            tell
        } else {
            Tell::Nobody
        };
        if let Some((picture, images)) = made {
            self.processing
                .keep(source, &picture, images, tell_made)
                .await?;
        }
        for (reason, presets) in by_reason(refused) {
            tracing::info!(?reason, "no image can be made of the file");
            let reason = Reason::Unreadable(reason.to_string());
            self.processing
                .give_up(source, &presets, &reason, tell)
                .await?;
        }
        let Some((presets, crash)) = crashed.split() else {
            return Ok(());
        };
        if attempt.number < CRASHES {
            return Err(SandboxError::Crashed(crash).into());
        }
        self.processing
            .give_up(source, &presets, &Reason::Internal, tell)
            .await?;
        Err(Failure::permanent(SandboxError::Crashed(crash)))
    }

    /// All images in one process; each in a process of its own where one of them may be to blame for the end of all.
    async fn develop(
        &self,
        source: &Source,
        due: Vec<Preset>,
    ) -> plinth_core::Result<Result<Results, (Vec<Preset>, SandboxError)>> {
        if usize::try_from(source.size()).is_ok_and(|size| size > MAX_SOURCE_BYTES) {
            return Ok(Ok(Results {
                refused: with(&due, Unreadable::TooLarge),
                ..Results::default()
            }));
        }
        let bytes = self.processing.read(source).await?;
        let recipes: Vec<Recipe> = due.iter().map(|preset| preset.recipe).collect();
        let together = self.sandbox.develop(&bytes, &recipes).await;
        let one_to_blame = matches!(
            together,
            Err(SandboxError::Crashed(_)) | Ok(Err(Unreadable::TooMuchMemory))
        );
        let mut results = Results::default();
        if due.len() == 1 || !one_to_blame {
            let added = results.add(&due, together);
            return Ok(added.map(|()| results).map_err(|error| (due, error)));
        }
        for preset in &due {
            let alone = self.sandbox.develop(&bytes, &[preset.recipe]).await;
            if let Err(error) = results.add(std::slice::from_ref(preset), alone) {
                return Ok(Err((due, error)));
            }
        }
        Ok(Ok(results))
    }
}

/// What came of the presets of one file.
#[derive(Default)]
struct Results {
    made: Option<(Picture, Vec<Made>)>,
    refused: Vec<(Preset, Unreadable)>,
    crashed: Crashed,
}

/// Presets at which the process crashed, and how the last of them ended.
#[derive(Default)]
struct Crashed(Vec<(Preset, Crash)>);

impl Crashed {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn split(self) -> Option<(Vec<Preset>, Crash)> {
        let last = self.0.last().map(|(_, crash)| crash.clone())?;
        Some((self.0.into_iter().map(|(preset, _)| preset).collect(), last))
    }
}

impl Results {
    fn add(
        &mut self,
        presets: &[Preset],
        developed: Result<Result<RenderedPicture, Unreadable>, SandboxError>,
    ) -> Result<(), SandboxError> {
        match developed {
            Ok(Ok(RenderedPicture { picture, images })) => {
                let (_, all) = self.made.get_or_insert_with(|| (picture, Vec::new()));
                all.extend(made(presets.to_vec(), images));
            }
            Ok(Err(reason)) => self.refused.extend(with(presets, reason)),
            Err(SandboxError::Crashed(crash)) => {
                self.crashed
                    .0
                    .extend(presets.iter().map(|preset| (preset.clone(), crash.clone())));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn with(presets: &[Preset], reason: Unreadable) -> Vec<(Preset, Unreadable)> {
    presets
        .iter()
        .map(|preset| (preset.clone(), reason))
        .collect()
}

/// The owner is told of each reason once.
fn by_reason(refused: Vec<(Preset, Unreadable)>) -> Vec<(Unreadable, Vec<Preset>)> {
    let mut reasons: Vec<(Unreadable, Vec<Preset>)> = Vec::new();
    for (preset, reason) in refused {
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, presets)) => presets.push(preset),
            None => reasons.push((reason, vec![preset])),
        }
    }
    reasons
}

fn made(presets: Vec<Preset>, pictures: Vec<RenderedImage>) -> Vec<Made> {
    let pair = |(preset, picture): (Preset, RenderedImage)| Made {
        preset,
        width: picture.width,
        height: picture.height,
        bytes: picture.bytes.into(),
    };
    presets.into_iter().zip(pictures).map(pair).collect()
}
