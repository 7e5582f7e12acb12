//! A job that kills its worker takes those down that run beside it, again and again, since their leases end together.
//! Nobody can tell which of them it was. So those that lost several workers in a row run one at a time in the whole
//! fleet: the guilty one uses up its attempts alone, and the others come to an end.

use std::collections::HashSet;

use plinth_domain::id::JobId;
use plinth_platform::database::named;

use super::{ClaimedJob, Ledger, LimitDecision};
use crate::Result;

/// Attempts in a row that were lost with their worker; fewer than any kind has.
const LOST: i16 = 2;

/// What suspects share.
const KEY: &str = "suspects";

impl Ledger {
    /// Leaves out of what was claimed the suspects that have to wait for another one: they are parked, and the attempt
    /// does not count.
    pub(super) async fn one_suspect_at_a_time(
        &self,
        claimed: Vec<ClaimedJob>,
    ) -> Result<Vec<ClaimedJob>> {
        let tried: Vec<JobId> = claimed
            .iter()
            .filter(|job| job.attempt > LOST)
            .map(|job| job.claim.job)
            .collect();
        if tried.is_empty() {
            return Ok(claimed);
        }
        let suspects = self.suspects(&tried).await?;
        let mut kept = Vec::with_capacity(claimed.len());
        for job in claimed {
            // One that has no attempt left is not run any more.
            let waits = suspects.contains(&job.claim.job) && job.attempt <= job.max_attempts;
            if !waits || self.acquire_limit(job.claim, KEY, 1).await? == LimitDecision::Granted {
                kept.push(job);
            }
        }
        Ok(kept)
    }

    /// Those of the jobs whose last attempts were all lost; attempts that do not count are passed over.
    async fn suspects(&self, jobs: &[JobId]) -> Result<HashSet<JobId>> {
        let query = sqlx::query_scalar!(
            "SELECT lost.job_id FROM job_attempts AS lost
             WHERE lost.job_id = ANY($1) AND lost.outcome = 'lost' AND NOT EXISTS (
                 SELECT FROM job_attempts AS later
                 WHERE later.job_id = lost.job_id AND later.claim > lost.claim
                   AND later.outcome NOT IN ('lost', 'parked', 'handed_back', 'postponed'))
             GROUP BY lost.job_id
             HAVING count(*) >= $2",
            jobs as _,
            i64::from(LOST),
        );
        let suspects = named("jobs.suspects", query.fetch_all(&self.db)).await?;
        Ok(suspects.into_iter().collect())
    }
}
