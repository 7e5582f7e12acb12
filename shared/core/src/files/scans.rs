//! Scans for viruses: what is asked of the scanner, and what comes of its verdict.
//!
//! A verdict is on bytes, and counts for every file and version that has them. Whoever records one, or gives a file
//! bytes that have one, holds the owner's usage row: no file is left out between the two.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::closed_set::Recorded;
use plinth_domain::file::{MetadataState, Scan, ScanState};
use plinth_domain::id::{BlobId, FileId, UserId};
use plinth_domain::job::{DeliverNotification, ScanBlob};
use plinth_domain::notification::{NewNotification, NotificationKind};
use plinth_domain::permission::Permission;
use plinth_domain::preset::Presets;
use plinth_platform::clamd::ScanResult;
use serde_json::json;

use super::blobs::usage;
use super::blobs::{self, Blob, passes_scan};
use super::variants::Derivable;
use super::{repository, stripping};
use crate::cleanup::{Pass, PassedOver, Slice, Tally, all_or_each};
use crate::unit::Unit;
use crate::{Error, Result, Stores, users};

/// Blobs for which scans are asked at once.
const BATCH: i64 = 500;

/// The worker's door to scans.
#[derive(Clone)]
pub struct Scans {
    stores: Stores,
    presets: Presets,
}

impl Scans {
    pub fn new(stores: &Stores, presets: &Presets) -> Self {
        Self {
            stores: stores.clone(),
            presets: presets.clone(),
        }
    }

    /// Asks the scanner about these bytes, and does what its verdict says; fine when that was done before.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the scanner gives no verdict: the bytes stay where they are.
    pub async fn run(&self, id: BlobId) -> Result<()> {
        let Some(blob) = blobs::repository::find(&self.stores.db, id).await? else {
            return Ok(());
        };
        if !matches!(blob.scan.state, ScanState::Unscanned | ScanState::Pending) {
            return Ok(());
        }
        let Some(clamd) = self.stores.antivirus.clamd() else {
            return Err(Error::internal(
                "this worker knows no scanner: PLINTH_CLAMAV_ADDRESS is not set",
            ));
        };
        let source = blob.internal_source(&self.stores).await?;
        let bytes = blobs::open(&self.stores.objects, source, None).await?;
        let verdict = clamd.scan(bytes).await;
        let verdict = verdict.map_err(|error| Error::Unavailable {
            store: "clamd",
            source: error.into(),
        })?;
        self.record(&blob, verdict).await
    }

    async fn record(&self, blob: &Blob, verdict: ScanResult) -> Result<()> {
        let (state, signature) = match verdict {
            ScanResult::Clean => (ScanState::Clean, None),
            ScanResult::Infected(signature) => (ScanState::Infected, Some(signature)),
            ScanResult::TooLarge => (ScanState::TooLarge, None),
        };
        let scan = Scan {
            state,
            at: Some(self.stores.clock.now()),
            signature,
        };
        tracing::info!(blob.id = %blob.id, verdict = state.as_str(), "scanned");
        self.settle(blob, &scan).await
    }

    /// Writes down what is known from now on, and does what comes of it.
    async fn settle(&self, blob: &Blob, scan: &Scan) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        usage::hold(unit.connection(), blob.owner).await?;
        let Some(scanned) = blobs::stages::set_scanned(unit.connection(), blob.id, scan).await?
        else {
            return Ok(());
        };
        let files = repository::files_with(unit.connection(), blob.id, None).await?;
        if let Some(signature) = &scan.signature {
            quarantine(&mut unit, blob.owner, &files, signature).await?;
        } else if let Some((file, _)) = files.first()
            && passes_scan(scan.state, &self.stores.antivirus)
            && (scanned.are_variants_due || scanned.metadata == MetadataState::Pending)
        {
            let content_type = scanned.content_type.as_str();
            let of = Derivable {
                file: *file,
                blob: blob.id,
                owner: blob.owner,
                content_type,
            };
            stripping::go_on(&mut unit, of, scanned.metadata, &self.presets).await?;
        }
        unit.commit().await
    }

    /// Gives up the scans that are waited for: these files are available from now on, unscanned; how many there were.
    pub async fn waive(&self) -> Result<Tally> {
        let (mut waived, mut after) = (Tally::default(), None);
        loop {
            let found = blobs::stages::waiting(&self.stores.db, after, BATCH).await?;
            let Some(last) = found.last() else { break };
            after = Some(*last);
            let mut passed_over = PassedOver::default();
            for id in &found {
                if let Err(error) = self.waive_one(*id).await {
                    passed_over.note(format_args!("blob {id}"), error)?;
                }
            }
            waived.add(found.len(), &passed_over);
        }
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let details = json!({ "blobs": waived.done });
        unit.audit_with(Action::ScansWaived, Target::None, Outcome::Success, details)
            .await?;
        unit.commit().await?;
        Ok(waived)
    }

    async fn waive_one(&self, id: BlobId) -> Result<()> {
        let Some(blob) = blobs::repository::find(&self.stores.db, id).await? else {
            return Ok(());
        };
        self.settle(
            &blob,
            &Scan {
                state: ScanState::Unscanned,
                at: None,
                signature: None,
            },
        )
        .await
    }

    /// Asks for scans of everything that nobody has scanned; how many were asked for. What is available stays so until
    /// something is found in it.
    pub async fn ask_for_unscanned(&self) -> Result<Tally> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        unit.audit(Action::ScansRequested, Target::None, Outcome::Success)
            .await?;
        unit.commit().await?;
        ask_for(
            &self.stores,
            ScanState::Unscanned,
            Pass::Remove(Slice::default()),
        )
        .await
    }

    /// Asks again for the scans that are waited for and that nobody is about to do; how many there were.
    pub async fn ask_again(&self) -> Result<Tally> {
        ask_again(&self.stores, Pass::Remove(Slice::default())).await
    }
}

