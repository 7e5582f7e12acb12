//! Resident memory of an idle API and an idle worker, and the time from start to ready.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::sleep;

use super::report::{Goal, Report, median};
use super::server::{Server, replica};
use super::{Fixture, memory};

const STARTS: usize = 5;

pub(crate) async fn measure(fixture: &mut Fixture, report: &mut Report) -> Result<()> {
    sleep(Duration::from_secs(5)).await;
    for (name, figure) in [
        ("api", "resident memory of the api, idle"),
        ("worker", "resident memory of the worker, idle"),
    ] {
        let pid = fixture.stack.manifest.pids.get(name);
        let pid = *pid.with_context(|| format!("no process id of {name}"))?;
        report.goal(figure, memory::resident(pid)?, "MiB", Goal::Below(40.0));
    }
    let (mut apis, mut workers) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let api = Server::api(fixture, &replica("api-started")?).await?;
        apis.push(api.started_in);
        api.stop().await;
        let worker = Server::worker(fixture, "worker-started").await?;
        workers.push(worker.started_in);
        worker.stop().await;
    }
    let api = "start of the api to ready, median of 5";
    report.goal(api, median(&apis), "ms", Goal::Below(300.0));
    let worker = "start of the worker to ready, median of 5";
    report.goal(worker, median(&workers), "ms", Goal::Below(300.0));
    Ok(())
}
