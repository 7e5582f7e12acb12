//! The job system against one commit a job as pgbench makes them, and against other job queues if
//! `npm ci` was run in bench/peers. All use the same PostgreSQL and Redis, one after the other.

mod limit;
mod peers;

use anyhow::Result;
use plinth_dev::console;
use plinth_dev::stack::{Variables, one_shot};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::report::{Goal, Report, median};
use super::{Fixture, program};
use limit::Limit;
use peers::{BULLMQ, GRAPHILE_WORKER, PG_BOSS, Peers};

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
    ready: f64,
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

/// `bench-jobs`, which has a worker in it, with a database of its own.
struct Ours {
    env: Variables,
}

impl Ours {
    async fn prepare(fixture: &Fixture, database: &str) -> Result<Self> {
        let stack = &fixture.stack;
        let mut env = stack.environment.shared(&stack.manifest.api_url);
        let mut set = |name: &str, value: String| env.push((name.to_owned(), value));
        set("PLINTH_DATABASE_URL", stack.create_database(database)?);
        set("PLINTH_REDIS_PREFIX", "bench-jobs".to_owned());
        set("PLINTH_LOG_LEVEL", "error".to_owned());
        let api = program::folder()?.join("plinth-api");
        one_shot(&api, &["migrate"], &env, &fixture.layout.root, None).await?;
        Ok(Self { env })
    }

    async fn run<T: DeserializeOwned>(&self, args: &[&str]) -> Result<T> {
        let mut command = program::sibling("bench-jobs")?;
        program::json(command.args(args).envs(self.env.iter().cloned())).await
    }

    async fn rate(&self, scenario: &str) -> Result<f64> {
        let rate: Rate = self.run(&[scenario]).await?;
        Ok(rate.jobs_per_second)
    }
}

/// Measures a clean-up of ten million finished jobs, and the pickup of jobs meanwhile.
pub(crate) async fn measure_retention(fixture: &Fixture, report: &mut Report) -> Result<()> {
    let ours = Ours::prepare(fixture, "plinth_finished_jobs").await?;
    console::note("inserting 10,000,000 finished jobs");
    let retention: Retention = ours.run(&["retention"]).await?;
    let removed = "removed of 10,000,000 finished jobs, 1,000,000 of them due";
    report.figure(removed, retention.removed_per_second, "1/s");
    let before = "commit to handler before, one job at a time, median";
    report.figure(before, retention.quiet_p50_ms, "ms");
    report.figure("the same, p99", retention.quiet_p99_ms, "ms");
    let meanwhile = "commit to handler meanwhile, median";
    report.figure(meanwhile, retention.p50_ms, "ms");
    report.figure("the same, p99", retention.p99_ms, "ms");
    Ok(())
}

pub(crate) async fn measure(fixture: &Fixture, report: &mut Report) -> Result<()> {
    let ours = Ours::prepare(fixture, "plinth_jobs").await?;
    let peers = Peers::find(fixture);
    if peers.is_none() {
        console::note("no peers: run `npm ci` in bench/peers to compare with them");
    }
    backlog(&ours, peers.as_ref(), report).await?;
    throughput(fixture, &ours, peers.as_ref(), report).await?;
    pickup(&ours, peers.as_ref(), report).await?;
    depth(&ours, report).await?;
    idle(&ours, report).await
}

async fn backlog(ours: &Ours, peers: Option<&Peers<'_>>, report: &mut Report) -> Result<()> {
    let mut rates = Vec::new();
    let mut peer_rates = [GRAPHILE_WORKER, BULLMQ, PG_BOSS].map(|peer| (peer, Vec::new()));
    for _ in 0..ROUNDS {
        rates.push(ours.rate("backlog").await?);
        if let Some(peers) = peers {
            for (peer, rates) in &mut peer_rates {
                let rate: Rate = peers.run(peer, "backlog").await?;
                rates.push(rate.jobs_per_second);
            }
        }
    }
    let rate = median(&rates);
    let name = "20,000 accepted jobs, one worker, 50 at once, median of 3";
    report.figure(name, rate, "1/s");
    if peers.is_some() {
        let [graphile, bullmq, boss] = peer_rates.map(|(_, rates)| median(&rates));
        let name = "the same, graphile-worker with its local queue";
        report.figure(name, graphile, "1/s");
        let ratio = rate / graphile;
        report.goal("ratio to graphile-worker", ratio, "", Goal::AtLeast(1.0));
        report.figure("the same, BullMQ (no ledger)", bullmq, "1/s");
        report.goal("ratio to BullMQ", rate / bullmq, "", Goal::AtLeast(1.5));
        report.figure("the same, pg-boss, 2,000 a batch", boss, "1/s");
    }
    Ok(())
}

