//! Job queues that others wrote: bench/peers, in Node. Each run has a database of its own.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use plinth_dev::provision;
use serde::de::DeserializeOwned;
use tokio::process::Command;

use crate::{Fixture, program};

pub(super) const GRAPHILE_WORKER: &str = "graphile-worker.js";
pub(super) const BULLMQ: &str = "bullmq.js";
pub(super) const PG_BOSS: &str = "pg-boss.js";

/// The installed peers.
pub(super) struct Peers<'a> {
    fixture: &'a Fixture,
    node: PathBuf,
    folder: PathBuf,
    runs: AtomicUsize,
}

impl<'a> Peers<'a> {
    /// Returns `None` if they are not installed.
    pub(super) fn find(fixture: &'a Fixture) -> Option<Self> {
        let folder = fixture.layout.root.join("bench/peers");
        let node = provision::on_path("node").filter(|_| folder.join("node_modules").exists())?;
        Some(Self {
            fixture,
            node,
            folder,
            runs: AtomicUsize::new(0),
        })
    }

    /// Runs a scenario of a peer; bench/peers/README.md describes them.
    pub(super) async fn run<T: DeserializeOwned>(&self, peer: &str, scenario: &str) -> Result<T> {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let stack = &self.fixture.stack;
        let database = stack.create_database(&format!("peer_{run}"))?;
        let mut command = Command::new(&self.node);
        command
            .arg(self.folder.join(peer))
            .arg(scenario)
            .current_dir(&self.folder)
            .env("PEERS_DATABASE_URL", database)
            .env("PEERS_REDIS_URL", &stack.manifest.redis_url);
        program::json(&mut command).await
    }
}
