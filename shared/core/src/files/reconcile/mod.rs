//! Reconciliation: S3 and PostgreSQL side by side, in the order of blobs, a page of each in memory at a time.
//!
//! A row is there before its object and goes after it. So an object without a row is nobody's, and a stored blob without
//! its object has lost its bytes. Whatever looks wrong is looked up once more before anything is done about it: the two
//! are not read at the same moment.

mod custody;
mod quota;
mod repository;
mod walk;

use std::time::Duration;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::id::BlobId;
use plinth_domain::job::ReconcileFiles;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::custody::Custody;
pub(in crate::files) use self::custody::may_remove;
pub(crate) use self::custody::objection_to_removal;
pub use self::custody::{adopt, renew};
use self::walk::{Orphans, Walk};
use crate::cleanup::{Pass, PassedOver, Slice};
use crate::unit::Unit;
use crate::{Error, Result, Stores};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Report, and change nothing.
    pub dry_run: bool,
    /// Read every byte and compare it with its hash, too.
    pub read_contents: bool,
    /// An upload that stands still for so long is stuck.
    pub abandoned_after: Duration,
    /// Remove orphans however many there are.
    pub remove_many: bool,
    /// How old an orphan is before it is removed.
    pub orphans_kept: Duration,
    /// Begin after this blob.
    pub after: Option<BlobId>,
}

/// What was found. What can be mended was, unless it was a dry run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub dry_run: bool,
    /// Ended before it was through.
    pub stopped: bool,
    pub blobs: u64,
    pub objects: u64,
    /// Objects that nobody has.
    pub orphan_objects: u64,
    /// Those of them that are not old enough to be removed.
    pub young_orphans: u64,
    /// Those of them that were removed.
    pub removed_objects: u64,
    /// This is more likely to be the wrong database for this bucket, or an older one: nothing was removed.
    pub held_back: bool,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_back_because: Option<&'static str>,
    /// Parts that nobody goes on with: freed if the bucket has the marker of this database. `None` where the store cannot
    /// list them.
    pub orphan_parts: Option<u64>,
    /// Derived images whose object is gone: made anew.
    pub missing_variants: u64,
    /// Scans that are waited for and that no job is about to do: asked for.
    pub missing_scans: u64,
    /// Pictures that wait for their metadata to be taken out, which no job is about to do: asked for.
    pub missing_strips: u64,
    /// Objects that were copied since they were verified, and have the same bytes: their new tag is kept. Only where contents
    /// are read.
    pub copied_objects: u64,
    /// Uploads and removals that stand still: removed.
    pub stuck_uploads: u64,
    /// Blobs, objects and accounts that could not be looked at or mended, and were passed over; the log says why.
    pub passed_over: u64,
    /// Accounts whose usage was counted wrong: counted anew.
    pub quota_drift: u64,
    /// Bytes are lost: blobs whose object is gone.
    pub missing_objects: u64,
    /// Bytes are lost: blobs whose object has another size.
    pub wrong_sizes: u64,
    /// Bytes are lost: blobs in whose place there is another object than the one that was verified.
    pub replaced_objects: u64,
    /// Bytes are lost: blobs whose object does not open, or hashes to something else.
    pub broken_contents: u64,
    /// The first of those blobs.
    pub lost: Vec<BlobId>,
    /// Where to go on when it was stopped.
    #[serde(skip)]
    pub after: Option<BlobId>,
}

/// Orphans that are removed in one run; the next one goes on.
const REMOVED: usize = 1_000;

/// So few orphans are removed whatever their part of all objects is.
const FEW: u64 = 100;

/// So many lost blobs are named.
const NAMED: usize = 100;

impl Report {
    /// Whether bytes are lost that nothing here can bring back.
    pub fn has_losses(&self) -> bool {
        self.missing_objects + self.wrong_sizes + self.replaced_objects + self.broken_contents > 0
    }

    /// Counts an item that failed. An outage is no fault of the item, and ends the comparison.
    fn pass_over(&mut self, item: impl std::fmt::Display, error: Error) -> Result<()> {
        let mut passed_over = PassedOver::default();
        passed_over.note(item, error)?;
        self.passed_over += passed_over.rows;
        Ok(())
    }

    fn lose(&mut self, blob: BlobId, reason: &'static str) {
        tracing::error!(blob.id = %blob, reason, "the bytes of a file are lost");
        if self.lost.len() < NAMED {
            self.lost.push(blob);
        }
    }
}