async fn throughput(
    fixture: &Fixture,
    ours: &Ours,
    peers: Option<&Peers<'_>>,
    report: &mut Report,
) -> Result<()> {
    let limit = Limit::prepare(fixture).await?;
    let (mut rates, mut limits, mut graphile) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        rates.push(ours.rate("throughput").await?);
        limits.push(limit.measure().await?);
        if let Some(peers) = peers {
            let rate: Rate = peers.run(GRAPHILE_WORKER, "throughput").await?;
            graphile.push(rate.jobs_per_second);
        }
    }
    let (rate, limit) = (median(&rates), median(&limits));
    let name = "accepted by 16 clients, one commit each, and finished meanwhile";
    report.figure(name, rate, "1/s");
    report.figure("pgbench simple-update, 16 clients", limit, "1/s");
    report.goal("ratio to pgbench", rate / limit, "", Goal::AtLeast(0.6));
    if peers.is_some() {
        let graphile = median(&graphile);
        report.figure("the same jobs, graphile-worker", graphile, "1/s");
        let name = "ratio to graphile-worker, accepted and finished";
        report.goal(name, rate / graphile, "", Goal::AtLeast(5.0));
    }
    Ok(())
}

async fn pickup(ours: &Ours, peers: Option<&Peers<'_>>, report: &mut Report) -> Result<()> {
    let waits: Pickup = ours.run(&["pickup"]).await?;
    let name = "commit to handler, one job on an idle system, median";
    report.goal(name, waits.p50_ms, "ms", Goal::Below(2.0));
    report.goal("the same, p99", waits.p99_ms, "ms", Goal::Below(5.0));
    if let Some(peers) = peers {
        let graphile: Pickup = peers.run(GRAPHILE_WORKER, "pickup").await?;
        report.figure("graphile-worker, median", graphile.p50_ms, "ms");
        report.figure("graphile-worker, p99", graphile.p99_ms, "ms");
        let bullmq: Pickup = peers.run(BULLMQ, "pickup").await?;
        report.figure("BullMQ, median", bullmq.p50_ms, "ms");
        report.figure("BullMQ, p99", bullmq.p99_ms, "ms");
    }
    Ok(())
}

async fn depth(ours: &Ours, report: &mut Report) -> Result<()> {
    let shallow: Depth = ours.run(&["depth", "1000"]).await?;
    let deep: Depth = ours.run(&["depth", "1000000"]).await?;
    let name = "commit to handler while 1,000 lesser jobs wait, median";
    report.figure(name, shallow.p50_ms, "ms");
    let name = "the same with 1,000,000, median";
    report.figure(name, deep.p50_ms, "ms");
    let ratio = deep.p50_ms / shallow.p50_ms;
    report.goal("ratio of the two", ratio, "", Goal::Below(2.0));
    let name = "ready jobs in Redis meanwhile";
    report.goal(name, deep.ready, "", Goal::Below(2_001.0));
    Ok(())
}

async fn idle(ours: &Ours, report: &mut Report) -> Result<()> {
    let idle: Idle = ours.run(&["idle"]).await?;
    let name = "Redis commands of an idle worker";
    let commands = idle.redis_commands_per_second;
    report.goal(name, commands, "1/s", Goal::Below(20.0));
    let name = "SQL statements of an idle worker";
    let statements = idle.sql_statements_per_second;
    report.goal(name, statements, "1/s", Goal::Below(5.0));
    let name = "CPU of an idle worker, of a core";
    report.goal(name, idle.core_percent, "%", Goal::Below(1.0));
    Ok(())
}
