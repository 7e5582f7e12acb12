//! What api and worker hold when nothing happens, and how soon after their start
//! they are ready.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::time::sleep;

use super::Bed;
use super::board::{Board, Goal, median};
use super::me::free_address;
use super::memory;
use crate::build::{self, Profile};
use crate::door::until;
use crate::process::Program;
use crate::stack::Replica;

const STARTS: usize = 5;

pub(super) async fn measure(bed: &mut Bed, board: &mut Board) -> Result<()> {
    sleep(Duration::from_secs(5)).await;
    for (name, figure) in [
        ("api", "resident memory of the api, idle"),
        ("worker", "resident memory of the worker, idle"),
    ] {
        let pid = *bed
            .stack
            .manifest
            .pids
            .get(name)
            .with_context(|| format!("no process id of {name}"))?;
        board.judge(
            "idle",
            figure,
            memory::resident(pid)?,
            "MiB",
            Goal::Below(40.0),
        );
    }
    let (mut apis, mut workers) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        apis.push(start_api(bed).await?);
        workers.push(start_worker(bed).await?);
    }
    board.judge(
        "idle",
        "start of the api to ready, median of 5",
        median(&apis),
        "ms",
        Goal::Below(300.0),
    );
    board.judge(
        "idle",
        "start of the worker to ready, median of 5",
        median(&workers),
        "ms",
        Goal::Below(300.0),
    );
    Ok(())
}

async fn start_api(bed: &mut Bed) -> Result<f64> {
    let replica = Replica {
        name: "api-started".to_owned(),
        bind: free_address()?,
        internal_bind: free_address()?,
    };
    let env = bed.stack.environment.api(&bed.stack.manifest, &replica);
    let program = program(bed, &replica.name, "plinth-api", "serve")?.env(env);
    until_ready(bed, program, &replica.internal_bind).await
}

async fn start_worker(bed: &mut Bed) -> Result<f64> {
    let bind = free_address()?;
    let env = bed.stack.environment.worker(&bed.stack.manifest, &bind);
    let program = program(bed, "worker-started", "plinth-worker", "run")?.env(env);
    until_ready(bed, program, &bind).await
}

fn program(bed: &Bed, name: &str, binary: &str, command: &str) -> Result<Program> {
    let path = build::folder(Profile::Release)?.join(binary);
    Ok(Program::new(name, &path, &bed.layout.root).args([command]))
}

/// Milliseconds from the start of a process to its first "ready".
async fn until_ready(bed: &mut Bed, program: Program, internal_bind: &str) -> Result<f64> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("http://{internal_bind}/readyz");
    let start = Instant::now();
    let process = bed.stack.start_beside(program)?;
    let ready = until(
        Duration::from_secs(10),
        Duration::from_millis(2),
        "it was not ready",
        async || {
            Ok(client
                .get(&url)
                .send()
                .await
                .is_ok_and(|answer| answer.status().is_success())
                .then_some(()))
        },
    );
    let ready = ready.await;
    let milliseconds = start.elapsed().as_secs_f64() * 1000.0;
    process.stop(Duration::from_secs(4)).await;
    ready.map(|()| milliseconds)
}
