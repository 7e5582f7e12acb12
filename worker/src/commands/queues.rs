//! `plinth-worker queues`: list, pause, resume.

use clap::Subcommand;
use plinth_core::jobs::QueueOverview;
use plinth_domain::audit::Origin;
use plinth_domain::job::Queue;
use plinth_platform::settings::Settings;
use serde_json::{Value, json};

use super::{format_time, job_administration};

/// Commands for queues.
#[derive(Debug, Subcommand)]
pub enum Queues {
    /// Show the backlog of each queue
    List {
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Pause a queue in the whole fleet until it is resumed. Running jobs continue
    Pause { queue: Queue },
    /// Resume a paused queue
    Resume { queue: Queue },
}

/// Runs the command and returns the text to print.
pub async fn run(settings: Settings, command: Queues) -> anyhow::Result<String> {
    let jobs = job_administration(&settings)?;
    let origin = Origin::system();
    match command {
        Queues::List { json } => {
            let queues = jobs.queues().await?;
            let lines = queues.iter().map(|queue| {
                if json {
                    object(queue).to_string()
                } else {
                    line(queue)
                }
            });
            Ok(lines.map(|line| line + "\n").collect())
        }
        Queues::Pause { queue } => {
            let changed = jobs.pause(&origin, queue).await?;
            Ok(format!(
                "{queue} {}\n",
                if changed {
                    "is paused"
                } else {
                    "was already paused"
                }
            ))
        }
        Queues::Resume { queue } => {
            let changed = jobs.resume(&origin, queue).await?;
            Ok(format!(
                "{queue} {}\n",
                if changed {
                    "is resumed"
                } else {
                    "was not paused"
                }
            ))
        }
    }
}

fn line(queue: &QueueOverview) -> String {
    let paused = queue
        .paused
        .map(|(at, _)| format!(" paused since {}", format_time(at)))
        .unwrap_or_default();
    let outage = queue
        .outage
        .as_ref()
        .map(|(until, reason)| format!(" until {}: {reason}", format_time(*until)));
    let outage = outage.unwrap_or_default();
    format!(
        "{}: {} due, the oldest for {} s, {} retrying, {} running, {} parked, {} dead{paused}{outage}",
        queue.queue,
        queue.due,
        queue.oldest.as_secs(),
        queue.retrying,
        queue.running,
        queue.parked,
        queue.dead,
    )
}

fn object(queue: &QueueOverview) -> Value {
    json!({
        "queue": queue.queue.as_str(),
        "paused_at": queue.paused.map(|(at, _)| format_time(at)),
        "paused_by": queue.paused.and_then(|(_, by)| by),
        "due": queue.due,
        "oldest_due_seconds": queue.oldest.as_secs(),
        "paused_until": queue.outage.as_ref().map(|(until, _)| format_time(*until)),
        "pause_reason": queue.outage.as_ref().map(|(_, reason)| reason),
        "retrying": queue.retrying,
        "running": queue.running,
        "parked": queue.parked,
        "dead": queue.dead,
    })
}
