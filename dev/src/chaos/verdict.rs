//! The verdict: whether every promise held.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::{Instant, sleep};

use super::actors::{Actors, DATABASE};
use super::fault_injector::FaultInjector;
use crate::console;
use crate::services::Services;

/// Faults of the product, each with a query that counts them.
const BROKEN: [(&str, &str); 5] = [
    ("runs of one job at once", "SELECT count(*) FROM doubles"),
    (
        "jobs that are done and had no effect",
        "SELECT count(*) FROM jobs WHERE kind = 'chaos.deed' AND state = 'done'
           AND NOT EXISTS (SELECT FROM effects WHERE effects.job_id = jobs.id)",
    ),
    (
        "effects of jobs that no client accepted",
        "SELECT count(*) FROM effects WHERE NOT EXISTS (SELECT FROM jobs WHERE jobs.id = effects.job_id)",
    ),
    (
        "dead jobs that should have been done",
        "SELECT count(*) FROM jobs WHERE kind = 'chaos.deed' AND state = 'dead'
           AND payload ->> 'manner' IN ('good', 'moody')",
    ),
    (
        "dead letters of mails and files",
        "SELECT count(*) FROM jobs WHERE queue IN ('email', 'files') AND state = 'dead'",
    ),
];

const UNFINISHED: &str =
    "SELECT count(*) FROM jobs WHERE (kind = 'chaos.deed' OR queue IN ('email', 'files'))
    AND state NOT IN ('done', 'dead')";

/// Makes retries due, so that the run does not wait for them.
const RETRY_NOW: &str =
    "UPDATE jobs SET run_at = now() WHERE state = 'retrying' AND run_at > now() RETURNING id";

/// Waits until every job has ended, and prints each promise. With `all_faults`, each kind of fault
/// must have been met.
pub(super) async fn reach(
    actors: &Actors,
    injector: &FaultInjector,
    services: &Services,
    until: Instant,
    all_faults: bool,
) -> Result<bool> {
    let cluster = services.cluster()?;
    let ask = |query: &str| -> Result<u64> {
        let answer = cluster.query(DATABASE, query)?;
        answer
            .trim()
            .parse()
            .with_context(|| format!("unexpected answer of PostgreSQL: {answer}"))
    };
    let mut unfinished = ask(UNFINISHED)?;
    while unfinished > 0 && Instant::now() < until {
        cluster.query(DATABASE, RETRY_NOW)?;
        sleep(Duration::from_millis(500)).await;
        unfinished = ask(UNFINISHED)?;
    }
    let committed = std::fs::read_to_string(&actors.accepted).unwrap_or_default();
    let known: HashSet<String> = cluster
        .query(DATABASE, "SELECT id FROM jobs")?
        .lines()
        .map(str::to_owned)
        .collect();
    let lost = committed
        .lines()
        .filter(|job| !known.contains(*job))
        .count();
    let files = actors.users.broken_files(until).await;
    let unmailed = actors
        .users
        .without_mail(&services.addresses.mailbox_url)
        .await?;
    let mut held = true;
    let mut judge = |what: &str, count: u64| {
        held &= count == 0;
        console::print(&format!(
            "{}  {count} {what}",
            if count == 0 { "ok    " } else { "BROKEN" }
        ));
    };
    judge("jobs neither done nor dead", unfinished);
    judge(
        "accepted jobs that are not in the ledger",
        u64::try_from(lost)?,
    );
    for (what, query) in BROKEN {
        judge(what, ask(query)?);
    }
    judge("accepted registrations without a mail", unmailed);
    match files {
        Ok((unread, left)) => {
            judge("accepted files with other content", unread);
            judge("removed files that still exist", left);
        }
        Err(error) => judge(&format!("API that answers again: {error:#}"), 1),
    }
    if all_faults {
        let unmet = injector.met().filter(|(_, count)| *count == 0);
        judge(
            "kinds of faults that were not met",
            u64::try_from(unmet.count())?,
        );
    }
    console::print(&format!(
        "        {} jobs accepted ({} seen by a client), {} effects, {} runs, {} dead, {} attempts lost with their worker",
        known.len(),
        committed.lines().count(),
        ask("SELECT count(*) FROM effects")?,
        ask("SELECT coalesce(sum(runs), 0) FROM effects")?,
        ask("SELECT count(*) FROM jobs WHERE state = 'dead'")?,
        ask("SELECT count(*) FROM job_attempts WHERE outcome = 'lost'")?,
    ));
    {
        let promises = actors.users.promises();
        console::print(&format!(
            "        {} registrations accepted, {} files stored, {} removed",
            promises.registered.len(),
            promises.stored.len(),
            promises.removed.len(),
        ));
    }
    for (fault, count) in injector.met() {
        console::print(&format!("        {fault}: met {count} times"));
    }
    Ok(held)
}
