//! The worker's side of derived images: the source, which of them are due, and what became of it.

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::file::{File, Rendition, VariantState};
use plinth_domain::id::{FileId, JobId};
use plinth_domain::job::{DeliverNotification, RegenerateVariants, RemakeVariants};
use plinth_domain::notification::NewNotification;
use plinth_domain::picture::Picture;
use plinth_domain::preset::{Preset, PresetName, Presets};
use serde_json::json;

use super::repository;
use crate::unit::Unit;
use crate::{Error, Result, Stores};

/// Pictures that are looked at in one step of a walk along all of them.
const STEP: i64 = 500;

/// A derived image as it was made.
#[derive(Debug)]
pub struct Made {
    pub preset: Preset,
    /// Pixels.
    pub width: u32,
    pub height: u32,
    pub bytes: Bytes,
}

/// Whether the owner hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tell {
    Owner,
    /// He did nothing, and waits for nothing.
    Nobody,
}

/// What came of a step along all pictures.
#[derive(Debug)]
pub struct Step {
    /// Where the next one begins; `None` at the end.
    pub next: Option<FileId>,
    pub looked_at: usize,
    /// Of so many, images are to be made.
    pub asked: usize,
}

/// The worker's door to files.
#[derive(Clone)]
pub struct Processing {
    stores: Stores,
    presets: Presets,
}

impl Processing {
    pub fn new(stores: &Stores, presets: &Presets) -> Self {
        Self { stores: stores.clone(), presets: presets.clone() }
    }

    /// The file, unless it has been deleted meanwhile.
    pub async fn find(&self, id: FileId) -> Result<Option<File>> {
        repository::find(&self.stores.db, id, None).await
    }

    /// All bytes of the file, in memory.
    pub async fn source(&self, file: &File) -> Result<Bytes> {
        let mut source = BytesMut::with_capacity(usize::try_from(file.size).map_err(Error::internal)?);
        let mut stream = self.stores.objects.get(&file.object_key, None).await?;
        while let Some(bytes) = stream.try_next().await? {
            source.extend_from_slice(&bytes);
        }
        Ok(source.freeze())
    }

    /// The presets by whose recipes nothing has been made of this file, nor tried; the one named `again` in any case.
    pub fn due(&self, file: &File, again: Option<&PresetName>) -> Vec<Preset> {
        let is_current = |preset: &Preset| {
            file.variants.iter().any(|variant| {
                variant.preset == preset.name
                    && variant.recipe == Some(preset.recipe)
                    && variant.state != VariantState::Pending
            })
        };
        let is_due = |preset: &&Preset| again == Some(&preset.name) || !is_current(preset);
        self.presets.iter().filter(is_due).cloned().collect()
    }

    /// Keeps the images, under the same keys each time, and what is known of the picture.
    pub async fn keep(&self, file: &File, picture: &Picture, images: Vec<Made>, tell: Tell) -> Result<()> {
        let mut renditions = Vec::with_capacity(images.len());
        for Made { preset, width, height, bytes } in images {
            let content_type = preset.recipe.format.content_type();
            let rendition = Rendition {
                width: i32::try_from(width).map_err(Error::internal)?,
                height: i32::try_from(height).map_err(Error::internal)?,
                content_type: content_type.to_owned(),
                size: i64::try_from(bytes.len()).map_err(Error::internal)?,
                object_key: variant_key(file.id, preset.name.as_str()),
            };
            self.stores.objects.put(&rendition.object_key, bytes, content_type).await?;
            renditions.push((preset, rendition));
        }
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let at = unit.at();
        repository::set_picture(unit.connection(), file.id, picture).await?;
        for (preset, rendition) in &renditions {
            if !repository::set_variant_ready(unit.connection(), file.id, preset, rendition, at).await? {
                return self.discard(&renditions).await;
            }
        }
        unit.audit(Action::FileProcessed, Target::File(file.id), Outcome::Success).await?;
        if tell == Tell::Owner {
            let body = format!("The previews of {} are there.", file.name);
            unit.enqueue(&told(file, "file.processed", "Your image is ready", body)).await?;
        }
        unit.commit().await
    }

