//! The worker's side of derived images: the source, which of them are due, and what became of it.

use bytes::Bytes;
use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::closed_set::Recorded;
use plinth_domain::file::{File, Rendition, Variant, VariantFailure, VariantState};
use plinth_domain::id::{BlobId, FileId, JobId};
use plinth_domain::job::{DeliverNotification, RegenerateVariants, RemakeVariants};
use plinth_domain::notification::{NewNotification, NotificationKind};
use plinth_domain::picture::Picture;
use plinth_domain::preset::{Preset, PresetName, Presets};
use plinth_platform::crypto::{ChunkCipher, hex, sha256};
use serde_json::json;

use super::blobs::{self, Available, Blob, Standing, is_available};
use super::download::variant_name;
use super::{reconcile, repository, variants};
use crate::cleanup::{Tally, all_or_each};
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

/// Whether the owner gets a notification of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    Owner,
    /// The owner did not trigger this and does not wait for it.
    Silent,
}

/// Why there is no image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The file cannot be read; in words for its owner.
    Unreadable(String),
    /// A fault of ours. It is due again as soon as its job is tried again, or the images are asked for.
    Internal,
}

impl Reason {
    fn failure(&self) -> VariantFailure {
        match self {
            Self::Unreadable(_) => VariantFailure::Unreadable,
            Self::Internal => VariantFailure::Internal,
        }
    }

    fn words(&self) -> &str {
        match self {
            Self::Unreadable(words) => words,
            Self::Internal => "The image could not be made because of an error on our side.",
        }
    }
}

/// What came of a step along all pictures.
#[derive(Debug)]
pub struct Step {
    /// Where the next one begins; `None` at the end.
    pub next: Option<FileId>,
    pub looked_at: usize,
    /// Of so many, images are to be made.
    pub asked: u64,
    /// So many could not be asked for; the log says why.
    pub passed_over: u64,
}

/// What images are derived from.
#[derive(Debug)]
pub struct Source {
    file: File,
    blob: Available,
    /// Of these bytes, which may be those of an older version.
    variants: Vec<Variant>,
}

impl Source {
    /// Bytes.
    pub fn size(&self) -> u64 {
        self.blob.size
    }
}

/// The worker's door to files.
#[derive(Clone)]
pub struct Processing {
    stores: Stores,
    presets: Presets,
}

impl Processing {
    pub fn new(stores: &Stores, presets: &Presets) -> Self {
        Self {
            stores: stores.clone(),
            presets: presets.clone(),
        }
    }

    /// A file's bytes, those of its current version unless others are named; `None` when they have gone meanwhile, or are kept back by
    /// a stage: of those that become available later the images are asked for then.
    pub async fn find(&self, file: FileId, blob: Option<BlobId>) -> Result<Option<Source>> {
        let Some(file) = repository::find(&self.stores.db, file, None).await? else {
            return Ok(None);
        };
        let id = blob.unwrap_or(file.blob);
        let Some(blob) = blobs::repository::find(&self.stores.db, id).await? else {
            return Ok(None);
        };
        if !is_available(blob.standing(), &self.stores.antivirus) {
            return Ok(None);
        }
        let blob = blob.available(&self.stores.antivirus)?;
        let derived = variants::of_blobs(&self.stores.db, &[id])
            .await?
            .remove(&id)
            .unwrap_or_default();
        Ok(Some(Source {
            file,
            blob,
            variants: derived.variants,
        }))
    }

    /// All of its bytes, in memory.
    pub async fn read(&self, source: &Source) -> Result<Bytes> {
        blobs::read(
            &self.stores.objects,
            source.blob.source(&self.stores).await?,
        )
        .await
    }

    /// The presets by whose recipes nothing has been made of this, nor tried; the one named `again` in any case.
    pub fn due(&self, source: &Source, again: Option<&PresetName>) -> Vec<Preset> {
        self.due_of(&source.variants, again)
    }

    fn due_of(&self, variants: &[Variant], again: Option<&PresetName>) -> Vec<Preset> {
        let is_current = |preset: &Preset| {
            variants.iter().any(|variant| {
                variant.preset == preset.name
                    && variant.recipe == Some(preset.recipe)
                    && variant.state != VariantState::Pending
                    && variant.failure != Some(VariantFailure::Internal)
            })
        };
        let is_due = |preset: &&Preset| again == Some(&preset.name) || !is_current(preset);
        self.presets.iter().filter(is_due).cloned().collect()
    }

