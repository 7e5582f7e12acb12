//! A clean-up: which kinds, how old, removed or only counted.

use std::time::Duration;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_platform::database;
use plinth_platform::settings::Settings;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::batch::{Batch, Pass, Slice, Total, in_steps};
use super::{Kind, Report};
use crate::jobs::retention::{self, Ending};
use crate::unit::Unit;
use crate::{
    Error, Result, Stores, access_tokens, api_keys, auth, challenges, files, hot, notifications,
    second_factors, users,
};

/// Ended sessions, keys and links are kept for so long: their owner may ask where he was logged in, or what he shared.
const ENDED_KEPT: Duration = Duration::from_hours(24 * 30);

/// What has expired is kept a while longer: whoever is late is told so and not that there never was one, and a clock
/// that is ahead removes nothing that others still go by.
const EXPIRED_KEPT: Duration = Duration::from_hours(1);

/// How long is kept what has no expiry of its own.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// After so long an upload that stands still is taken for abandoned.
    pub unfinished_uploads: Duration,
    /// How long a registration can be proved.
    pub unverified_registrations: Duration,
    /// So long a deleted file can be restored.
    pub trashed_files: Duration,
    pub finished_jobs: Duration,
    pub dead_jobs: Duration,
    pub read_notifications: Duration,
    pub unread_notifications: Duration,
}

impl Kept {
    pub fn of(settings: &Settings) -> Self {
        Self {
            unfinished_uploads: settings.files.abandoned_after,
            unverified_registrations: settings.worker.unverified_registrations_kept,
            trashed_files: settings.files.trash_kept,
            finished_jobs: settings.worker.jobs_kept,
            dead_jobs: settings.worker.dead_jobs_kept,
            read_notifications: settings.worker.read_notifications_kept,
            unread_notifications: settings.worker.unread_notifications_kept,
        }
    }
}

/// What is asked for; by default all kinds, removed.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// None for all.
    pub only: Vec<Kind>,
    /// In place of how long each kind is kept after it is over. What nobody has ended (an upload, an unread
    /// notification) is not over sooner by it.
    pub older_than: Option<Duration>,
    /// Count, and change nothing.
    pub dry_run: bool,
}

/// Removes what is over, until `stop`. A kind that fails does not keep the others.
///
/// # Errors
/// Only where nothing could be begun or the report could not be written to the audit log.
pub async fn run(
    stores: &Stores,
    kept: &Kept,
    request: &Request,
    stop: &CancellationToken,
) -> Result<Report> {
    database::ping(&stores.db).await?;
    let now = stores.clock.now();
    let mut report = Report {
        dry_run: request.dry_run,
        ..Report::default()
    };
    for kind in Kind::ALL
        .iter()
        .copied()
        .filter(|kind| request.only.is_empty() || request.only.contains(kind))
    {
        let before = before(now, age(kind, kept, request.older_than));
        let mut total = Total::default();
        let pass = |slice: Slice| {
            if request.dry_run {
                Pass::Count
            } else {
                Pass::Remove(slice)
            }
        };
        let ended = in_steps(stop, &mut total, |from, slice| {
            step(stores, kind, before, from, pass(slice))
        })
        .await;
        report.add(kind, total, ended.as_ref().err());
        if let Ok(false) = ended {
            report.stopped = true;
            break;
        }
    }
    if !request.dry_run {
        let mut unit = Unit::begin(stores, &Origin::system()).await?;
        let details = serde_json::to_value(&report.removed).map_err(Error::internal)?;
        unit.audit_with(Action::CleanedUp, Target::None, Outcome::Success, details)
            .await?;
        unit.commit().await?;
    }
    Ok(report)
}

