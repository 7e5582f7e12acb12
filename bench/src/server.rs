//! Servers that a scenario starts beside the stack.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use plinth_dev::door::{Door, Tokens, until};
use plinth_dev::process::{Program, Supervised};
use plinth_dev::stack::Replica;
use tokio::time::sleep;

use crate::{Fixture, memory, program};

/// The time that a server gets to drain.
const STOP_GRACE: Duration = Duration::from_secs(4);

/// A server that answers.
pub(crate) struct Server {
    process: Supervised,
    /// Milliseconds from the start of the process to its first successful answer.
    pub(crate) started_in: f64,
}

impl Server {
    /// Starts one more API process; its name is that of the replica.
    pub(crate) async fn api(fixture: &mut Fixture, replica: &Replica) -> Result<Self> {
        let env = (fixture.stack.environment).api(&fixture.stack.manifest, replica);
        let program = Program::new(
            &replica.name,
            &program::folder()?.join("plinth-api"),
            &fixture.layout.root,
        );
        let program = program.args(["serve"]).env(env);
        Self::start(fixture, program, &readiness(&replica.internal_bind)).await
    }

    /// Starts one more worker.
    pub(crate) async fn worker(fixture: &mut Fixture, name: &str) -> Result<Self> {
        let bind = free_address()?;
        let env = (fixture.stack.environment).worker(&fixture.stack.manifest, &bind);
        let worker = program::folder()?.join("plinth-worker");
        let program = Program::new(name, &worker, &fixture.layout.root);
        Self::start(fixture, program.args(["run"]).env(env), &readiness(&bind)).await
    }

    /// Starts a program and waits until the URL answers with success.
    pub(crate) async fn start(fixture: &mut Fixture, program: Program, url: &str) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let start = Instant::now();
        let process = fixture.stack.start_program(program)?;
        let (limit, pause) = (Duration::from_secs(10), Duration::from_millis(2));
        let is_ready = async || {
            let answer = http.get(url).send().await;
            Ok(answer
                .is_ok_and(|answer| answer.status().is_success())
                .then_some(()))
        };
        until(limit, pause, "the server was not ready", is_ready).await?;
        Ok(Self {
            process,
            started_in: start.elapsed().as_secs_f64() * 1000.0,
        })
    }

    pub(crate) async fn stop(self) {
        self.process.stop(STOP_GRACE).await;
    }
}

/// An idle API process that has served one login and returned that login's memory.
pub(crate) struct FreshApi {
    pub(crate) client: Door,
    pub(crate) tokens: Tokens,
    /// Resident memory while it is idle, in MiB.
    pub(crate) idle: f64,
    server: Server,
}

impl FreshApi {
    pub(crate) async fn start(fixture: &mut Fixture) -> Result<Self> {
        let (account, _) = fixture.client.newcomer().await?;
        let replica = replica("api-fresh")?;
        let server = Server::api(fixture, &replica).await?;
        let client = fixture.client.at(format!("http://{}", replica.bind));
        let tokens = client.log_in(&account.email, &account.password).await?;
        // The API returns the memory of a login after five idle seconds.
        sleep(Duration::from_secs(8)).await;
        memory::reset_peak(server.process.pid())?;
        Ok(Self {
            client,
            tokens,
            idle: memory::resident(server.process.pid())?,
            server,
        })
    }

    /// Returns the peak of resident memory since the process was idle, in MiB.
    pub(crate) fn peak(&self) -> Result<f64> {
        memory::peak(self.server.process.pid())
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

/// Returns the addresses of one more API process.
pub(crate) fn replica(name: &str) -> Result<Replica> {
    Ok(Replica {
        name: name.to_owned(),
        bind: free_address()?,
        internal_bind: free_address()?,
    })
}

/// Returns an address on loopback that no process listens on.
pub(crate) fn free_address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("looking for a free port")?;
    Ok(listener.local_addr()?.to_string())
}

fn readiness(internal_bind: &str) -> String {
    format!("http://{internal_bind}/readyz")
}
