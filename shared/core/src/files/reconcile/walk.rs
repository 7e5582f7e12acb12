//! The walk along blobs and objects, which have the same order: objects lie below the id of their blob.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use futures_util::TryStreamExt as _;
use plinth_domain::audit::Origin;
use plinth_domain::id::BlobId;
use plinth_domain::job::MakeThumbnails;
use plinth_object_store::{ObjectError, StoredObject};
use plinth_platform::crypto::{Sha256, sealed_size};
use time::OffsetDateTime;
use uuid::Uuid;

use super::custody::{Custody, minted_at};
use super::repository::{self, Row};
use super::{REMOVED, Report, Request};
use crate::files::{blobs, variants};
use crate::unit::Unit;
use crate::{Result, Stores};

/// Rows of a step.
const PAGE: i64 = 500;

/// Everything is below this in S3.
const ROOT: &str = "blobs/";

/// After every key of a blob.
const END: char = '~';

/// What was written so lately may be about to be noted.
const YOUNG: Duration = Duration::from_hours(1);

/// Where it is.
pub(super) struct Walk {
    stores: Stores,
    request: Request,
    after: Uuid,
    orphans: Orphans,
}

/// Objects that nobody has.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    /// The first of those that are old enough to be removed.
    pub(super) old: Vec<String>,
    /// When the newest of all was begun, as its id tells.
    pub(super) newest: Option<OffsetDateTime>,
}

impl Walk {
    pub(super) fn new(stores: &Stores, request: Request, after: Uuid) -> Self {
        Self {
            stores: stores.clone(),
            request,
            after,
            orphans: Orphans::default(),
        }
    }

    pub(super) fn after(&self) -> Uuid {
        self.after
    }

    /// Objects that nobody has, as many as are removed in one run.
    pub(super) fn into_orphans(self) -> Orphans {
        self.orphans
    }

    /// Compares a page of blobs with the objects that lie there; false at the end.
    pub(super) async fn step(&mut self, report: &mut Report) -> Result<bool> {
        let rows = repository::page(&self.stores.db, self.after, PAGE).await?;
        let is_last = i64::try_from(rows.len()).unwrap_or(PAGE) < PAGE;
        let last = rows.last().map(|row| row.id.0);
        let upto = if is_last { None } else { last };
        let known: HashSet<BlobId> = rows.iter().map(|row| row.id).collect();
        let mut found: HashMap<BlobId, Vec<StoredObject>> = HashMap::new();
        let mut after = match self.after {
            from if from.is_nil() => ROOT.to_owned(),
            from => format!("{ROOT}{from}/{END}"),
        };
        let end = upto.map(|upto| format!("{ROOT}{upto}/{END}"));
        loop {
            let page = self.stores.objects.list(ROOT, Some(&after)).await?;
            let mut strays = Vec::new();
            let mut is_beyond = false;
            let Some(next) = page.objects.last().map(|object| object.key.clone()) else {
                break;
            };
            for object in page.objects {
                if end.as_ref().is_some_and(|end| object.key > *end) {
                    is_beyond = true;
                    break;
                }
                report.objects += 1;
                match blob_of(&object.key).filter(|blob| known.contains(blob)) {
                    Some(blob) => found.entry(blob).or_default().push(object),
                    None => strays.push(object),
                }
            }
            self.find_orphans(strays, report).await?;
            if is_beyond || !page.has_more {
                break;
            }
            after = next;
        }
        for row in &rows {
            report.blobs += 1;
            let objects = found.remove(&row.id).unwrap_or_default();
            if let Err(error) = self.compare(row, objects, report).await {
                report.pass_over(format_args!("blob {}", row.id), error)?;
            }
        }
        if let Some(upto) = upto {
            self.after = upto;
        }
        Ok(!is_last)
    }