/// Asks again for the scans that are waited for and that no job is about to do, as where the scanner was away for longer
/// than a job tries; how many there were. They are only counted where that is the pass.
pub(super) async fn ask_again(stores: &Stores, pass: Pass) -> Result<Tally> {
    ask_for(stores, ScanState::Pending, pass).await
}

async fn ask_for(stores: &Stores, state: ScanState, pass: Pass) -> Result<Tally> {
    let (mut asked, mut after) = (Tally::default(), None);
    loop {
        let found = blobs::stages::not_asked_for(&stores.db, state, after, BATCH).await?;
        let Some(last) = found.last() else {
            return Ok(asked);
        };
        after = Some(*last);
        let passed_over = match pass {
            Pass::Count => PassedOver::default(),
            Pass::Remove(_) => all_or_each(&found, |some| ask(stores, some)).await?,
        };
        asked.add(found.len(), &passed_over);
    }
}

async fn ask(stores: &Stores, blobs: Vec<BlobId>) -> Result<()> {
    let mut unit = Unit::begin(stores, &Origin::system()).await?;
    let mut jobs = Vec::with_capacity(blobs.len());
    for blob_id in &blobs {
        jobs.push(unit.enqueue(&ScanBlob { blob_id: *blob_id }).await?);
    }
    blobs::stages::set_asked(unit.connection(), &blobs, &jobs).await?;
    unit.commit().await
}

/// A file has got bytes that were there before. Whoever calls holds the owner's usage row.
pub(super) async fn joined(
    unit: &mut Unit,
    blob: BlobId,
    owner: UserId,
    file: FileId,
) -> Result<()> {
    let scan = blobs::stages::scan_of(unit.connection(), blob).await?;
    if let Some(signature) = &scan.signature {
        let files = repository::files_with(unit.connection(), blob, Some(file)).await?;
        return quarantine(unit, owner, &files, signature).await;
    }
    if scan.state == ScanState::Unscanned && unit.stores().antivirus.clamd().is_some() {
        let job = unit.enqueue(&ScanBlob { blob_id: blob }).await?;
        blobs::stages::set_pending(unit.connection(), blob, job).await?;
    }
    Ok(())
}

/// Writes down that the files have something in them, and tells their owner, and those who read the audit log.
async fn quarantine(
    unit: &mut Unit,
    owner: UserId,
    files: &[(FileId, String)],
    signature: &str,
) -> Result<()> {
    let details = json!({ "signature": signature });
    let readers = users::with_permission(unit, Permission::AuditRead).await?;
    let mut told = Vec::new();
    for (id, name) in files {
        let (action, target) = (Action::FileQuarantined, Target::File(*id));
        unit.audit_with(action, target, Outcome::Success, details.clone())
            .await?;
        let body = format!("A virus ({signature}) was found in {name}. Nobody can download it.");
        told.push(message(
            owner,
            NotificationKind::FileQuarantined,
            "A virus was found in your file",
            body,
            *id,
        ));
        for reader in readers.iter().filter(|reader| **reader != owner) {
            let body =
                format!("A virus ({signature}) was found in the file {id} of the account {owner}.");
            told.push(message(
                *reader,
                NotificationKind::QuarantineReported,
                "A file was quarantined",
                body,
                *id,
            ));
        }
    }
    unit.enqueue_all(&told).await
}

fn message(
    to: UserId,
    kind: NotificationKind,
    title: &str,
    body: String,
    file: FileId,
) -> DeliverNotification {
    DeliverNotification {
        notification: NewNotification {
            user_id: to,
            kind: Recorded::Known(kind),
            title: title.to_owned(),
            body,
            subject: file.to_string(),
        },
    }
}
