//! Queue `cleanup`: one file a kind of job, and the command that does the same once.

pub mod command;
mod expired;

use std::time::Duration;

use plinth_core::Stores;
use plinth_core::cleanup::Kept;
use plinth_platform::settings::Settings;

use crate::early;
use crate::reconcile::Ages;

/// What the handlers of this queue need.
pub struct CleanUpContext {
    pub(crate) stores: Stores,
    kept: Kept,
    pub(crate) ages: Ages,
    /// A run ends by itself after this time; the next one continues.
    pub(crate) run_limit: Duration,
}

impl CleanUpContext {
    pub fn new(stores: &Stores, settings: &Settings) -> Self {
        Self {
            stores: stores.clone(),
            kept: Kept::of(settings),
            ages: Ages {
                abandoned_after: settings.files.abandoned_after,
                orphans_kept: settings.files.orphans_kept.0,
            },
            run_limit: early::before(settings.worker.job_timeout),
        }
    }
}