    /// Notes that no image can be made by these recipes; one that was made before stays.
    pub async fn give_up(&self, file: &File, presets: &[Preset], reason: &str, tell: Tell) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let at = unit.at();
        for preset in presets {
            repository::set_variant_failed(unit.connection(), file.id, preset, reason, at).await?;
        }
        let details = json!({ "reason": reason });
        unit.audit_with(Action::FileProcessed, Target::File(file.id), Outcome::Refused, details).await?;
        if tell == Tell::Owner {
            let body = format!("There are no previews of {}: {reason}", file.name);
            unit.enqueue(&told(file, "file.unprocessable", "Your image cannot be shown", body)).await?;
        }
        unit.commit().await
    }

    /// Asks for the derived images to be made that the settings say and that are not there; those of the preset named
    /// `again` in any case.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such preset.
    pub async fn ask_for_all(&self, again: Option<PresetName>) -> Result<JobId> {
        if again.as_ref().is_some_and(|name| self.presets.find(name).is_none()) {
            return Err(Error::NotFound);
        }
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let details = json!({ "preset": again });
        unit.audit_with(Action::VariantsRegenerated, Target::None, Outcome::Success, details).await?;
        let job = unit.enqueue(&RegenerateVariants { again, after: None }).await?;
        unit.commit().await?;
        Ok(job)
    }

    /// Looks at the next pictures, and asks for what is due of them. Done again it does no harm: what has been made
    /// meanwhile is not due.
    pub async fn step(&self, after: Option<FileId>, again: Option<&PresetName>) -> Result<Step> {
        let files = repository::pictures(&self.stores.db, after, STEP).await?;
        let is_due = |file: &&File| !self.due(file, again).is_empty() || self.has_strays(file);
        let jobs: Vec<_> = files
            .iter()
            .filter(is_due)
            .map(|file| RemakeVariants { file_id: file.id, again: again.cloned() })
            .collect();
        if !jobs.is_empty() {
            let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
            unit.enqueue_all(&jobs).await?;
            unit.commit().await?;
        }
        let whole = i64::try_from(files.len()).is_ok_and(|count| count == STEP);
        let next = files.last().filter(|_| whole).map(|file| file.id);
        Ok(Step { next, looked_at: files.len(), asked: jobs.len() })
    }

    /// Asks for the rest of a walk.
    pub async fn go_on(&self, after: FileId, again: Option<PresetName>) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        unit.enqueue(&RegenerateVariants { again, after: Some(after) }).await?;
        unit.commit().await
    }

    /// Removes images of a file that was deleted while they were made: whoever deletes it may not know of them.
    async fn discard(&self, renditions: &[(Preset, Rendition)]) -> Result<()> {
        for (_, rendition) in renditions {
            self.stores.objects.delete(&rendition.object_key).await?;
        }
        Ok(())
    }

    fn has_strays(&self, file: &File) -> bool {
        file.variants.iter().any(|variant| self.presets.find(&variant.preset).is_none())
    }

    /// Removes the images of presets that there are no more: first the bytes, then what is known of them.
    pub async fn remove_strays(&self, file: &File) -> Result<()> {
        let strays = file.variants.iter().filter(|variant| self.presets.find(&variant.preset).is_none());
        for stray in strays {
            self.stores.objects.delete(&variant_key(file.id, stray.preset.as_str())).await?;
            repository::remove_variant(&self.stores.db, file.id, &stray.preset).await?;
        }
        Ok(())
    }
}

pub(super) fn variant_key(file: FileId, preset: &str) -> String {
    format!("files/{file}/{preset}")
}

fn told(file: &File, kind: &str, title: &str, body: String) -> DeliverNotification {
    DeliverNotification {
        notification: NewNotification {
            user_id: file.owner_id,
            kind: kind.to_owned(),
            title: title.to_owned(),
            body,
            subject: file.id.to_string(),
        },
    }
}
