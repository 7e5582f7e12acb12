//! `files.regenerate`: enqueues a job for each image that has variants to make.

use std::sync::Arc;

use plinth_domain::job::RegenerateVariants;
use tokio::time::Instant;

use super::FilesContext;
use crate::attempt::Attempt;
use crate::outcome::JobResult;
use crate::registry::JobHandler;

impl JobHandler for RegenerateVariants {
    type Context = FilesContext;

    /// Visits images until the time limit; another job continues with the rest. The progress is
    /// that of all images, not of one job.
    async fn run(self, context: Arc<FilesContext>, attempt: Attempt) -> JobResult {
        let started_at = Instant::now();
        let processing = &context.images.processing;
        let Self { again, mut after } = self;
        let (visited_before, total) = processing.count(after).await?;
        let (mut visited, mut enqueued, mut passed_over) = (0, 0, 0);
        loop {
            let step = processing.step(after, again.as_ref()).await?;
            visited += step.looked_at;
            enqueued += step.asked;
            passed_over += step.passed_over;
            attempt
                .report_progress(percent(visited_before + visited as u64, total))
                .await;
            after = step.next;
            let Some(last) = after else { break };
            if started_at.elapsed() >= context.regeneration_limit {
                processing.go_on(last, again).await?;
                break;
            }
        }
        tracing::info!(
            visited,
            enqueued,
            passed_over,
            finished = after.is_none(),
            "enqueued regeneration of variants"
        );
        Ok(())
    }
}

/// Returns the progress in percent, at most 100 even if images were added after the count.
fn percent(visited: u64, total: u64) -> u8 {
    let percent = visited
        .saturating_mul(100)
        .checked_div(total)
        .unwrap_or(100);
    u8::try_from(percent).map_or(100, |percent| percent.min(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_the_visited_share_and_at_most_100_percent() {
        assert_eq!(
            [(0, 8), (500, 1_000), (1_000, 1_000), (1_200, 1_000), (0, 0)]
                .map(|(visited, total)| percent(visited, total)),
            [0, 50, 100, 100, 100]
        );
    }
}
