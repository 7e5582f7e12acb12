//! One change: its rows, its audit events and its jobs in one transaction, committed in one visible place.

use std::time::{Duration, Instant};

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::id::{ApiKeyId, AuditEventId, JobId, SessionId, UserId};
use plinth_domain::job::{JobPayload, Queue};
use plinth_platform::crypto::unique_name;
use plinth_platform::database::Transaction;
use plinth_platform::telemetry::trace;
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::jobs::{self, JobRef, NewJob, Transport};
use crate::stores::Stores;
use crate::{Result, access, audit, hot};

/// An open change. Dropped without [`Unit::commit`], nothing of it has happened.
pub struct Unit {
    transaction: Transaction,
    stores: Stores,
    origin: Origin,
    at: OffsetDateTime,
    pushes: Vec<JobRef>,
    doubt: Doubt,
    audit: Audit,
    /// How many events this change has written.
    events: u16,
    credential: Credential,
}

/// Whether the session or API key of the request is asked for again before the commit.
#[derive(Debug, Clone, Copy)]
enum Credential {
    Unchecked,
    /// It is not, for this reason.
    Settled(&'static str),
}

/// What the audit log knows of this change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audit {
    /// Nothing yet.
    Missing,
    Written,
    /// Nothing, for this reason.
    Exempt(&'static str),
}

/// What this change has told Redis of the copies that it makes stale.
struct Doubt {
    nonce: String,
    raised: Vec<String>,
    /// When the first was raised.
    since: Option<Instant>,
    /// Redis refused these or did not answer.
    missed: Vec<String>,
}

impl Unit {
    /// Opens a change that comes from `origin`.
    pub async fn begin(stores: &Stores, origin: &Origin) -> Result<Self> {
        Ok(Self {
            transaction: stores.db.begin().await?,
            stores: stores.clone(),
            origin: origin.clone(),
            at: stores.clock.now(),
            pushes: Vec::new(),
            doubt: Doubt {
                nonce: unique_name(),
                raised: Vec::new(),
                since: None,
                missed: Vec::new(),
            },
            audit: Audit::Missing,
            events: 0,
            credential: Credential::Unchecked,
        })
    }

    /// Opens a change that needs no audit event, for this reason: the state that users can see stays as it is, or the
    /// event is written by the change that this one prepares.
    pub async fn begin_exempt(
        stores: &Stores,
        origin: &Origin,
        reason: &'static str,
    ) -> Result<Self> {
        Ok(Self::begin(stores, origin).await?.exempt(reason))
    }

    /// The same for a change that is open already.
    pub(crate) fn exempt(self, reason: &'static str) -> Self {
        Self {
            audit: Audit::Exempt(reason),
            ..self
        }
    }

    /// The moment of this change: every row and event of it carries the same.
    pub fn at(&self) -> OffsetDateTime {
        self.at
    }

    /// The stores beside this change.
    pub(crate) fn stores(&self) -> &Stores {
        &self.stores
    }

    /// The connection that the repositories write through.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// From here on the actor is known.
    pub fn act_as(&mut self, actor: UserId) {
        self.origin.actor = Some(actor);
    }

    /// Writes an event to the audit log.
    pub async fn audit(&mut self, action: Action, target: Target, outcome: Outcome) -> Result<()> {
        self.audit_with(action, target, outcome, serde_json::json!({}))
            .await
    }

    /// Writes an event with details, which hold no secret and no more personal data than needed. Of refusals of callers
    /// who are not known, so many are written for each address.
    pub async fn audit_with(
        &mut self,
        action: Action,
        target: Target,
        outcome: Outcome,
        mut details: serde_json::Value,
    ) -> Result<()> {
        if outcome == Outcome::Refused
            && self.origin.is_anonymous()
            && let Some(ip) = self.origin.ip
        {
            match self.stores.refusals.admit(ip, self.at) {
                None => {
                    // It is counted, and the next one that is written says how many there were.
                    self.audit = Audit::Written;
                    return Ok(());
                }
                Some(0) => {}
                Some(unlisted) => details["unlisted"] = unlisted.into(),
            }
        }
        let id = AuditEventId::of_change(self.at, self.events);
        let event = audit::NewEvent {
            id,
            action,
            target,
            outcome,
            details,
            at: self.at,
        };
        audit::repository::insert(&mut self.transaction, &self.origin, &event).await?;
        self.events = self.events.saturating_add(1);
        self.audit = Audit::Written;
        Ok(())
    }