    /// Keeps the images, the same under the same keys each time, and what is known of the picture.
    pub async fn keep(
        &self,
        source: &Source,
        picture: &Picture,
        images: Vec<Made>,
        notify: Notify,
    ) -> Result<()> {
        let mut renditions = Vec::with_capacity(images.len());
        for image in images {
            renditions.push(self.store(&source.blob, image).await?);
        }
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let at = unit.at();
        variants::set_picture(unit.connection(), source.blob.id, picture).await?;
        for (preset, rendition) in &renditions {
            if !variants::set_ready(unit.connection(), source.blob.id, preset, rendition, at)
                .await?
            {
                drop(unit);
                return self.discard(&renditions).await;
            }
        }
        let file = &source.file;
        unit.audit(
            Action::FileProcessed,
            Target::File(file.id),
            Outcome::Success,
        )
        .await?;
        if notify == Notify::Owner {
            let body = format!("The previews of {} are there.", file.name);
            unit.enqueue(&told(
                file,
                NotificationKind::FileProcessed,
                "Your image is ready",
                body,
            ))
            .await?;
        }
        unit.commit().await?;
        self.remove_replaced(source, &renditions).await
    }

    async fn store(&self, blob: &Blob, image: Made) -> Result<(Preset, Rendition)> {
        let Made {
            preset,
            width,
            height,
            bytes,
        } = image;
        let sha256 = sha256(&bytes);
        let key = blob.variant_key(&self.stores, &sha256).await?;
        let size = i64::try_from(bytes.len()).map_err(Error::internal)?;
        let bytes = match &key {
            Some(key) => blobs::seal_whole(&ChunkCipher::new(key, variant_name(&sha256)), bytes),
            None => bytes,
        };
        let object_key = variant_key(blob.id, &preset.name, &sha256);
        self.stores
            .objects
            .put(&object_key, bytes, "application/octet-stream")
            .await?;
        let rendition = Rendition {
            width: i32::try_from(width).map_err(Error::internal)?,
            height: i32::try_from(height).map_err(Error::internal)?,
            content_type: preset.recipe.format.content_type().to_owned(),
            size,
            sha256: key.is_some().then_some(sha256),
            object_key,
        };
        Ok((preset, rendition))
    }

    /// Removes the images in whose place others have come.
    async fn remove_replaced(
        &self,
        source: &Source,
        renditions: &[(Preset, Rendition)],
    ) -> Result<()> {
        let replaced = renditions.iter().filter_map(|(preset, rendition)| {
            let before = source
                .variants
                .iter()
                .find(|variant| variant.preset == preset.name)?;
            let before = before.rendition.as_ref()?;
            (before.object_key != rendition.object_key).then_some(before.object_key.as_str())
        });
        self.remove_objects(&replaced.collect::<Vec<_>>()).await
    }

    /// Removes objects that no row has any more. If the bucket does not belong to this database they stay, and a
    /// reconciliation removes them later.
    async fn remove_objects(&self, keys: &[&str]) -> Result<()> {
        if keys.is_empty() || !reconcile::may_remove(&self.stores).await? {
            return Ok(());
        }
        for key in keys {
            self.stores.objects.delete(key).await?;
        }
        Ok(())
    }

    /// Notes that no image can be made by these recipes; one that was made before stays.
    pub async fn give_up(
        &self,
        source: &Source,
        presets: &[Preset],
        reason: &Reason,
        notify: Notify,
    ) -> Result<()> {
        let (failure, reason) = (reason.failure(), reason.words());
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let at = unit.at();
        for preset in presets {
            variants::set_failed(
                unit.connection(),
                source.blob.id,
                preset,
                (failure, reason),
                at,
            )
            .await?;
        }
        let file = &source.file;
        let details = json!({ "reason": reason, "code": failure.as_str() });
        unit.audit_with(
            Action::FileProcessed,
            Target::File(file.id),
            Outcome::Refused,
            details,
        )
        .await?;
        if notify == Notify::Owner {
            let body = format!("There are no previews of {}: {reason}", file.name);
            unit.enqueue(&told(
                file,
                NotificationKind::FileUnprocessable,
                "Your image cannot be shown",
                body,
            ))
            .await?;
        }
        unit.commit().await
    }

    /// Asks for the derived images to be made that the settings say and that are not there; those of the preset named
    /// `again` in any case.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such preset.
    pub async fn ask_for_all(&self, again: Option<PresetName>) -> Result<JobId> {
        if again
            .as_ref()
            .is_some_and(|name| self.presets.find(name).is_none())
        {
            return Err(Error::NotFound);
        }
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let details = json!({ "preset": again });
        unit.audit_with(
            Action::VariantsRegenerated,
            Target::None,
            Outcome::Success,
            details,
        )
        .await?;
        let job = unit
            .enqueue(&RegenerateVariants { again, after: None })
            .await?;
        unit.commit().await?;
        Ok(job)
    }

