//! The record of mails: written before and after each conversation with the mail server.

use plinth_domain::id::JobId;
use plinth_domain::job::Queue;
use plinth_platform::database::named;

use crate::{Result, Stores};

/// Whether the mail server has a job's mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendState {
    /// No conversation about it has begun.
    New,
    /// A conversation began and its end is unknown: the server may have the mail.
    Uncertain,
    /// The server has it.
    Accepted,
}

/// The record of mails that were given to the mail server.
#[derive(Clone)]
pub struct SentMails {
    stores: Stores,
}

impl SentMails {
    pub fn new(stores: &Stores) -> Self {
        Self {
            stores: stores.clone(),
        }
    }

    /// Records that a conversation about the job's mail begins, unless the server already has it.
    /// Returns the previous state.
    pub async fn begin(&self, job: JobId) -> Result<SendState> {
        let query = sqlx::query_scalar!(
            r#"WITH known AS (SELECT accepted_at FROM sent_mails WHERE job_id = $1),
             begun AS (
                 INSERT INTO sent_mails (job_id, begun_at) VALUES ($1, now())
                 ON CONFLICT (job_id) DO UPDATE SET begun_at = now() WHERE sent_mails.accepted_at IS NULL)
             SELECT accepted_at IS NOT NULL AS "accepted!" FROM known"#,
            job as _,
        );
        let known = named("sent_mails.begin", query.fetch_optional(&self.stores.db)).await?;
        Ok(match known {
            None => SendState::New,
            Some(false) => SendState::Uncertain,
            Some(true) => SendState::Accepted,
        })
    }

    /// Records that the server does not have the mail: it refused it, or was not reached.
    pub async fn refused(&self, job: JobId) -> Result<()> {
        let query = sqlx::query!(
            "DELETE FROM sent_mails WHERE job_id = $1 AND accepted_at IS NULL",
            job as _
        );
        named("sent_mails.refused", query.execute(&self.stores.db)).await?;
        Ok(())
    }

    /// Records that the server replied 250. This also ends a pause of the queue because of an
    /// outage.
    pub async fn accepted(&self, job: JobId) -> Result<()> {
        let query = sqlx::query!(
            "WITH outage AS (DELETE FROM paused_queues WHERE queue = $2 AND until IS NOT NULL)
             UPDATE sent_mails SET accepted_at = now() WHERE job_id = $1",
            job as _,
            Queue::Email as _,
        );
        named("sent_mails.accepted", query.execute(&self.stores.db)).await?;
        Ok(())
    }
}
