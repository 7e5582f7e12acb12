//! Whether files are scanned for viruses, by what, and what becomes of those that are too large for it.

use crate::clamd::Clamd;
use crate::settings::{ClamavSettings, TooLargeToScan};

/// The scanner of this installation, where it has one.
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

    /// `None` where nobody scans.
    pub fn clamd(&self) -> Option<&Clamd> {
        self.clamd.as_ref()
    }

    /// What a process that does not scan itself says of it.
    pub fn standing(&self) -> &'static str {
        if self.clamd.is_some() {
            "configured"
        } else {
            "not configured"
        }
    }

    /// Whether what is too large for it is available all the same.
    pub fn lets_too_large_pass(&self) -> bool {
        self.too_large == TooLargeToScan::Allow
    }
}