/// Compares, and mends, until `stop`.
pub async fn run(stores: &Stores, request: &Request, stop: &CancellationToken) -> Result<Report> {
    let mut report = Report {
        dry_run: request.dry_run,
        ..Report::default()
    };
    let custody = custody::inspect(stores).await?;
    let mut walk = Walk::new(
        stores,
        *request,
        request.after.map_or(Uuid::nil(), |blob| blob.0),
    );
    while walk.step(&mut report).await? {
        if stop.is_cancelled() {
            report.stopped = true;
            report.after = Some(BlobId(walk.after()));
            break;
        }
    }
    let orphans = walk.into_orphans();
    report.held_back_because = objection(stores, request, custody, &orphans, &report).await?;
    report.held_back = report.held_back_because.is_some();
    remove_orphans(stores, request, &orphans, &mut report).await?;
    if !report.stopped {
        finish(stores, request, custody, &mut report).await?;
        let is_whole = request.after.is_none() && report.orphan_objects == 0;
        if custody == Custody::Unclaimed && is_whole && !request.dry_run {
            custody::claim(stores).await?;
        }
    }
    if !request.dry_run {
        let mut unit = Unit::begin(stores, &Origin::system()).await?;
        let details = serde_json::to_value(&report).map_err(Error::internal)?;
        unit.audit_with(Action::Reconciled, Target::None, Outcome::Success, details)
            .await?;
        if let (true, after) = (report.stopped, report.after) {
            unit.enqueue(&ReconcileFiles { after }).await?;
        }
        unit.commit().await?;
    }
    Ok(report)
}

/// Why nothing is removed of what no row knows: a database that was put back, or another one's bucket, makes live objects
/// look like nobody's.
async fn objection(
    stores: &Stores,
    request: &Request,
    custody: Custody,
    orphans: &Orphans,
    report: &Report,
) -> Result<Option<&'static str>> {
    match custody {
        // A new bucket is marked when all that is in it is known.
        Custody::Unclaimed if report.orphan_objects == 0 => return Ok(None),
        custody => {
            if let Some(objection) = custody.objection() {
                return Ok(Some(objection));
            }
        }
    }
    let newest_known = custody::newest_known(stores).await?;
    if orphans.newest.is_some_and(|newest| newest > newest_known) {
        return Ok(Some(
            "the bucket has objects that are newer than anything in the database: it was restored",
        ));
    }
    let are_many = report.orphan_objects > FEW && report.orphan_objects > report.objects / 10;
    Ok((are_many && !request.remove_many).then_some("too many of its objects are nobody's"))
}

async fn remove_orphans(
    stores: &Stores,
    request: &Request,
    orphans: &Orphans,
    report: &mut Report,
) -> Result<()> {
    if let Some(reason) = report.held_back_because {
        tracing::error!(
            reason,
            orphans = report.orphan_objects,
            of = report.objects,
            "nothing is removed: is this the database of this bucket, and is it complete?"
        );
        return Ok(());
    }
    if request.dry_run {
        return Ok(());
    }
    for key in &orphans.old {
        tracing::info!(key, "an object that nobody has is removed");
        match stores.objects.delete(key).await {
            Ok(()) => report.removed_objects += 1,
            Err(error) => report.pass_over(format_args!("object {key}"), error.into())?,
        }
    }
    Ok(())
}

/// What does not lie along the blobs.
async fn finish(
    stores: &Stores,
    request: &Request,
    custody: Custody,
    report: &mut Report,
) -> Result<()> {
    let before = stores.clock.now() - request.abandoned_after;
    let pass = if request.dry_run {
        Pass::Count
    } else {
        Pass::Remove(Slice::default())
    };
    // Where nothing is removed, what stands still is only counted.
    let removal = if report.held_back_because.is_some() {
        Pass::Count
    } else {
        pass
    };
    loop {
        let batch = super::abandoned(stores, before, removal).await?;
        report.stuck_uploads += batch.rows();
        let is_last = batch.is_last();
        report.passed_over += batch.into_passed_over().rows;
        if is_last {
            break;
        }
    }
    let scans = super::scans::ask_again(stores, pass).await?;
    let strips = super::stripping::ask_again(stores, pass).await?;
    (report.missing_scans, report.missing_strips) = (scans.done, strips.done);
    report.passed_over += scans.passed_over + strips.passed_over;
    report.orphan_parts = walk::orphan_parts(stores, request, custody, report).await?;
    report.quota_drift = quota::mend(stores, request.dry_run, report).await?;
    Ok(())
}
