//! Queue `files`: one file a kind of job, the rendering of images, and the commands about them.

pub mod command;
mod finish;
mod images;
mod purge;
mod regeneration;
mod sandbox;
mod scan;
pub mod scan_command;
mod share;
pub mod strip_command;
mod stripping;
mod thumbnails;
mod variants;
mod verification;

use std::time::Duration;

use plinth_core::Stores;
use plinth_core::files::{
    DirectVerification, Files, Limits, Owners, Processing, Purge, Resumables, Scans, Stripping,
};
use plinth_platform::settings::Settings;

use self::images::ImageService;
use self::share::OwnerShare;
use crate::early;

pub use sandbox::{Crash, ImageSandbox, SandboxError};

/// What the handlers of this queue need.
pub struct FilesContext {
    images: ImageService,
    stripping: Stripping,
    scans: Scans,
    verification: DirectVerification,
    uploads: Resumables,
    purge: Purge,
    share: OwnerShare,
    /// A walk along all images ends by itself after this time, and another job continues it.
    walk_limit: Duration,
}

impl FilesContext {
    /// # Errors
    /// The program that renders images is missing.
    pub fn new(stores: &Stores, settings: &Settings) -> anyhow::Result<Self> {
        let sandbox = ImageSandbox::beside_this_program()?;
        Ok(Self::with_sandbox(stores, settings, sandbox))
    }

    /// The same with a sandbox of the caller's choice.
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
            share: OwnerShare {
                owners: Owners::new(stores),
                per_owner: settings.worker.files_per_owner.0,
            },
            walk_limit: early::before(settings.worker.job_timeout),
        }
    }
}
