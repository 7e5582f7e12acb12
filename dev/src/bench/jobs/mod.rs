//! The job system against the limit of this machine (one commit a job, as pgbench makes them) and against its peers,
//! where `npm ci` was run in bench/peers. Everything over the same PostgreSQL and Redis, one after the other.

mod limit;
mod peers;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Bed;
use super::board::{Board, Goal, median};
use crate::build::{self, Profile};
use crate::console;
use crate::process::foreground;
use crate::stack::{Variables, one_shot};

use limit::Limit;
use peers::{Peer, Peers};

const ROUNDS: usize = 3;

#[derive(Debug, Deserialize)]
struct Rate {
    jobs_per_second: f64,
}

#[derive(Debug, Deserialize)]
struct Pickup {
    p50_ms: f64,
    p99_ms: f64,
}

#[derive(Debug, Deserialize)]
struct Depth {
    p50_ms: f64,
    notes: f64,
}

#[derive(Debug, Deserialize)]
struct Idle {
    redis_commands_per_second: f64,
    sql_statements_per_second: f64,
    core_percent: f64,
}

#[derive(Debug, Deserialize)]
struct Retention {
    removed_per_second: f64,
    quiet_p50_ms: f64,
    quiet_p99_ms: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// Our own side: a program of the product's code with a worker in it, in a database of its own.
struct Ours {
    program: PathBuf,
    env: Variables,
}

impl Ours {
    async fn prepare(bed: &Bed, database: &str) -> Result<Self> {
        let mut env = bed.stack.environment.shared(&bed.stack.manifest.api_url);
        let mut set = |name: &str, value: String| env.push((name.to_owned(), value));
        set("PLINTH_DATABASE_URL", bed.stack.create_database(database)?);
        set("PLINTH_REDIS_PREFIX", "bench-jobs".to_owned());
        set("PLINTH_LOG_LEVEL", "error".to_owned());
        let binaries = build::folder(Profile::Release)?;
        one_shot(
            &binaries.join("plinth-api"),
            &["migrate"],
            &env,
            &bed.layout.root,
            None,
        )
        .await?;
        Ok(Self {
            program: binaries.join("examples/jobs"),
            env,
        })
    }

