//! Every kind of job that this worker runs, one line each.

use std::sync::Arc;

use plinth_core::Stores;
use plinth_core::auth::{EmailChanges, PasswordResets, SecurityNotices, Verification};
use plinth_core::cleanup::Kept;
use plinth_core::files::{
    DirectVerification, Files, Limits, Owners, Processing, Purge, Resumables, Scans, Stripping,
};
use plinth_core::jobs::{OutagePauses, SentMails};
use plinth_core::notifications::Inbox;
use plinth_domain::job::{
    CleanUp, DeliverNotification, FinishUpload, MakeThumbnails, PurgeBlob, ReconcileFiles,
    RegenerateVariants, RemakeVariants, ResendVerificationMail, ScanBlob, SendEmailChangeMail,
    SendPasswordResetMail, SendSecurityNotice, SendVerificationMail, StripMetadata,
    VerifyDirectUpload,
};
use plinth_platform::mailer::Mailer;
use plinth_platform::settings::Settings;

use crate::registry::Registry;
use crate::{cleanup, email, files, notifications, reconcile};

/// The handlers, with what each needs.
pub fn all(stores: &Stores, settings: &Settings) -> anyhow::Result<Registry> {
    let post = Arc::new(email::Post {
        verification: Verification::new(stores, settings.auth.verification_lifetime),
        password_resets: PasswordResets::new(stores, settings.auth.password_reset_lifetime),
        email_changes: EmailChanges::new(stores, settings.auth.email_change_lifetime),
        notices: SecurityNotices::new(stores, settings.auth.email_undo_lifetime),
        mailer: Mailer::new(&settings.smtp)?,
        sent: SentMails::new(stores),
        pauses: OutagePauses::new(stores),
        per_domain: settings.smtp.per_domain.0,
        product: email::Product {
            name: settings.general.product_name.clone(),
            public_url: settings.general.public_url.to_string(),
        },
    });
    let processing = Processing::new(stores, &settings.files.presets);
    let share = files::OwnerShare {
        owners: Owners::new(stores),
        per_owner: settings.worker.files_per_owner.0,
    };
    let studio = files::Studio {
        processing: processing.clone(),
        darkroom: files::Darkroom::beside_this_program()?,
        share: share.clone(),
    };
    let (remaking, cleaning) = (studio.clone(), studio.clone());
    let (scanning, finishing) = (share.clone(), share.clone());
    let purge = Purge::new(stores);
    let scans = Scans::new(stores, &settings.files.presets);
    let stripping = Stripping::new(stores, &settings.files.presets);
    let uploaded = Files::new(stores, Limits::of(&settings.files), &settings.files.presets);
    let verification = DirectVerification::new(stores, &uploaded);
    let uploads = Resumables::new(stores, &uploaded);
    let inbox = Inbox::new(stores);
    let kept = Kept::of(settings);
    // It ends by itself, with a report, before it would be stopped.
    let within = settings.worker.job_timeout * 4 / 5;
    let ages = reconcile::files::Ages {
        abandoned_after: settings.files.abandoned_after,
        orphans_kept: settings.files.orphans_kept.0,
    };
    let (stores, compared) = (stores.clone(), stores.clone());
    Ok(mails(Registry::default(), post)
        .with(move |job: MakeThumbnails, attempt| {
            files::thumbnails::make(studio.clone(), job, attempt)
        })
        .with(move |job: RemakeVariants, attempt| {
            files::variants::remake(remaking.clone(), job, attempt)
        })
        .with(move |job: RegenerateVariants, attempt| {
            files::regeneration::walk(processing.clone(), job, attempt, within)
        })
        .with(move |job: ScanBlob, attempt| {
            files::scan::ask(scans.clone(), scanning.clone(), job, attempt)
        })
        .with(move |job: StripMetadata, attempt| {
            files::stripping::strip(stripping.clone(), cleaning.clone(), job, attempt)
        })
        .with(move |job: VerifyDirectUpload, attempt| {
            files::verification::verify(verification.clone(), share.clone(), job, attempt)
        })
        .with(move |job: FinishUpload, attempt| {
            files::finish::finish(uploads.clone(), finishing.clone(), job, attempt)
        })
        .with(move |job: PurgeBlob, _| files::purge::remove(purge.clone(), job))
        .with(move |job: DeliverNotification, _| notifications::deliver::put(inbox.clone(), job))
        .with(move |job: ReconcileFiles, _| {
            reconcile::files::compare(compared.clone(), job, ages, within)
        })
        .with(move |_: CleanUp, _| cleanup::expired::remove(stores.clone(), kept, within)))
}

fn mails(registry: Registry, post: Arc<email::Post>) -> Registry {
    let (again, reset, change, notice) = (post.clone(), post.clone(), post.clone(), post.clone());
    registry
        .with(move |job: SendVerificationMail, attempt| {
            email::verification::send(post.clone(), job, attempt)
        })
        .with(move |job: ResendVerificationMail, attempt| {
            email::verification_again::send(again.clone(), job, attempt)
        })
        .with(move |job: SendPasswordResetMail, attempt| {
            email::password_reset::send(reset.clone(), job, attempt)
        })
        .with(move |job: SendEmailChangeMail, attempt| {
            email::email_change::send(change.clone(), job, attempt)
        })
        .with(move |job: SendSecurityNotice, attempt| {
            email::security_notice::send(notice.clone(), job, attempt)
        })
}
