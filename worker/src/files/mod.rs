//! Queue `files`: one file for each job kind, the image sandbox, and the commands of operators.

mod finish;
mod images;
mod owner_limit;
mod purge;
mod regeneration;
mod sandbox;
mod scan;
pub mod scan_command;
pub mod strip_command;
mod stripping;
mod thumbnails;
mod variants;
pub mod variants_command;
mod verification;

use std::time::Duration;

use plinth_core::Stores;
use plinth_core::files::{
    DirectVerification, Files, Limits, Owners, Processing, Purge, Resumables, Scans, Stripping,
};
use plinth_platform::settings::Settings;

use self::images::ImageService;
use self::owner_limit::OwnerLimit;
use crate::early_stop;

pub use sandbox::{Crash, ImageSandbox, SandboxError};

/// The number of attempts at an image in which the sandbox may crash.
const MAX_CRASHES: i16 = 3;

/// The context of the handlers of this queue.
pub struct FilesContext {
    images: ImageService,
    stripping: Stripping,
    scans: Scans,
    verification: DirectVerification,
    uploads: Resumables,
    purge: Purge,
    owner_limit: OwnerLimit,
    /// A regeneration stops after this time, and another job continues it.
    regeneration_limit: Duration,
}

impl FilesContext {
    /// # Errors
    /// The program of the image sandbox is missing.
    pub fn new(stores: &Stores, settings: &Settings) -> anyhow::Result<Self> {
        let sandbox = ImageSandbox::installed()?;
        Ok(Self::with_sandbox(stores, settings, sandbox))
    }

    /// Creates the context with another sandbox.
    pub fn with_sandbox(stores: &Stores, settings: &Settings, sandbox: ImageSandbox) -> Self {
        let presets = &settings.files.presets;
        let files = Files::new(stores, Limits::of(&settings.files), presets);
        Self {
            images: ImageService {
                processing: Processing::new(stores, presets),
                sandbox,
            },
            stripping: Stripping::new(stores, presets),
            scans: Scans::new(stores, presets),
            verification: DirectVerification::new(stores, &files),
            uploads: Resumables::new(stores, &files),
            purge: Purge::new(stores),
            owner_limit: OwnerLimit {
                owners: Owners::new(stores),
                per_owner: settings.worker.files_per_owner.0,
            },
            regeneration_limit: early_stop::limit_within(settings.worker.job_timeout),
        }
    }
}