    async fn run<T: DeserializeOwned>(&self, args: &[&str]) -> Result<T> {
        let mut command =
            foreground::through_shim(self.program.as_os_str(), Signal::SIGTERM, None)?;
        command
            .args(args)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        let output = foreground::output(&mut command).await?;
        serde_json::from_slice(&output.stdout).with_context(|| {
            format!(
                "the example jobs said something else: {}",
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }
}

/// A clean-up of the ledger at ten million jobs, and what a job that comes meanwhile feels of it.
pub(super) async fn retention(bed: &Bed, board: &mut Board) -> Result<()> {
    let ours = Ours::prepare(bed, "plinth_finished_jobs").await?;
    console::note("laying in 10,000,000 finished jobs");
    let retention: Retention = ours.run(&["retention"]).await?;
    let mut note = |name, value, unit| board.note("retention", name, value, unit);
    note(
        "removed of 10,000,000 finished jobs, 1,000,000 of them due",
        retention.removed_per_second,
        "1/s",
    );
    note(
        "commit to handler before, one job at a time, median",
        retention.quiet_p50_ms,
        "ms",
    );
    note("the same, p99", retention.quiet_p99_ms, "ms");
    note(
        "commit to handler meanwhile, median",
        retention.p50_ms,
        "ms",
    );
    note("the same, p99", retention.p99_ms, "ms");
    Ok(())
}

pub(super) async fn measure(bed: &Bed, board: &mut Board) -> Result<()> {
    let ours = Ours::prepare(bed, "plinth_jobs").await?;
    let peers = Peers::find(bed);
    if peers.is_none() {
        console::note("no peers: run `npm ci` in bench/peers to compare with them");
    }
    backlog(&ours, peers.as_ref(), board).await?;
    throughput(bed, &ours, peers.as_ref(), board).await?;
    pickup(&ours, peers.as_ref(), board).await?;
    depth(&ours, board).await?;
    idle(&ours, board).await
}

async fn backlog(ours: &Ours, peers: Option<&Peers<'_>>, board: &mut Board) -> Result<()> {
    let mut rates = Vec::new();
    let (mut to_graphile, mut to_bullmq, mut to_boss) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let rate = ours.run::<Rate>(&["backlog"]).await?.jobs_per_second;
        rates.push(rate);
        if let Some(peers) = peers {
            to_graphile.push(
                peers
                    .run::<Rate>(Peer::GraphileWorker, "backlog")
                    .await?
                    .jobs_per_second,
            );
            to_bullmq.push(
                peers
                    .run::<Rate>(Peer::BullMq, "backlog")
                    .await?
                    .jobs_per_second,
            );
            to_boss.push(
                peers
                    .run::<Rate>(Peer::PgBoss, "backlog")
                    .await?
                    .jobs_per_second,
            );
        }
    }
    let rate = median(&rates);
    board.note(
        "jobs",
        "20,000 accepted jobs, one worker, 50 at once, median of 3",
        rate,
        "1/s",
    );
    if peers.is_some() {
        let (graphile, bullmq) = (median(&to_graphile), median(&to_bullmq));
        board.note(
            "jobs",
            "the same, graphile-worker with its local queue",
            graphile,
            "1/s",
        );
        board.judge(
            "jobs",
            "ratio to graphile-worker",
            rate / graphile,
            "",
            Goal::AtLeast(1.0),
        );
        board.note("jobs", "the same, BullMQ (no ledger)", bullmq, "1/s");
        board.judge(
            "jobs",
            "ratio to BullMQ",
            rate / bullmq,
            "",
            Goal::AtLeast(1.5),
        );
        board.note(
            "jobs",
            "the same, pg-boss, 2,000 a batch",
            median(&to_boss),
            "1/s",
        );
    }
    Ok(())
}

async fn throughput(
    bed: &Bed,
    ours: &Ours,
    peers: Option<&Peers<'_>>,
    board: &mut Board,
) -> Result<()> {
    let limit = Limit::prepare(bed).await?;
    let (mut rates, mut limits, mut graphile) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        rates.push(ours.run::<Rate>(&["throughput"]).await?.jobs_per_second);
        limits.push(limit.measure().await?);
        if let Some(peers) = peers {
            graphile.push(
                peers
                    .run::<Rate>(Peer::GraphileWorker, "throughput")
                    .await?
                    .jobs_per_second,
            );
        }
    }
    let (rate, limit) = (median(&rates), median(&limits));
    board.note(
        "jobs",
        "accepted by 16 clients, one commit each, and finished meanwhile",
        rate,
        "1/s",
    );
    board.note("jobs", "pgbench simple-update, 16 clients", limit, "1/s");
    board.judge(
        "jobs",
        "ratio to pgbench",
        rate / limit,
        "",
        Goal::AtLeast(0.6),
    );
    if peers.is_some() {
        let graphile = median(&graphile);
        board.note("jobs", "the same jobs, graphile-worker", graphile, "1/s");
        board.judge(
            "jobs",
            "ratio to graphile-worker, accepted and finished",
            rate / graphile,
            "",
            Goal::AtLeast(5.0),
        );
    }
    Ok(())
}

async fn pickup(ours: &Ours, peers: Option<&Peers<'_>>, board: &mut Board) -> Result<()> {
    let waits: Pickup = ours.run(&["pickup"]).await?;
    board.judge(
        "jobs",
        "commit to handler, one job on an idle system, median",
        waits.p50_ms,
        "ms",
        Goal::Below(2.0),
    );
    board.judge(
        "jobs",
        "the same, p99",
        waits.p99_ms,
        "ms",
        Goal::Below(5.0),
    );
    if let Some(peers) = peers {
        let graphile: Pickup = peers.run(Peer::GraphileWorker, "pickup").await?;
        board.note("jobs", "graphile-worker, median", graphile.p50_ms, "ms");
        board.note("jobs", "graphile-worker, p99", graphile.p99_ms, "ms");
        let bullmq: Pickup = peers.run(Peer::BullMq, "pickup").await?;
        board.note("jobs", "BullMQ, median", bullmq.p50_ms, "ms");
        board.note("jobs", "BullMQ, p99", bullmq.p99_ms, "ms");
    }
    Ok(())
}

async fn depth(ours: &Ours, board: &mut Board) -> Result<()> {
    let shallow: Depth = ours.run(&["depth", "1000"]).await?;
    let deep: Depth = ours.run(&["depth", "1000000"]).await?;
    board.note(
        "jobs",
        "commit to handler while 1,000 lesser jobs wait, median",
        shallow.p50_ms,
        "ms",
    );
    board.note("jobs", "the same with 1,000,000, median", deep.p50_ms, "ms");
    board.judge(
        "jobs",
        "ratio of the two",
        deep.p50_ms / shallow.p50_ms,
        "",
        Goal::Below(2.0),
    );
    board.judge(
        "jobs",
        "notes in Redis meanwhile",
        deep.notes,
        "",
        Goal::Below(2_001.0),
    );
    Ok(())
}

async fn idle(ours: &Ours, board: &mut Board) -> Result<()> {
    let idle: Idle = ours.run(&["idle"]).await?;
    let commands = idle.redis_commands_per_second;
    board.judge(
        "jobs",
        "Redis commands of an idle worker",
        commands,
        "1/s",
        Goal::Below(20.0),
    );
    let statements = idle.sql_statements_per_second;
    board.judge(
        "jobs",
        "SQL statements of an idle worker",
        statements,
        "1/s",
        Goal::Below(5.0),
    );
    board.judge(
        "jobs",
        "CPU of an idle worker, of a core",
        idle.core_percent,
        "%",
        Goal::Below(1.0),
    );
    Ok(())
}