/// How long ago it must have been over, or untouched, to go.
fn age(kind: Kind, kept: &Kept, older_than: Option<Duration>) -> Duration {
    let kept = match kind {
        Kind::Sessions | Kind::ApiKeys | Kind::ShareLinks | Kind::SigningKeys => ENDED_KEPT,
        Kind::OneTimeTokens | Kind::EmailUndos | Kind::RevokedTokens | Kind::Challenges => {
            EXPIRED_KEPT
        }
        Kind::UnconfirmedFactors => second_factors::WAITING,
        Kind::StaleCopies | Kind::DeletedAccounts => Duration::ZERO,
        Kind::UnverifiedRegistrations | Kind::UnverifiedAccounts => kept.unverified_registrations,
        Kind::AbandonedUploads => kept.unfinished_uploads,
        Kind::TrashedFiles => kept.trashed_files,
        Kind::ReadNotifications => kept.read_notifications,
        Kind::UnreadNotifications => kept.unread_notifications,
        Kind::FinishedJobs => kept.finished_jobs,
        Kind::DeadJobs => kept.dead_jobs,
    };
    match (older_than, kind) {
        (None, _) => kept,
        (
            Some(asked),
            Kind::UnconfirmedFactors
            | Kind::UnverifiedRegistrations
            | Kind::UnverifiedAccounts
            | Kind::AbandonedUploads
            | Kind::TrashedFiles
            | Kind::UnreadNotifications,
        ) => asked.max(kept),
        (Some(asked), _) => asked,
    }
}

fn before(now: OffsetDateTime, age: Duration) -> OffsetDateTime {
    let before = age.try_into().ok().and_then(|age| now.checked_sub(age));
    before.unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

async fn step(
    stores: &Stores,
    kind: Kind,
    before: OffsetDateTime,
    from: Uuid,
    pass: Pass,
) -> Result<Batch> {
    match kind {
        Kind::Sessions => auth::ended_sessions(stores, before, pass).await,
        Kind::OneTimeTokens => auth::expired_one_time_tokens(stores, before, pass).await,
        Kind::EmailUndos => users::expired_email_undos(stores, before, pass).await,
        Kind::RevokedTokens => auth::expired_revocations(stores, before, pass).await,
        Kind::ApiKeys => api_keys::expired(stores, before, pass).await,
        Kind::ShareLinks => files::expired_links(stores, before, pass).await,
        Kind::SigningKeys => access_tokens::retired(stores, before, pass).await,
        Kind::Challenges => challenges::expired(stores, before, pass).await,
        Kind::UnconfirmedFactors => second_factors::waiting_since(stores, before, pass).await,
        Kind::UnverifiedRegistrations => auth::unverified_registrations(stores, before, pass).await,
        Kind::UnverifiedAccounts => users::never_verified(stores, before, pass).await,
        Kind::StaleCopies => hot::stale_copies(stores, pass).await,
        Kind::DeletedAccounts => auth::due_deletions(stores, before, from, pass).await,
        Kind::TrashedFiles => files::trashed(stores, before, pass).await,
        Kind::AbandonedUploads => files::abandoned(stores, before, pass).await,
        Kind::ReadNotifications => notifications::read(stores, before, from, pass).await,
        Kind::UnreadNotifications => notifications::unread(stores, before, from, pass).await,
        Kind::FinishedJobs => {
            retention::ended(stores, Ending::DoneOrCancelled, before, from, pass).await
        }
        Kind::DeadJobs => retention::ended(stores, Ending::Dead, before, from, pass).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);
    const KEPT: Kept = Kept {
        unfinished_uploads: DAY,
        unverified_registrations: DAY,
        trashed_files: DAY,
        finished_jobs: DAY,
        dead_jobs: DAY,
        read_notifications: DAY,
        unread_notifications: DAY,
    };

    #[test]
    fn an_age_that_is_asked_for_takes_the_place_of_what_is_kept() {
        let minute = Duration::from_mins(1);
        for kind in [
            Kind::Sessions,
            Kind::RevokedTokens,
            Kind::FinishedJobs,
            Kind::ReadNotifications,
        ] {
            assert_eq!(age(kind, &KEPT, Some(minute)), minute);
            assert_eq!(age(kind, &KEPT, Some(DAY * 99)), DAY * 99);
        }
    }

    #[test]
    fn what_nobody_ended_is_not_over_sooner() {
        for kind in [
            Kind::AbandonedUploads,
            Kind::TrashedFiles,
            Kind::UnreadNotifications,
            Kind::UnverifiedRegistrations,
            Kind::UnverifiedAccounts,
        ] {
            assert_eq!(age(kind, &KEPT, Some(Duration::from_mins(1))), DAY);
            assert_eq!(age(kind, &KEPT, Some(DAY * 99)), DAY * 99);
        }
    }

    #[test]
    fn an_age_beyond_the_calendar_is_an_early_time() {
        assert_eq!(
            before(OffsetDateTime::UNIX_EPOCH, Duration::MAX),
            OffsetDateTime::UNIX_EPOCH
        );
    }
}
