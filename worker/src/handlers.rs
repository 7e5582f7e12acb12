//! The list of all job kinds that this worker runs.

use std::sync::Arc;

use plinth_core::Stores;
use plinth_core::notifications::Inbox;
use plinth_domain::job::{
    CleanUp, DeliverNotification, FinishUpload, MakeThumbnails, PurgeBlob, ReconcileFiles,
    RegenerateVariants, RemakeVariants, ResendVerificationMail, ScanBlob, SendEmailChangeMail,
    SendPasswordResetMail, SendSecurityNotice, SendVerificationMail, StripMetadata,
    VerifyDirectUpload,
};
use plinth_platform::settings::Settings;

use crate::cleanup::CleanUpContext;
use crate::email::EmailContext;
use crate::files::FilesContext;
use crate::registry::Registry;

/// Returns the handlers of all job kinds.
///
/// # Errors
/// The settings of the mail server are invalid, or the program that renders images is missing.
pub fn all(stores: &Stores, settings: &Settings) -> anyhow::Result<Registry> {
    let emails = Arc::new(EmailContext::new(stores, settings)?);
    let files = Arc::new(FilesContext::new(stores, settings)?);
    let inbox = Arc::new(Inbox::new(stores));
    let cleanup = Arc::new(CleanUpContext::new(stores, settings));
    Ok(Registry::default()
        .register::<SendVerificationMail>(&emails)
        .register::<ResendVerificationMail>(&emails)
        .register::<SendPasswordResetMail>(&emails)
        .register::<SendEmailChangeMail>(&emails)
        .register::<SendSecurityNotice>(&emails)
        .register::<MakeThumbnails>(&files)
        .register::<RemakeVariants>(&files)
        .register::<RegenerateVariants>(&files)
        .register::<ScanBlob>(&files)
        .register::<StripMetadata>(&files)
        .register::<VerifyDirectUpload>(&files)
        .register::<FinishUpload>(&files)
        .register::<PurgeBlob>(&files)
        .register::<DeliverNotification>(&inbox)
        .register::<ReconcileFiles>(&cleanup)
        .register::<CleanUp>(&cleanup))
}
