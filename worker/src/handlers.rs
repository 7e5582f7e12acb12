//! Every kind of job that this worker runs, one line each.

use std::sync::Arc;

use plinth_core::Stores;
use plinth_core::auth::Verification;
use plinth_core::files::{Processing, Purge};
use plinth_core::notifications::Inbox;
use plinth_domain::job::{CleanUp, DeliverNotification, MakeThumbnails, PurgeFile, SendVerificationMail};
use plinth_platform::mailer::Mailer;
use plinth_platform::settings::Settings;

use crate::registry::Registry;
use crate::{cleanup, email, files, notifications};

/// The handlers, with what each needs.
pub fn all(stores: &Stores, settings: &Settings) -> anyhow::Result<Registry> {
    let post = Arc::new(email::Post {
        verification: Verification::new(stores, settings.auth.verification_lifetime),
        mailer: Mailer::new(&settings.smtp)?,
        public_url: settings.general.public_url.to_string(),
    });
    let thumbnails = files::Thumbnails::new(Processing::new(stores));
    let purge = Purge::new(stores);
    let inbox = Inbox::new(stores);
    let abandoned_after = settings.files.abandoned_after;
    let stores = stores.clone();
    Ok(Registry::default()
        .with(move |job: SendVerificationMail, attempt| email::verification::send(post.clone(), job, attempt))
        .with(move |job: MakeThumbnails, _| files::thumbnails::make(thumbnails.clone(), job))
        .with(move |job: PurgeFile, _| files::purge::remove(purge.clone(), job))
        .with(move |job: DeliverNotification, _| notifications::deliver::put(inbox.clone(), job))
        .with(move |_: CleanUp, _| cleanup::expired::remove(stores.clone(), abandoned_after)))
}
