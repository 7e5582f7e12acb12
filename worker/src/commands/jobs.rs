//! `plinth-worker jobs`: list, show, retry, cancel, redrive.

use clap::{Args, Subcommand};
use plinth_core::Error;
use plinth_core::jobs::{Cancellation, FailedAttempt, Job, JobAdministration, JobFilter};
use plinth_core::page::PageRequest;
use plinth_domain::audit::Origin;
use plinth_domain::id::{JobId, UserId};
use plinth_domain::job::Queue;
use plinth_domain::job_state::JobState;
use plinth_platform::settings::Settings;
use plinth_platform::telemetry;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{administration, line_unless, told};
use crate::app::SERVICE;

/// Background jobs, as the ledger has them.
#[derive(Debug, Subcommand)]
pub enum Jobs {
    /// List jobs, the newest first
    List {
        #[command(flatten)]
        filter: Filter,
        /// Only those in this state: queued, running, retrying, done, dead, cancelled
        #[arg(long)]
        state: Option<JobState>,
        /// Jobs at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show one job and its attempts
    Show {
        id: JobId,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Make a job due at once that is dead, cancelled, or waits for another attempt
    Retry { id: JobId },
    /// Stop a job: at once where it waits, within some seconds where it runs
    Cancel { id: JobId },
    /// Make every dead letter due again that the filter lets through
    Redrive {
        #[command(flatten)]
        filter: Filter,
        /// All of them: said on purpose where there is no filter
        #[arg(long, required_unless_present = "filter", conflicts_with = "filter")]
        all: bool,
    },
}

/// Which jobs.
#[derive(Debug, Args)]
#[group(id = "filter", multiple = true)]
pub struct Filter {
    /// Only those of this queue: email, files, notifications, cleanup
    #[arg(long)]
    queue: Option<Queue>,
    /// Only those of this kind, e.g. email.verification
    #[arg(long)]
    kind: Option<String>,
    /// Only those asked for at this time (RFC 3339) or later
    #[arg(long, value_parser = time_of)]
    from: Option<OffsetDateTime>,
    /// Only those asked for before this time (RFC 3339)
    #[arg(long, value_parser = time_of)]
    until: Option<OffsetDateTime>,
    /// Only those that this account asked for
    #[arg(long)]
    user: Option<UserId>,
    /// Only those whose last error has this text in it
    #[arg(long)]
    error: Option<String>,
}

impl Filter {
    fn with_state(self, state: Option<JobState>) -> JobFilter {
        JobFilter {
            queue: self.queue,
            kind: self.kind,
            state,
            from: self.from,
            until: self.until,
            user: self.user,
            error: self.error,
        }
    }
}

fn time_of(text: &str) -> Result<OffsetDateTime, time::error::Parse> {
    OffsetDateTime::parse(text, &Rfc3339)
}

/// Does it; what there is to print.
pub async fn run(settings: Settings, command: Jobs) -> anyhow::Result<String> {
    let jobs = administration(&settings)?;
    let origin = Origin::system();
    match command {
        Jobs::List {
            filter,
            state,
            limit,
            json,
        } => list(&jobs, &filter.with_state(state), limit, json).await,
        Jobs::Show { id, json } => show(&jobs, id, json).await,
        Jobs::Retry { id } => {
            jobs.retry(&origin, id).await.map_err(told_to_people)?;
            Ok(format!("{id} is due\n"))
        }
        Jobs::Cancel { id } => Ok(
            match jobs.cancel(&origin, id).await.map_err(told_to_people)? {
                Cancellation::Done => format!("{id} is cancelled\n"),
                Cancellation::Asked => {
                    format!("{id} runs, and will be stopped when its lease is renewed\n")
                }
            },
        ),
        Jobs::Redrive { filter, all: _ } => {
            let _telemetry = telemetry::init(SERVICE, &settings)?;
            let done = jobs.redrive(&origin, &filter.with_state(None)).await?;
            line_unless(
                done.passed_over,
                format!("{} dead letters are due again\n", done.count),
            )
        }
    }
}

/// What stands in the way, in words.
fn told_to_people(error: Error) -> anyhow::Error {
    match error {
        Error::NotFound => anyhow::anyhow!("there is no such job"),
        Error::Conflict { detail, .. } => anyhow::anyhow!(detail),
        other => other.into(),
    }
}

async fn list(
    jobs: &JobAdministration,
    filter: &JobFilter,
    limit: u16,
    json: bool,
) -> anyhow::Result<String> {
    let page = jobs
        .list(filter, PageRequest { limit, after: None })
        .await?;
    let lines = page.items.iter().map(|job| {
        if json {
            object(job).to_string()
        } else {
            line(job)
        }
    });
    Ok(lines.map(|line| line + "\n").collect())
}

async fn show(jobs: &JobAdministration, id: JobId, json: bool) -> anyhow::Result<String> {
    let (job, attempts) = jobs.read(id).await.map_err(told_to_people)?;
    if json {
        let mut value = object(&job);
        value["failed_attempts"] = attempts.iter().map(attempt_object).collect();
        return Ok(serde_json::to_string_pretty(&value)? + "\n");
    }
    let facts = [
        ("worker", &job.worker),
        ("trace id", &job.trace_id),
        ("last error", &job.last_error),
    ];
    let facts = facts
        .into_iter()
        .filter_map(|(name, value)| Some(format!("  {name}: {}\n", value.as_ref()?)));
    let history = attempts.iter().map(|one| {
        let error = one.error.as_deref().unwrap_or_default();
        format!(
            "  attempt {} {} {} {error}\n",
            one.attempt,
            told(one.ended_at),
            one.outcome
        )
    });
    let text: String = std::iter::once(line(&job) + "\n")
        .chain(facts)
        .chain(history)
        .collect();
    // An error repeats what somebody else has said: no terminal shall obey it.
    Ok(text.replace(|c: char| c.is_control() && c != '\n', " "))
}

fn line(job: &Job) -> String {
    let parked = if job.parked { " parked" } else { "" };
    format!(
        "{} {} {} {}{parked} {}/{} due {}",
        job.id,
        told(job.created_at),
        job.kind,
        job.state,
        job.attempts,
        job.max_attempts,
        told(job.run_at),
    )
}

fn object(job: &Job) -> Value {
    json!({
        "id": job.id,
        "queue": job.queue,
        "kind": job.kind,
        "state": job.state,
        "parked": job.parked,
        "attempts": job.attempts,
        "max_attempts": job.max_attempts,
        "created_at": told(job.created_at),
        "run_at": told(job.run_at),
        "started_at": job.started_at.map(told),
        "finished_at": job.finished_at.map(told),
        "worker": job.worker,
        "last_error": job.last_error,
        "user_id": job.user,
        "trace_id": job.trace_id,
    })
}

fn attempt_object(attempt: &FailedAttempt) -> Value {
    json!({
        "attempt": attempt.attempt,
        "worker": attempt.worker,
        "started_at": told(attempt.started_at),
        "ended_at": told(attempt.ended_at),
        "outcome": attempt.outcome,
        "error": attempt.error,
    })
}
