//! The gate: no byte of a blob is given to anybody, nor made into anything, before the scanner has let it pass and, where
//! that is the policy, its metadata is gone.

use std::ops::Deref;
use std::time::Duration;

use plinth_domain::error_code::ErrorCode;
use plinth_domain::file::{MetadataState, ScanState};
use plinth_platform::antivirus::Antivirus;

use super::{Blob, Source};
use crate::{Error, Result, Stores};

/// When whoever comes too early may come again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How far a blob has come.
#[derive(Debug, Clone, Copy)]
pub(in crate::files) struct Standing {
    pub(in crate::files) scan: ScanState,
    pub(in crate::files) metadata: MetadataState,
}

/// A blob whose bytes may be given to whoever has the file. Only one that has passed every stage makes one.
#[derive(Debug, Clone)]
pub(in crate::files) struct Available(Blob);

impl Available {
    /// Where its bytes are and how they are opened.
    pub(in crate::files) async fn source(&self, stores: &Stores) -> Result<Source> {
        self.0.internal_source(stores).await
    }
}

impl Deref for Available {
    type Target = Blob;
    fn deref(&self) -> &Blob {
        &self.0
    }
}

impl Blob {
    /// # Errors
    /// [`Error::NotAvailableYet`] before the last stage; [`Error::Forbidden`] after one that keeps it back.
    pub(in crate::files) fn available(self, antivirus: &Antivirus) -> Result<Available> {
        check(self.standing(), antivirus)?;
        Ok(Available(self))
    }

    pub(in crate::files) fn standing(&self) -> Standing {
        Standing {
            scan: self.scan.state,
            metadata: self.metadata,
        }
    }
}

/// Whether bytes may be given out.
pub(in crate::files) fn is_available(standing: Standing, antivirus: &Antivirus) -> bool {
    check(standing, antivirus).is_ok()
}

/// Whether the scanner's verdict lets bytes pass.
pub(in crate::files) fn passes_scan(state: ScanState, antivirus: &Antivirus) -> bool {
    check_scan(state, antivirus).is_ok()
}

fn check(standing: Standing, antivirus: &Antivirus) -> Result<()> {
    check_scan(standing.scan, antivirus)?;
    check_metadata(standing.metadata)
}

fn check_scan(state: ScanState, antivirus: &Antivirus) -> Result<()> {
    let (code, detail) = match state {
        ScanState::Unscanned | ScanState::Clean => return Ok(()),
        ScanState::TooLarge if antivirus.allows_too_large() => return Ok(()),
        ScanState::Pending => {
            let detail = "The file is being scanned for viruses; try again.";
            return Err(Error::NotAvailableYet {
                code: ErrorCode::FileNotScanned,
                detail,
                retry_after: RETRY_AFTER,
            });
        }
        ScanState::Infected => (
            ErrorCode::FileInfected,
            "A virus was found in the file; nobody can download it.",
        ),
        ScanState::TooLarge => (
            ErrorCode::FileTooLargeToScan,
            "The file is too large to be scanned for viruses; nobody can download it.",
        ),
    };
    Err(Error::Forbidden {
        code,
        detail: detail.to_owned(),
    })
}

fn check_metadata(state: MetadataState) -> Result<()> {
    match state {
        MetadataState::Kept | MetadataState::Stripped => Ok(()),
        MetadataState::Pending => {
            let (code, detail) = (
                ErrorCode::MetadataNotRemoved,
                "Its metadata is being taken out; try again.",
            );
            Err(Error::NotAvailableYet {
                code,
                detail,
                retry_after: RETRY_AFTER,
            })
        }
        MetadataState::Failed => {
            let detail = "The metadata of the picture cannot be taken out; nobody can download it."
                .to_owned();
            Err(Error::Forbidden {
                code: ErrorCode::MetadataNotRemovable,
                detail,
            })
        }
    }
}
