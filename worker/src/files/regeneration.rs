//! `files.regenerate`: walks along all pictures and asks for what is due of each.

use std::time::Duration;

use plinth_core::files::Processing;
use plinth_domain::job::RegenerateVariants;
use tokio::time::Instant;

use crate::outcome::Done;

/// Walks for at most `within`; where that is not enough, another job goes on.
pub async fn walk(processing: Processing, job: RegenerateVariants, within: Duration) -> Done {
    let began = Instant::now();
    let RegenerateVariants { again, mut after } = job;
    let (mut looked_at, mut asked) = (0, 0);
    loop {
        let step = processing.step(after, again.as_ref()).await?;
        looked_at += step.looked_at;
        asked += step.asked;
        // Here `Attempt::progress` is told of `looked_at`.
        after = step.next;
        let Some(last) = after else { break };
        if began.elapsed() >= within {
            processing.go_on(last, again).await?;
            break;
        }
    }
    tracing::info!(looked_at, asked, finished = after.is_none(), "asked for derived images");
    Ok(())
}
