//! The gate: no byte of a blob is given to anybody, nor made into anything, before the scanner has let it pass.

use std::ops::Deref;
use std::time::Duration;

use plinth_domain::file::ScanState;
use plinth_platform::antivirus::Antivirus;

use super::{Blob, Source};
use crate::{Error, Result, Stores};

/// When whoever comes too early may come again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A blob whose bytes may be given to whoever has the file. Only a verdict makes one.
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
    /// [`Error::NotScanned`] before the verdict; [`Error::Forbidden`] after one that keeps it back.
    pub(in crate::files) fn available(self, antivirus: &Antivirus) -> Result<Available> {
        check(self.scan.state, antivirus)?;
        Ok(Available(self))
    }
}

/// Whether the verdict lets bytes pass.
pub(in crate::files) fn is_available(state: ScanState, antivirus: &Antivirus) -> bool {
    check(state, antivirus).is_ok()
}

fn check(state: ScanState, antivirus: &Antivirus) -> Result<()> {
    let (code, detail) = match state {
        ScanState::Unscanned | ScanState::Clean => return Ok(()),
        ScanState::TooLarge if antivirus.lets_too_large_pass() => return Ok(()),
        ScanState::Pending => return Err(Error::NotScanned { retry_after: RETRY_AFTER }),
        ScanState::Infected => ("file_infected", "A virus was found in the file; nobody can download it."),
        ScanState::TooLarge => (
            "file_too_large_to_scan",
            "The file is too large to be scanned for viruses; nobody can download it.",
        ),
    };
    Err(Error::Forbidden { code, detail: detail.to_owned() })
}
