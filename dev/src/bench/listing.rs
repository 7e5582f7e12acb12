//! Pages of the own files in an account with a million of them beside one with a thousand: the first page, and pages
//! from the middle on, by creation, by name and of a tag. Both are asked in turns.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::board::{Board, Goal, median, p99};
use super::{Bed, accounts};
use crate::console;
use crate::door::{Account, Door};

/// Rows are laid in by SQL: uploads of a million files would take a day.
const ROWS: &str = include_str!("listing.sql");
const LARGE: usize = 1_000_000;
const SMALL: usize = 1_000;
/// Whose files lie between theirs.
const OTHERS: usize = 100;
const ROUNDS: usize = 3;
/// Requests of a round to each account.
const REQUESTS: usize = 500;
/// Requests that are not counted: connections, statements and pages become warm.
const WARM_UP: usize = 50;
/// Pages from the middle on that are asked in turns.
const DEEP: usize = 100;

/// One list, and what its figures are called.
struct List {
    query: &'static str,
    /// Of so many files in an account it has one.
    one_of: usize,
    first: Names,
    deep: Names,
}

struct Names {
    large: &'static str,
    small: &'static str,
    ratio: &'static str,
}

const LISTS: [List; 3] = [
    List {
        query: "sort=created",
        one_of: 1,
        first: Names {
            large: "1,000,000 files, by creation, first page: p99",
            small: "1,000 files, by creation, first page: p99",
            ratio: "ratio, by creation, first page",
        },
        deep: Names {
            large: "1,000,000 files, by creation, pages from the middle: p99",
            small: "1,000 files, by creation, pages from the middle: p99",
            ratio: "ratio, by creation, pages from the middle",
        },
    },
    List {
        query: "sort=name",
        one_of: 1,
        first: Names {
            large: "1,000,000 files, by name, first page: p99",
            small: "1,000 files, by name, first page: p99",
            ratio: "ratio, by name, first page",
        },
        deep: Names {
            large: "1,000,000 files, by name, pages from the middle: p99",
            small: "1,000 files, by name, pages from the middle: p99",
            ratio: "ratio, by name, pages from the middle",
        },
    },
    List {
        query: "tag=paper",
        one_of: 2,
        first: Names {
            large: "1,000,000 files, of a tag, first page: p99",
            small: "1,000 files, of a tag, first page: p99",
            ratio: "ratio, of a tag, first page",
        },
        deep: Names {
            large: "1,000,000 files, of a tag, pages from the middle: p99",
            small: "1,000 files, of a tag, pages from the middle: p99",
            ratio: "ratio, of a tag, pages from the middle",
        },
    },
];

/// Whoever lists, with how many files there are.
struct Owner {
    account: Account,
    files: usize,
}

/// One account's pages, asked in turns.
struct Pages {
    access_token: String,
    paths: Vec<String>,
}

pub(super) async fn measure(bed: &Bed, board: &mut Board) -> Result<()> {
    let large = Owner {
        account: bed.door.newcomer().await?.0,
        files: LARGE,
    };
    let small = Owner {
        account: bed.door.newcomer().await?.0,
        files: SMALL,
    };
    accounts::import(bed, OTHERS).await?;
    console::note("laying in the rows of 1,200,000 files");
    lay_in(bed, &large, &small).await?;
    for list in &LISTS {
        let first = (
            pages(&bed.door, list, &large, 0).await?,
            pages(&bed.door, list, &small, 0).await?,
        );
        compare(&bed.door, &first, &list.first, board).await?;
        let (of_large, of_small) = (LARGE / list.one_of / 2, SMALL / list.one_of / 2);
        let deep = (
            pages(&bed.door, list, &large, of_large).await?,
            pages(&bed.door, list, &small, of_small).await?,
        );
        compare(&bed.door, &deep, &list.deep, board).await?;
    }
    Ok(())
}

async fn lay_in(bed: &Bed, large: &Owner, small: &Owner) -> Result<()> {
    let rows = ROWS
        .replace("@LARGE@", &id(&bed.door, &large.account).await?)
        .replace("@SMALL@", &id(&bed.door, &small.account).await?);
    bed.stack.ask_sql(&rows).context("laying in the rows")?;
    // As autovacuum and the checkpointer would do in the time in which so many files come.
    bed.stack.ask_sql("VACUUM (ANALYZE)")?;
    bed.stack.ask_sql("CHECKPOINT")?;
    for owner in [large, small] {
        let id = id(&bed.door, &owner.account).await?;
        let count = bed.stack.ask_sql(&format!(
            "SELECT count(*) FROM files WHERE owner_id = '{id}'"
        ))?;
        ensure!(
            count.trim() == owner.files.to_string(),
            "{} files instead of {}",
            count.trim(),
            owner.files
        );
    }
    Ok(())
}

async fn id(door: &Door, account: &Account) -> Result<String> {
    let tokens = door.log_in(&account.email, &account.password).await?;
    let me = door.get("/v1/me", &tokens.access_token).await?;
    me["id"]
        .as_str()
        .map(str::to_owned)
        .context("the profile has no id")
}

/// The first page, or after so many files those that follow.
async fn pages(door: &Door, list: &List, owner: &Owner, after: usize) -> Result<Pages> {
    let tokens = door
        .log_in(&owner.account.email, &owner.account.password)
        .await?;
    let (mut cursor, mut seen) = (None, 0);
    while seen < after {
        let limit = (after - seen).min(200);
        let page = door
            .get(&path(list, limit, cursor.as_deref()), &tokens.access_token)
            .await?;
        seen += page["items"].as_array().map_or(0, Vec::len);
        cursor = Some(next(&page).context("the list ends before its middle")?);
    }
    let wanted = if after == 0 { 1 } else { DEEP };
    let mut paths = Vec::new();
    while paths.len() < wanted {
        let here = path(list, 50, cursor.as_deref());
        let page = door.get(&here, &tokens.access_token).await?;
        // The last page may be shorter, and would be quicker.
        let Some(following) = next(&page) else { break };
        paths.push(here);
        cursor = Some(following);
    }
    ensure!(
        !paths.is_empty(),
        "there is no full page after {after} files"
    );
    Ok(Pages {
        access_token: tokens.access_token,
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
    door: &Door,
    (large, small): &(Pages, Pages),
    names: &Names,
    board: &mut Board,
) -> Result<()> {
    let (mut larges, mut smalls, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..WARM_UP {
        wait(door, large, turn).await?;
        wait(door, small, turn).await?;
    }
    for round in 0..ROUNDS {
        let (mut of_large, mut of_small) = (Vec::new(), Vec::new());
        for turn in 0..REQUESTS {
            let turn = round * REQUESTS + turn;
            of_large.push(wait(door, large, turn).await?);
            of_small.push(wait(door, small, turn).await?);
        }
        let (of_large, of_small) = (p99(&of_large), p99(&of_small));
        larges.push(of_large);
        smalls.push(of_small);
        ratios.push(of_large / of_small);
    }
    board.note("listing", names.large, median(&larges), "ms");
    board.note("listing", names.small, median(&smalls), "ms");
    board.judge(
        "listing",
        names.ratio,
        median(&ratios),
        "",
        Goal::AtMost(2.0),
    );
    Ok(())
}

/// Milliseconds of one page.
async fn wait(door: &Door, pages: &Pages, turn: usize) -> Result<f64> {
    let path = &pages.paths[turn % pages.paths.len()];
    let start = Instant::now();
    door.content(path, &pages.access_token).await?;
    Ok(start.elapsed().as_secs_f64() * 1000.0)
}
