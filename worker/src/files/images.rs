//! The variants of an image: rendered in the sandbox, then stored. Both job kinds that make
//! variants use this.

use plinth_core::files::{Made, Notify, Processing, Reason, Source};
use plinth_domain::picture::Picture;
use plinth_domain::preset::{Preset, PresetName, Recipe};
use plinth_pictures::protocol::MAX_SOURCE_BYTES;
use plinth_pictures::{RenderedImage, RenderedPicture, Unreadable};

use super::{Crash, ImageSandbox, MAX_CRASHES, SandboxError};
use crate::attempt::Attempt;
use crate::outcome::{Failure, JobResult};

/// The progress of a job when its variants are rendered and not yet stored, in percent.
const RENDERED_PERCENT: u8 = 80;

/// Makes the variants of stored images.
pub(super) struct ImageService {
    pub(super) processing: Processing,
    pub(super) sandbox: ImageSandbox,
}

impl ImageService {
    /// Makes the variants that are due, and the variant of the preset `forced` in any case.
    ///
    /// If the image cannot be read, the job succeeds: the owner sees the reason in place of the
    /// variant. The same holds if the system kills the sandbox in every attempt, as it does when it
    /// runs out of memory. If the sandbox crashes, the fault is ours: after some attempts the job
    /// becomes a dead letter, and the other variants exist.
    pub(super) async fn make_variants(
        &self,
        source: &Source,
        forced: Option<&PresetName>,
        notify: Notify,
        attempt: &Attempt,
        max_attempts: i16,
    ) -> JobResult {
        let due = self.processing.due(source, forced);
        if due.is_empty() {
            return Ok(());
        }
        let results = match self.render(source, due).await? {
            Err((due, SandboxError::Killed(_))) if attempt.number >= max_attempts => Results {
                refused: pair_with(&due, Unreadable::TooMuchMemory),
                ..Results::default()
            },
            Err((_, error)) => return Err(error.into()),
            Ok(results) => results,
        };
        attempt.report_progress(RENDERED_PERCENT).await;
        let Results {
            rendered,
            refused,
            crashed,
        } = results;
        let notify_rendered = if crashed.is_empty() {
            notify
        } else {
            Notify::Silent
        };
        if let Some((picture, images)) = rendered {
            self.processing
                .keep(source, &picture, images, notify_rendered)
                .await?;
        }
        for (reason, presets) in group_by_reason(refused) {
            tracing::info!(?reason, "no variant can be made of the file");
            let reason = Reason::Unreadable(reason.to_string());
            self.processing
                .give_up(source, &presets, &reason, notify)
                .await?;
        }
        let Some((presets, crash)) = crashed.into_presets() else {
            return Ok(());
        };
        if attempt.number < MAX_CRASHES {
            return Err(SandboxError::Crashed(crash).into());
        }
        self.processing
            .give_up(source, &presets, &Reason::Internal, notify)
            .await?;
        Err(Failure::permanent(SandboxError::Crashed(crash)))
    }

    /// Renders all presets in one process. If that fails and one preset may be the cause, renders
    /// each in its own process.
    async fn render(
        &self,
        source: &Source,
        due: Vec<Preset>,
    ) -> plinth_core::Result<Result<Results, (Vec<Preset>, SandboxError)>> {
        if usize::try_from(source.size()).is_ok_and(|size| size > MAX_SOURCE_BYTES) {
            return Ok(Ok(Results {
                refused: pair_with(&due, Unreadable::TooLarge),
                ..Results::default()
            }));
        }
        let bytes = self.processing.read(source).await?;
        let recipes: Vec<Recipe> = due.iter().map(|preset| preset.recipe).collect();
        let together = self.sandbox.render(&bytes, &recipes).await;
        let may_be_one_preset = matches!(
            together,
            Err(SandboxError::Crashed(_)) | Ok(Err(Unreadable::TooMuchMemory))
        );
        let mut results = Results::default();
        if due.len() == 1 || !may_be_one_preset {
            let added = results.add(&due, together);
            return Ok(added.map(|()| results).map_err(|error| (due, error)));
        }
        for preset in &due {
            let alone = self.sandbox.render(&bytes, &[preset.recipe]).await;
            if let Err(error) = results.add(std::slice::from_ref(preset), alone) {
                return Ok(Err((due, error)));
            }
        }
        Ok(Ok(results))
    }
}

/// The results for the presets of one file.
#[derive(Default)]
struct Results {
    rendered: Option<(Picture, Vec<Made>)>,
    refused: Vec<(Preset, Unreadable)>,
    crashed: CrashedPresets,
}

/// The presets at which the sandbox crashed, and how.
#[derive(Default)]
struct CrashedPresets(Vec<(Preset, Crash)>);

impl CrashedPresets {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the presets and the last crash.
    fn into_presets(self) -> Option<(Vec<Preset>, Crash)> {
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
                let (_, all) = self.rendered.get_or_insert_with(|| (picture, Vec::new()));
                all.extend(to_variants(presets, images));
            }
            Ok(Err(reason)) => self.refused.extend(pair_with(presets, reason)),
            Err(SandboxError::Crashed(crash)) => {
                self.crashed.0.extend(pair_with(presets, crash));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn pair_with<T: Clone>(presets: &[Preset], result: T) -> Vec<(Preset, T)> {
    presets
        .iter()
        .map(|preset| (preset.clone(), result.clone()))
        .collect()
}

/// Groups presets by reason, because the owner is notified once for each reason.
fn group_by_reason(refused: Vec<(Preset, Unreadable)>) -> Vec<(Unreadable, Vec<Preset>)> {
    let mut groups: Vec<(Unreadable, Vec<Preset>)> = Vec::new();
    for (preset, reason) in refused {
        match groups.iter_mut().find(|(other, _)| *other == reason) {
            Some((_, presets)) => presets.push(preset),
            None => groups.push((reason, vec![preset])),
        }
    }
    groups
}

fn to_variants(presets: &[Preset], images: Vec<RenderedImage>) -> impl Iterator<Item = Made> {
    presets.iter().zip(images).map(|(preset, image)| Made {
        preset: preset.clone(),
        width: image.width,
        height: image.height,
        bytes: image.bytes.into(),
    })
}
