//! `files.regenerate`: walks along all pictures and asks for what is due of each.

use std::sync::Arc;

use plinth_domain::job::RegenerateVariants;
use tokio::time::Instant;

use super::FilesContext;
use crate::attempt::Attempt;
use crate::outcome::JobResult;
use crate::registry::JobHandler;

impl JobHandler for RegenerateVariants {
    type Context = FilesContext;

    /// Walks for at most `within`; where that is not enough, another job goes on. Its progress is that of the whole walk.
    async fn run(self, context: Arc<FilesContext>, attempt: Attempt) -> JobResult {
        let began = Instant::now();
        let processing = &context.images.processing;
        let Self { again, mut after } = self;
        let (before, all) = processing.count(after).await?;
        let (mut looked_at, mut asked, mut passed_over) = (0, 0, 0);
        loop {
            let step = processing.step(after, again.as_ref()).await?;
            looked_at += step.looked_at;
            asked += step.asked;
            passed_over += step.passed_over;
            attempt
                .progress(percent(before + looked_at as u64, all))
                .await;
            after = step.next;
            let Some(last) = after else { break };
            if began.elapsed() >= context.walk_limit {
                processing.go_on(last, again).await?;
                break;
            }
        }
        tracing::info!(
            looked_at,
            asked,
            passed_over,
            finished = after.is_none(),
            "asked for derived images"
        );
        Ok(())
    }
}

/// Pictures may have come since they were counted.
fn percent(looked_at: u64, all: u64) -> u8 {
    let percent = looked_at
        .saturating_mul(100)
        .checked_div(all)
        .unwrap_or(100);
    u8::try_from(percent).map_or(100, |percent| percent.min(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_the_part_that_was_looked_at_and_never_more_than_all() {
        assert_eq!(
            [(0, 8), (500, 1_000), (1_000, 1_000), (1_200, 1_000), (0, 0)]
                .map(|(n, all)| percent(n, all)),
            [0, 50, 100, 100, 100]
        );
    }
}