    /// Objects that had no row when the rows were read: those that still have none are nobody's.
    async fn find_orphans(&mut self, strays: Vec<StoredObject>, report: &mut Report) -> Result<()> {
        let ids: Vec<BlobId> = strays
            .iter()
            .filter_map(|object| blob_of(&object.key))
            .collect();
        let known = repository::known(&self.stores.db, &ids).await?;
        for object in strays {
            if blob_of(&object.key).is_none_or(|blob| !known.contains(&blob)) {
                self.note_orphan(object, report);
            }
        }
        Ok(())
    }

    fn note_orphan(&mut self, object: StoredObject, report: &mut Report) {
        report.orphan_objects += 1;
        self.orphans.newest = self
            .orphans
            .newest
            .max(blob_of(&object.key).and_then(|blob| minted_at(blob.0)));
        let now = SystemTime::from(self.stores.clock.now());
        // What an unfinished upload may still need is never an orphan's age.
        let kept = self
            .request
            .orphans_kept
            .max(self.request.abandoned_after + YOUNG);
        let is_old = object
            .modified
            .is_some_and(|at| now.duration_since(at).is_ok_and(|age| age > kept));
        if !is_old {
            report.young_orphans += 1;
        } else if self.orphans.old.len() < REMOVED {
            self.orphans.old.push(object.key);
        }
    }

    async fn compare(
        &mut self,
        row: &Row,
        objects: Vec<StoredObject>,
        report: &mut Report,
    ) -> Result<()> {
        // What is received or removed is looked after by the clean-up.
        if !row.is_stored {
            return Ok(());
        }
        let content = objects
            .iter()
            .find(|object| object.key == row.object_key)
            .cloned();
        let content = match content {
            // There are stores that list objects without their tags.
            Some(object) if row.etag.is_none() || object.etag.is_some() => Some(object),
            // One of before there were blobs lies elsewhere.
            _ => self.stores.objects.head(&row.object_key).await?,
        };
        let expected = if row.is_sealed {
            sealed_size(row.size)
        } else {
            row.size
        };
        match content {
            None if repository::is_stored(&self.stores.db, row.id).await? => {
                report.missing_objects += 1;
                report.lose(row.id, "its object is gone");
            }
            None => return Ok(()),
            Some(object) if object.size != expected => {
                report.wrong_sizes += 1;
                report.lose(row.id, "its object has another size");
            }
            Some(object) if row.etag.is_some() && object.etag != row.etag => {
                if self.is_a_copy(row, object.etag).await? {
                    report.copied_objects += 1;
                } else {
                    report.replaced_objects += 1;
                    report.lose(row.id, "its object is another one than was verified");
                }
            }
            Some(_)
                if self.request.read_contents && !self.reads_as_it_should(row.id, None).await? =>
            {
                report.broken_contents += 1;
                report.lose(
                    row.id,
                    "its object does not open or hashes to something else",
                );
            }
            Some(_) => {}
        }
        self.compare_variants(row, objects, report).await
    }

    async fn compare_variants(
        &mut self,
        row: &Row,
        objects: Vec<StoredObject>,
        report: &mut Report,
    ) -> Result<()> {
        let keys: HashSet<String> = objects.iter().map(|object| object.key.clone()).collect();
        let now = SystemTime::from(self.stores.clock.now());
        for object in objects {
            let is_young = object
                .modified
                .is_some_and(|at| now.duration_since(at).is_ok_and(|age| age < YOUNG));
            let is_known = object.key == row.object_key || row.variants.contains(&object.key);
            if !is_known && !is_young {
                self.note_orphan(object, report);
            }
        }
        if row.variants.iter().all(|key| keys.contains(key)) {
            return Ok(());
        }
        let missing = repository::variants(&self.stores.db, row.id).await?;
        let mut gone = 0;
        for key in missing {
            // One made since the list was read is there by now.
            if !keys.contains(&key) && self.stores.objects.size(&key).await?.is_none() {
                gone += 1;
            }
        }
        report.missing_variants += gone;
        if gone > 0 && !self.request.dry_run {
            self.make_anew(row.id).await?;
        }
        Ok(())
    }

