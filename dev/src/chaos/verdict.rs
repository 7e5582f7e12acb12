//! Whether every promise held.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::{Instant, sleep};

use super::cast::{Cast, DATABASE};
use super::monkey::Monkey;
use crate::console;
use crate::stack::Foundation;

/// Each finds what must not be, and says what it would be.
const BROKEN: [(&str, &str); 5] = [
    ("runs of one job at once", "SELECT count(*) FROM doubles"),
    (
        "jobs that are done and had no effect",
        "SELECT count(*) FROM jobs WHERE kind = 'chaos.deed' AND state = 'done'
           AND NOT EXISTS (SELECT FROM effects WHERE effects.job_id = jobs.id)",
    ),
    (
        "effects of jobs that nobody accepted",
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

/// Retries shall not be waited for longer than it takes to see that they come.
const HURRY: &str =
    "UPDATE jobs SET run_at = now() WHERE state = 'retrying' AND run_at > now() RETURNING id";

/// Waits until everything has ended, and says what held. `all_faults` were to be met.
pub(super) async fn reach(
    cast: &Cast,
    monkey: &Monkey,
    foundation: &Foundation,
    until: Instant,
    all_faults: bool,
) -> Result<bool> {
    let backing = foundation.backing();
    let ask = |query: &str| -> Result<u64> {
        let answer = backing.ask_sql(DATABASE, query)?;
        answer
            .trim()
            .parse()
            .with_context(|| format!("PostgreSQL said {answer}"))
    };
    let mut unfinished = ask(UNFINISHED)?;
    while unfinished > 0 && Instant::now() < until {
        backing.ask_sql(DATABASE, HURRY)?;
        sleep(Duration::from_millis(500)).await;
        unfinished = ask(UNFINISHED)?;
    }
    let told = std::fs::read_to_string(&cast.accepted).unwrap_or_default();
    let known: HashSet<String> = backing
        .ask_sql(DATABASE, "SELECT id FROM jobs")?
        .lines()
        .map(str::to_owned)
        .collect();
    let lost = told.lines().filter(|job| !known.contains(*job)).count();
    let files = cast.users.broken_files(until).await;
    let unmailed = cast
        .users
        .without_mail(&backing.addresses.mailbox_url)
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
        "accepted jobs that the ledger does not know",
        u64::try_from(lost)?,
    );
    for (what, query) in BROKEN {
        judge(what, ask(query)?);
    }
    judge("accepted registrations without a mail", unmailed);
    match files {
        Ok((unread, left)) => {
            judge("accepted files that are not as they were sent", unread);
            judge("removed files that are still there", left);
        }
        Err(error) => judge(&format!("API that answers again: {error:#}"), 1),
    }
    if all_faults {
        let unmet = monkey.met().filter(|(_, count)| *count == 0);
        judge(
            "kinds of faults that nothing met",
            u64::try_from(unmet.count())?,
        );
    }
    console::print(&format!(
        "        {} jobs accepted ({} told to a client), {} effects, {} runs, {} dead, {} attempts lost with their worker",
        known.len(),
        told.lines().count(),
        ask("SELECT count(*) FROM effects")?,
        ask("SELECT coalesce(sum(runs), 0) FROM effects")?,
        ask("SELECT count(*) FROM jobs WHERE state = 'dead'")?,
        ask("SELECT count(*) FROM job_attempts WHERE outcome = 'lost'")?,
    ));
    {
        let promises = cast.users.promises();
        console::print(&format!(
            "        {} registrations accepted, {} files stored, {} removed",
            promises.registered.len(),
            promises.stored.len(),
            promises.removed.len(),
        ));
    }
    for (fault, count) in monkey.met() {
        console::print(&format!("        {fault}: met {count} times"));
    }
    Ok(held)
}