    /// Asks for a job; it exists if and only if this change is committed.
    pub async fn enqueue<J: JobPayload>(&mut self, job: &J) -> Result<JobId> {
        let traceparent = self.traceparent();
        let new = self.new_job::<J>(traceparent.as_deref());
        let queued = jobs::repository::insert(&mut self.transaction, job, new).await?;
        self.pushes.push(queued);
        Ok(queued.job)
    }

    /// Asks for a job that is due after this time. Redis is not told: the dispatcher finds it when it is due.
    pub(crate) async fn enqueue_later<J: JobPayload>(
        &mut self,
        job: &J,
        delay: Duration,
    ) -> Result<()> {
        let traceparent = self.traceparent();
        let new = self.new_job::<J>(traceparent.as_deref());
        let new = NewJob {
            delay,
            deadline: new.deadline + delay,
            ..new
        };
        jobs::repository::insert(&mut self.transaction, job, new).await?;
        Ok(())
    }

    /// Asks for a job that somebody else than the actor may watch.
    pub(crate) async fn enqueue_for<J: JobPayload>(
        &mut self,
        user: UserId,
        job: &J,
    ) -> Result<JobId> {
        let traceparent = self.traceparent();
        let new = NewJob {
            user: Some(user),
            ..self.new_job::<J>(traceparent.as_deref())
        };
        let queued = jobs::repository::insert(&mut self.transaction, job, new).await?;
        self.pushes.push(queued);
        Ok(queued.job)
    }

    /// The same for several jobs of a kind, in one statement.
    pub async fn enqueue_all<J: JobPayload>(&mut self, jobs: &[J]) -> Result<()> {
        let traceparent = self.traceparent();
        let new = self.new_job::<J>(traceparent.as_deref());
        let queued = jobs::repository::insert_all(&mut self.transaction, jobs, new).await?;
        self.pushes.extend(queued);
        Ok(())
    }

    /// Jobs that become due by this change.
    pub(crate) fn push(&mut self, jobs: Vec<JobRef>) {
        self.pushes.extend(jobs);
    }

    fn traceparent(&self) -> Option<String> {
        trace::current_traceparent().or_else(|| self.origin.traceparent.clone())
    }