    async fn make_anew(&self, blob: BlobId) -> Result<()> {
        let Some(file) = repository::file_of(&self.stores.db, blob).await? else {
            return Ok(());
        };
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let at = unit.at();
        variants::set_pending(unit.connection(), blob, at).await?;
        unit.enqueue(&MakeThumbnails {
            file_id: file,
            blob_id: Some(blob),
        })
        .await?;
        unit.commit().await
    }

    /// Whether the object that is in the place of the one that was verified has the same bytes; then it is taken for it.
    async fn is_a_copy(&self, row: &Row, etag: Option<String>) -> Result<bool> {
        let (Some(before), Some(etag)) = (&row.etag, etag) else {
            return Ok(false);
        };
        if !self.request.read_contents || !self.reads_as_it_should(row.id, Some(&etag)).await? {
            return Ok(false);
        }
        if !self.request.dry_run {
            repository::set_etag(&self.stores.db, row.id, before, &etag).await?;
        }
        Ok(true)
    }

    /// Reads the object, or the one with this tag.
    async fn reads_as_it_should(&self, id: BlobId, etag: Option<&str>) -> Result<bool> {
        let Some(blob) = blobs::repository::find(&self.stores.db, id).await? else {
            return Ok(true);
        };
        let expected = repository::sha256(&self.stores.db, id).await?;
        let mut source = blob.internal_source(&self.stores).await?;
        source.etag = etag.map(str::to_owned).or(source.etag);
        let mut hash = Sha256::default();
        let mut bytes = match blobs::open(&self.stores.objects, source, None).await {
            Ok(bytes) => bytes,
            // Replaced since it was looked at.
            Err(blobs::BrokenContent::Object(ObjectError::Replaced)) => return Ok(false),
            Err(blobs::BrokenContent::Object(error)) => return Err(error.into()),
            Err(_) => return Ok(false),
        };
        loop {
            match bytes.try_next().await {
                Ok(Some(some)) => hash.update(&some),
                Ok(None) => return Ok(expected.as_deref() == Some(hash.finish().as_slice())),
                Err(blobs::BrokenContent::Object(error)) => return Err(error.into()),
                Err(_) => return Ok(false),
            }
        }
    }
}

/// The blob below whose id an object lies.
fn blob_of(key: &str) -> Option<BlobId> {
    key.strip_prefix(ROOT)?.split('/').next()?.parse().ok()
}

/// Parts that were begun and that no blob knows of, as where a process died before it could note them.
pub(super) async fn orphan_parts(
    stores: &Stores,
    request: &Request,
    custody: Custody,
    report: &mut Report,
) -> Result<Option<u64>> {
    let Some(uploads) = stores.objects.list_unfinished_parts(ROOT).await? else {
        return Ok(None);
    };
    let ids: Vec<String> = uploads.iter().map(|one| one.upload.clone()).collect();
    let known = repository::known_parts(&stores.db, &ids).await?;
    let now = SystemTime::from(stores.clock.now());
    // No row vouches for them, so an unmarked bucket is not enough.
    let are_removed = custody == Custody::Ours && !report.held_back && !request.dry_run;
    let mut orphans = 0;
    for one in uploads {
        let is_old = one.begun.is_none_or(|at| {
            now.duration_since(at)
                .is_ok_and(|age| age > request.abandoned_after)
        });
        if is_old && !known.contains(&one.upload) {
            orphans += 1;
            if are_removed
                && let Err(error) = stores.objects.abort_parts(&one.key, &one.upload).await
            {
                report.pass_over(format_args!("parts of {}", one.key), error.into())?;
            }
        }
    }
    Ok(Some(orphans))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_of_the_blob_below_whose_id_it_lies() {
        let id = BlobId(Uuid::max());
        assert_eq!(blob_of(&format!("blobs/{id}/content")), Some(id));
        assert_eq!(blob_of(&format!("blobs/{id}/variants/small-00")), Some(id));
        for key in ["blobs/x/content", "files/x", "blobs/", ""] {
            assert_eq!(blob_of(key), None, "{key}");
        }
    }
}
