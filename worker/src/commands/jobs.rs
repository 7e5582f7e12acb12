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

use super::{format_time, job_administration, line_or_error};
use crate::app::SERVICE;

/// Commands for background jobs.
#[derive(Debug, Subcommand)]
pub enum Jobs {
    /// List jobs, newest first
    List {
        #[command(flatten)]
        filter: Filter,
        /// Only jobs in this state: queued, running, retrying, done, dead, cancelled
        #[arg(long)]
        state: Option<JobState>,
        /// The largest number of jobs
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Show one job and its attempts
    Show {
        id: JobId,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Make a dead, cancelled or retrying job due at once
    Retry { id: JobId },
    /// Cancel a job: at once if it waits, within some seconds if it runs
    Cancel { id: JobId },
    /// Make every dead letter that matches the filter due again
    Redrive {
        #[command(flatten)]
        filter: Filter,
        /// Redrive all dead letters; required if no filter is given
        #[arg(long, required_unless_present = "filter", conflicts_with = "filter")]
        all: bool,
    },
}

/// A filter of jobs.
#[derive(Debug, Args)]
#[group(id = "filter", multiple = true)]
pub struct Filter {
    /// Only jobs of this queue: email, files, notifications, cleanup
    #[arg(long)]
    queue: Option<Queue>,
    /// Only jobs of this kind, for example email.verification
    #[arg(long)]
    kind: Option<String>,
    /// Only jobs created at this time (RFC 3339) or later
    #[arg(long, value_parser = parse_time)]
    from: Option<OffsetDateTime>,
    /// Only jobs created before this time (RFC 3339)
    #[arg(long, value_parser = parse_time)]
    until: Option<OffsetDateTime>,
    /// Only jobs of this user
    #[arg(long)]
    user: Option<UserId>,
    /// Only jobs whose last error contains this text
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

fn parse_time(text: &str) -> Result<OffsetDateTime, time::error::Parse> {
    OffsetDateTime::parse(text, &Rfc3339)
}

/// Runs the command and returns the text to print.
pub async fn run(settings: Settings, command: Jobs) -> anyhow::Result<String> {
    let jobs = job_administration(&settings)?;
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
            jobs.retry(&origin, id).await.map_err(user_facing_error)?;
            Ok(format!("{id} is due\n"))
        }
        Jobs::Cancel { id } => Ok(
            match jobs.cancel(&origin, id).await.map_err(user_facing_error)? {
                Cancellation::Done => format!("{id} is cancelled\n"),
                Cancellation::Asked => {
                    format!("{id} is running and stops at the next renewal of its lease\n")
                }
            },
        ),
        Jobs::Redrive { filter, all: _ } => {
            let _telemetry = telemetry::init(SERVICE, &settings)?;
            let done = jobs.redrive(&origin, &filter.with_state(None)).await?;
            line_or_error(
                done.passed_over,
                format!("{} dead letters are due again\n", done.count),
            )
        }
    }
}

/// Returns the error with a message for operators.
fn user_facing_error(error: Error) -> anyhow::Error {
    match error {
        Error::NotFound => anyhow::anyhow!("job not found"),
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
    let (job, attempts) = jobs.read(id).await.map_err(user_facing_error)?;
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
            format_time(one.ended_at),
            one.outcome
        )
    });
    let text: String = std::iter::once(line(&job) + "\n")
        .chain(facts)
        .chain(history)
        .collect();
    // An error may contain text from other systems. Its control characters must not reach a
    // terminal.
    Ok(text.replace(|c: char| c.is_control() && c != '\n', " "))
}

fn line(job: &Job) -> String {
    let parked = if job.parked { " parked" } else { "" };
    format!(
        "{} {} {} {}{parked} {}/{} due {}",
        job.id,
        format_time(job.created_at),
        job.kind,
        job.state,
        job.attempts,
        job.max_attempts,
        format_time(job.run_at),
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
        "created_at": format_time(job.created_at),
        "run_at": format_time(job.run_at),
        "started_at": job.started_at.map(format_time),
        "finished_at": job.finished_at.map(format_time),
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
        "started_at": format_time(attempt.started_at),
        "ended_at": format_time(attempt.ended_at),
        "outcome": attempt.outcome,
        "error": attempt.error,
    })
}