    fn new_job<'a, J: JobPayload>(&self, traceparent: Option<&'a str>) -> NewJob<'a> {
        let deadline = match J::QUEUE {
            Queue::Email => self.stores.mails_retried_for,
            Queue::Files | Queue::Notifications | Queue::Cleanup => J::DEADLINE,
        };
        let delay = Duration::ZERO;
        NewJob {
            at: self.at,
            deadline,
            traceparent,
            user: self.origin.actor,
            delay,
        }
    }

    /// The account, or what it may do, changes: its hot copy is not to be trusted.
    pub async fn changes_user(&mut self, id: UserId) {
        self.raise_doubt(vec![access::user_key(&self.stores.redis, id)])
            .await;
    }

    /// The session or API key of the request is not asked for again, for this reason.
    pub(crate) fn settle_credential(&mut self, reason: &'static str) {
        self.credential = Credential::Settled(reason);
    }

    /// The session changes: its hot copy is not to be trusted. A change that ends the session of its own request, such as a
    /// logout, is committed all the same.
    pub async fn changes_session(&mut self, id: SessionId) {
        self.changes_sessions(&[id]).await;
    }

    /// The same for several, in one go.
    pub async fn changes_sessions(&mut self, ids: &[SessionId]) {
        if self.origin.session.is_some_and(|own| ids.contains(&own)) {
            self.settle_credential("the change holds the session locked, and may be its end");
        }
        let redis = &self.stores.redis;
        let keys = ids
            .iter()
            .map(|id| access::session_key(redis, *id))
            .collect();
        self.raise_doubt(keys).await;
    }

    /// API keys change: their hot copies are not to be trusted. A change that ends the key of its own request is committed
    /// all the same.
    pub async fn changes_api_keys(&mut self, ids: &[ApiKeyId]) {
        if self.origin.api_key.is_some_and(|own| ids.contains(&own)) {
            self.settle_credential("the change holds the API key locked, and may be its end");
        }
        let redis = &self.stores.redis;
        let keys = ids
            .iter()
            .map(|id| access::api_key_key(redis, *id))
            .collect();
        self.raise_doubt(keys).await;
    }

    /// What a role lets its holders do changes.
    pub async fn changes_roles(&mut self) {
        self.raise_doubt(vec![access::roles_key(&self.stores.redis)])
            .await;
    }

    async fn raise_doubt(&mut self, keys: Vec<String>) {
        self.doubt.since.get_or_insert_with(Instant::now);
        match hot::raise(&self.stores.redis, &self.doubt.nonce, &keys).await {
            Ok(()) => self.doubt.raised.extend(keys),
            Err(error) => {
                self.stores.trust.lose();
                tracing::warn!(%error, "copies that are about to go stale are noted in PostgreSQL");
                self.doubt.missed.extend(keys);
            }
        }
    }

    /// Commits if an event was written. Otherwise the change found nothing to do, and nothing of it is kept.
    pub async fn commit_if_audited(self) -> Result<()> {
        match self.audit {
            Audit::Missing => Ok(()),
            Audit::Written | Audit::Exempt(_) => self.commit().await,
        }
    }

    /// Rolls back, as a drop does. The locks are released when this returns.
    pub(crate) async fn rollback(self) -> Result<()> {
        Ok(self.transaction.rollback().await?)
    }

    /// Makes it all happen, then tells Redis: which copies are stale and which jobs are due.
    ///
    /// A change by a user has an audit event, or was opened by [`Unit::begin_exempt`]; builds for development stop
    /// otherwise.
    ///
    /// If Redis could not be told of a stale copy, this returns only when no other process believes it any more.
    ///
    /// # Errors
    /// As at the admission, and nothing is changed, if the session or API key of the request has ended since, or its account
    /// was suspended or deleted. Not if this change ends it.
    pub async fn commit(mut self) -> Result<()> {
        debug_assert!(
            self.audit != Audit::Missing || self.origin.is_system(),
            "a change by a user is committed without an audit event: write one, drop a unit that changed nothing, or \
             open it by Unit::begin_exempt"
        );
        if let Audit::Exempt(reason) = self.audit {
            tracing::trace!(reason, "a change without an audit event");
        }
        if self
            .doubt
            .since
            .is_some_and(|since| since.elapsed() > hot::DOUBT / 2)
        {
            // Doubts fade: these may be gone before the commit is seen.
            self.doubt.missed.append(&mut self.doubt.raised);
        }
        if !self.doubt.missed.is_empty() {
            hot::repository::note(&mut *self.transaction, &self.doubt.missed, self.at).await?;
        }
        match self.credential {
            // Last: the statement sees what was committed while this change waited for its locks.
            Credential::Unchecked => {
                let now = self.stores.clock.now();
                access::require_standing(&mut *self.transaction, &self.origin, now).await?;
            }
            Credential::Settled(reason) => {
                tracing::trace!(reason, "a change that asks for no credential");
            }
        }
        self.transaction.commit().await?;
        if !self.pushes.is_empty()
            && let Err(error) = Transport::new(&self.stores.redis).push(&self.pushes).await
        {
            tracing::warn!(%error, jobs = self.pushes.len(), "jobs could not be pushed; the dispatcher will");
        }
        self.doubt.end(&self.stores, self.at).await;
        Ok(())
    }
}

impl Doubt {
    /// Lifts the doubts after the commit.
    async fn end(mut self, stores: &Stores, at: OffsetDateTime) {
        let mut lifted = std::mem::take(&mut self.raised);
        lifted.extend_from_slice(&self.missed);
        if lifted.is_empty() {
            return;
        }
        if let Err(error) = hot::lift(&stores.redis, &self.nonce, &lifted).await {
            stores.trust.lose();
            tracing::warn!(%error, "copies that went stale are noted in PostgreSQL");
            if self.missed.len() < lifted.len()
                && let Err(error) = hot::repository::note(&stores.db, &lifted, at).await
            {
                // Redis had the doubts before the commit: while it keeps them no copy is believed.
                tracing::warn!(%error, "failed to note stale copies");
            }
            self.missed = lifted;
        }
        if !self.missed.is_empty() {
            hot::outlast(stores, &self.missed).await;
        }
    }
}
