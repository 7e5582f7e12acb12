//! Pages of the files of an account with a million of them against one with a thousand: the first
//! page, and pages from the middle, by creation, by name and of a tag. Both accounts are measured
//! in turns.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use plinth_dev::console;
use plinth_dev::door::{Account, Door};
use serde_json::Value;

use super::report::{Goal, Report, median, p99};
use super::{Fixture, accounts};

/// Inserts the rows: uploads of a million files would take a day.
const ROWS: &str = include_str!("listing.sql");
const LARGE: usize = 1_000_000;
const SMALL: usize = 1_000;
/// Accounts whose files are mixed with those of the two.
const OTHERS: usize = 100;
const ROUNDS: usize = 3;
/// Requests of a round to each account.
const REQUESTS: usize = 500;
/// Requests that are not counted, until connections, statements and pages are warm.
const WARM_UP: usize = 50;
/// Pages from the middle that are requested in turns.
const DEEP: usize = 100;

/// A list, with the names of its figures: first page large, small, ratio; then the same of pages
/// from the middle.
struct List {
    query: &'static str,
    /// The list has one in this many files of an account.
    one_of: usize,
    names: [[&'static str; 3]; 2],
}

const LISTS: [List; 3] = [
    List {
        query: "sort=created",
        one_of: 1,
        names: [
            [
                "1,000,000 files, by creation, first page: p99",
                "1,000 files, by creation, first page: p99",
                "ratio, by creation, first page",
            ],
            [
                "1,000,000 files, by creation, pages from the middle: p99",
                "1,000 files, by creation, pages from the middle: p99",
                "ratio, by creation, pages from the middle",
            ],
        ],
    },
    List {
        query: "sort=name",
        one_of: 1,
        names: [
            [
                "1,000,000 files, by name, first page: p99",
                "1,000 files, by name, first page: p99",
                "ratio, by name, first page",
            ],
            [
                "1,000,000 files, by name, pages from the middle: p99",
                "1,000 files, by name, pages from the middle: p99",
                "ratio, by name, pages from the middle",
            ],
        ],
    },
    List {
        query: "tag=paper",
        one_of: 2,
        names: [
            [
                "1,000,000 files, of a tag, first page: p99",
                "1,000 files, of a tag, first page: p99",
                "ratio, of a tag, first page",
            ],
            [
                "1,000,000 files, of a tag, pages from the middle: p99",
                "1,000 files, of a tag, pages from the middle: p99",
                "ratio, of a tag, pages from the middle",
            ],
        ],
    },
];

/// The part of a list that is requested.
#[derive(Debug, Clone, Copy)]
enum Part {
    First,
    Middle,
}

/// An account with the number of its files.
struct Owner {
    account: Account,
    files: usize,
}

/// Pages of one account, requested in turns.
struct Pages {
    access_token: String,
    paths: Vec<String>,
}

pub(crate) async fn measure(fixture: &Fixture, report: &mut Report) -> Result<()> {
    let client = &fixture.client;
    let [large, small] = [LARGE, SMALL].map(|files| async move {
        let (account, _) = client.newcomer().await?;
        Ok::<_, anyhow::Error>(Owner { account, files })
    });
    let (large, small) = (large.await?, small.await?);
    accounts::import(fixture, OTHERS).await?;
    console::note("inserting the rows of 1,200,000 files");
    insert(fixture, &large, &small).await?;
    for list in &LISTS {
        for (names, part) in list.names.iter().zip([Part::First, Part::Middle]) {
            let large = pages(client, list, &large, part).await?;
            let small = pages(client, list, &small, part).await?;
            compare(client, &large, &small, *names, report).await?;
        }
    }
    Ok(())
}

async fn insert(fixture: &Fixture, large: &Owner, small: &Owner) -> Result<()> {
    let (client, stack) = (&fixture.client, &fixture.stack);
    let large_id = id(client, &large.account).await?;
    let small_id = id(client, &small.account).await?;
    let rows = ROWS.replace("@LARGE@", &large_id);
    let rows = rows.replace("@SMALL@", &small_id);
    stack.query(&rows).context("inserting the rows")?;
    // Autovacuum and the checkpointer do the same while this many files arrive.
    stack.query("VACUUM (ANALYZE)")?;
    stack.query("CHECKPOINT")?;
    for (owner, id) in [(large, large_id), (small, small_id)] {
        let query = format!("SELECT count(*) FROM files WHERE owner_id = '{id}'");
        let count = stack.query(&query)?;
        ensure!(
            count.trim() == owner.files.to_string(),
            "{} files instead of {}",
            count.trim(),
            owner.files
        );
    }
    Ok(())
}

async fn id(client: &Door, account: &Account) -> Result<String> {
    let tokens = client.log_in(&account.email, &account.password).await?;
    let me = client.get("/v1/me", &tokens.access_token).await?;
    let id = me["id"].as_str().map(str::to_owned);
    id.context("the profile has no id")
}

/// Returns the first page, or the pages after the first half of the list.
async fn pages(client: &Door, list: &List, owner: &Owner, part: Part) -> Result<Pages> {
    let skipped = match part {
        Part::First => 0,
        Part::Middle => owner.files / list.one_of / 2,
    };
    let (email, password) = (&owner.account.email, &owner.account.password);
    let access_token = client.log_in(email, password).await?.access_token;
    let (mut cursor, mut seen) = (None, 0);
    while seen < skipped {
        let path = path(list, (skipped - seen).min(200), cursor.as_deref());
        let page = client.get(&path, &access_token).await?;
        seen += page["items"].as_array().map_or(0, Vec::len);
        cursor = Some(next(&page).context("the list ends before its middle")?);
    }
    let wanted = if skipped == 0 { 1 } else { DEEP };
    let mut paths = Vec::new();
    while paths.len() < wanted {
        let path = path(list, 50, cursor.as_deref());
        let page = client.get(&path, &access_token).await?;
        // The last page can be shorter, and faster.
        let Some(following) = next(&page) else { break };
        paths.push(path);
        cursor = Some(following);
    }
    ensure!(!paths.is_empty(), "no full page after {skipped} files");
    Ok(Pages {
        access_token,
        paths,
    })
}

fn path(list: &List, limit: usize, cursor: Option<&str>) -> String {
    let cursor = cursor
        .map(|cursor| format!("&cursor={cursor}"))
        .unwrap_or_default();
    format!("/v1/files?{}&limit={limit}{cursor}", list.query)
}

fn next(page: &Value) -> Option<String> {
    page["next_cursor"].as_str().map(str::to_owned)
}

async fn compare(
    client: &Door,
    large: &Pages,
    small: &Pages,
    [large_name, small_name, ratio_name]: [&'static str; 3],
    report: &mut Report,
) -> Result<()> {
    let (mut large_tails, mut small_tails, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..WARM_UP {
        latency(client, large, turn).await?;
        latency(client, small, turn).await?;
    }
    for round in 0..ROUNDS {
        let (mut of_large, mut of_small) = (Vec::new(), Vec::new());
        for turn in 0..REQUESTS {
            let turn = round * REQUESTS + turn;
            of_large.push(latency(client, large, turn).await?);
            of_small.push(latency(client, small, turn).await?);
        }
        let (of_large, of_small) = (p99(&of_large), p99(&of_small));
        large_tails.push(of_large);
        small_tails.push(of_small);
        ratios.push(of_large / of_small);
    }
    report.figure(large_name, median(&large_tails), "ms");
    report.figure(small_name, median(&small_tails), "ms");
    report.goal(ratio_name, median(&ratios), "", Goal::AtMost(2.0));
    Ok(())
}

/// Returns the milliseconds of one page.
async fn latency(client: &Door, pages: &Pages, turn: usize) -> Result<f64> {
    let path = &pages.paths[turn % pages.paths.len()];
    let start = Instant::now();
    client.content(path, &pages.access_token).await?;
    Ok(start.elapsed().as_secs_f64() * 1000.0)
}
