//! One change: its rows, its audit events and its jobs in one transaction, committed in one visible place.

use std::time::Duration;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::id::{JobId, SessionId, UserId};
use plinth_domain::job::{JobPayload, Queue};
use plinth_platform::telemetry::trace;
use sqlx::{PgConnection, Postgres, Transaction};
use time::OffsetDateTime;

use crate::jobs::{self, Transport};
use crate::stores::Stores;
use crate::{Result, access, audit, hot};

/// For so long a process goes on telling Redis of a commit that Redis has missed.
const REPEATS: u32 = 60;

/// An open change. Dropped without [`Unit::commit`], nothing of it has happened.
pub struct Unit {
    transaction: Transaction<'static, Postgres>,
    stores: Stores,
    origin: Origin,
    at: OffsetDateTime,
    pushes: Vec<(Queue, JobId)>,
    doubted: Vec<String>,
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
            doubted: Vec::new(),
        })
    }

    /// The moment of this change: every row and event of it carries the same.
    pub fn at(&self) -> OffsetDateTime {
        self.at
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
        self.audit_with(action, target, outcome, serde_json::json!({})).await
    }

    /// Writes an event with details, which hold no secret and no more personal data than needed.
    pub async fn audit_with(
        &mut self,
        action: Action,
        target: Target,
        outcome: Outcome,
        details: serde_json::Value,
    ) -> Result<()> {
        let event = audit::NewEvent { action, target, outcome, details, at: self.at };
        audit::repository::insert(&mut self.transaction, &self.origin, &event).await?;
        Ok(())
    }

    /// Asks for a job; it exists if and only if this change is committed.
    pub async fn enqueue<J: JobPayload>(&mut self, job: &J) -> Result<JobId> {
        let traceparent = trace::current_traceparent().or_else(|| self.origin.traceparent.clone());
        let id = jobs::repository::insert(
            &mut self.transaction,
            job,
            self.at,
            traceparent.as_deref(),
            self.origin.actor,
        )
        .await?;
        self.pushes.push((J::QUEUE, id));
        Ok(id)
    }

    /// The account, or what it may do, changes: its hot copy is not to be trusted.
    pub async fn changes_user(&mut self, id: UserId) {
        self.raise_doubt(access::user_key(&self.stores.redis, id)).await;
    }

    /// The session changes: its hot copy is not to be trusted.
    pub async fn changes_session(&mut self, id: SessionId) {
        self.raise_doubt(access::session_key(&self.stores.redis, id)).await;
    }

    async fn raise_doubt(&mut self, key: String) {
        // An unreachable Redis serves no copy either; commit() goes on telling it.
        let _ = hot::doubt(&self.stores.redis, std::slice::from_ref(&key)).await;
        self.doubted.push(key);
    }

    /// Makes it all happen, then tells Redis: which copies are stale and which jobs are due.
    pub async fn commit(self) -> Result<()> {
        self.transaction.commit().await?;
        if !self.doubted.is_empty()
            && let Err(error) = hot::doubt(&self.stores.redis, &self.doubted).await
        {
            tracing::warn!(%error, "stale copies could not be doubted after a commit, repeating");
            tokio::spawn(repeat_doubt(self.stores.clone(), self.doubted));
        }
        if !self.pushes.is_empty()
            && let Err(error) = Transport::new(&self.stores.redis).push(&self.pushes).await
        {
            tracing::warn!(%error, jobs = self.pushes.len(), "jobs could not be pushed; the dispatcher will");
        }
        Ok(())
    }
}

async fn repeat_doubt(stores: Stores, keys: Vec<String>) {
    for _ in 0..REPEATS {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if hot::doubt(&stores.redis, &keys).await.is_ok() {
            return;
        }
    }
    tracing::error!(keys = keys.len(), "Redis never learned that copies are stale; they fade by themselves");
}