    /// Looks at the next pictures, and asks for what is due of them. One that fails keeps no others. Done again it does no
    /// harm: what has been made meanwhile is not due.
    pub async fn step(&self, after: Option<FileId>, again: Option<&PresetName>) -> Result<Step> {
        let files = repository::pictures(&self.stores.db, after, STEP).await?;
        let is_due = |file: &&File| {
            !self.due_of(&file.variants, again).is_empty() || self.has_strays(&file.variants)
        };
        let is_available = |file: &&File| {
            let standing = Standing {
                scan: file.scan.state,
                metadata: file.metadata.state,
            };
            is_available(standing, &self.stores.antivirus)
        };
        let due: Vec<_> = files
            .iter()
            .filter(is_available)
            .filter(is_due)
            .map(|file| file.id)
            .collect();
        let mut asked = Tally::default();
        if !due.is_empty() {
            let passed_over = all_or_each(&due, |some| self.ask_for_some(some, again)).await?;
            asked.add(due.len(), &passed_over);
        }
        let whole = i64::try_from(files.len()).is_ok_and(|count| count == STEP);
        let next = files.last().filter(|_| whole).map(|file| file.id);
        Ok(Step {
            next,
            looked_at: files.len(),
            asked: asked.done,
            passed_over: asked.passed_over,
        })
    }

    async fn ask_for_some(&self, files: Vec<FileId>, again: Option<&PresetName>) -> Result<()> {
        let job = |file_id| RemakeVariants {
            file_id,
            again: again.cloned(),
        };
        let jobs: Vec<_> = files.into_iter().map(job).collect();
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        unit.enqueue_all(&jobs).await?;
        unit.commit().await
    }

    /// How many pictures a walk that goes on after this one has looked at, and how many there are in all.
    pub async fn count(&self, after: Option<FileId>) -> Result<(u64, u64)> {
        let (before, all) = repository::count_pictures(&self.stores.db, after).await?;
        Ok((before.unsigned_abs(), all.unsigned_abs()))
    }

    /// Asks for the rest of a walk.
    pub async fn go_on(&self, after: FileId, again: Option<PresetName>) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        unit.enqueue(&RegenerateVariants {
            again,
            after: Some(after),
        })
        .await?;
        unit.commit().await
    }

    /// Removes images of a file that was deleted while they were made: whoever deletes it may not know of them.
    async fn discard(&self, renditions: &[(Preset, Rendition)]) -> Result<()> {
        let keys: Vec<_> = renditions
            .iter()
            .map(|(_, rendition)| rendition.object_key.as_str())
            .collect();
        self.remove_objects(&keys).await
    }

    fn has_strays(&self, variants: &[Variant]) -> bool {
        variants
            .iter()
            .any(|variant| self.presets.find(&variant.preset).is_none())
    }

    /// Removes the images of presets that there are no more: first the bytes, then what is known of them. If the bucket does
    /// not belong to this database, both stay for the next regeneration.
    pub async fn remove_strays(&self, source: &Source) -> Result<()> {
        if !self.has_strays(&source.variants) || !reconcile::may_remove(&self.stores).await? {
            return Ok(());
        }
        let strays = source
            .variants
            .iter()
            .filter(|variant| self.presets.find(&variant.preset).is_none());
        for stray in strays {
            if let Some(rendition) = &stray.rendition {
                self.stores.objects.delete(&rendition.object_key).await?;
            }
            variants::remove(&self.stores.db, source.blob.id, &stray.preset).await?;
        }
        Ok(())
    }
}

/// Where a variant lies. Its bytes are in the name, so that none is ever written over by another.
fn variant_key(blob: BlobId, preset: &PresetName, sha256: &[u8; 32]) -> String {
    format!(
        "{}variants/{}-{}",
        blobs::folder(blob),
        preset.as_str(),
        hex(&sha256[..8])
    )
}

fn told(file: &File, kind: NotificationKind, title: &str, body: String) -> DeliverNotification {
    DeliverNotification {
        notification: NewNotification {
            user_id: file.owner_id,
            kind: Recorded::Known(kind),
            title: title.to_owned(),
            body,
            subject: file.id.to_string(),
        },
    }
}
