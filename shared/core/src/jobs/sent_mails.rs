//! Which mails were given to the mail server: written down before and after each conversation with it.

use plinth_domain::id::JobId;
use plinth_domain::job::Queue;
use plinth_platform::database::named;

use crate::{Result, Stores};

/// What is known of a job's mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// No conversation about it was begun.
    New,
    /// One was begun and nobody knows how it ended: the server may have the mail.
    Uncertain,
    /// The server has it.
    Accepted,
}

/// The record of mails.
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

    /// Notes that a conversation about the job's mail begins, unless the server has that mail; says what was known.
    pub async fn begin(&self, job: JobId) -> Result<Standing> {
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
            None => Standing::New,
            Some(false) => Standing::Uncertain,
            Some(true) => Standing::Accepted,
        })
    }

    /// The server has not taken the mail, and has said so or was not reached.
    pub async fn refused(&self, job: JobId) -> Result<()> {
        let query = sqlx::query!(
            "DELETE FROM sent_mails WHERE job_id = $1 AND accepted_at IS NULL",
            job as _
        );
        named("sent_mails.refused", query.execute(&self.stores.db)).await?;
        Ok(())
    }

    /// The server has answered 250; so it is not away.
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
