//! The virus scanner's configuration: which daemon scans files, and whether files that are too
//! large to scan are available.

use crate::clamd::Clamd;
use crate::settings::{ClamavSettings, TooLargeToScan};

/// The virus scanner of this installation, if one is configured.
#[derive(Debug, Clone)]
pub struct Antivirus {
    clamd: Option<Clamd>,
    too_large: TooLargeToScan,
}

impl Antivirus {
    pub fn new(settings: &ClamavSettings) -> Self {
        Self {
            clamd: settings.address.clone().map(Clamd::new),
            too_large: settings.too_large,
        }
    }

    /// Returns the scanner, or `None` if files are not scanned.
    pub fn clamd(&self) -> Option<&Clamd> {
        self.clamd.as_ref()
    }

    /// Returns the status for the readiness report of a process that does not scan itself.
    pub fn status(&self) -> &'static str {
        if self.clamd.is_some() {
            "configured"
        } else {
            "not configured"
        }
    }

    /// Returns whether files that are too large to scan are available.
    pub fn allows_too_large(&self) -> bool {
        self.too_large == TooLargeToScan::Allow
    }
}
