//! Queue `cleanup`: one file for each job kind, and the command that cleans up once.

pub mod command;
mod expired;

use std::time::Duration;

use plinth_core::Stores;
use plinth_core::cleanup::Kept;
use plinth_platform::settings::Settings;

use crate::early_stop;
use crate::reconcile::Ages;

/// The context of the handlers of this queue.
pub struct CleanUpContext {
    pub(crate) stores: Stores,
    kept: Kept,
    pub(crate) ages: Ages,
    /// A run stops after this time, and the next one continues.
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
            run_limit: early_stop::limit_within(settings.worker.job_timeout),
        }
    }
}
