//! Job queues that others wrote: bench/peers, in Node. Each run has a database of its own.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde::de::DeserializeOwned;

use super::super::Bed;
use crate::process::foreground;
use crate::provision;

/// Who is compared with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Peer {
    GraphileWorker,
    BullMq,
    PgBoss,
}

impl Peer {
    fn script(self) -> &'static str {
        match self {
            Self::GraphileWorker => "graphile-worker.js",
            Self::BullMq => "bullmq.js",
            Self::PgBoss => "pg-boss.js",
        }
    }
}

/// The peers as they are installed.
pub(super) struct Peers<'a> {
    bed: &'a Bed,
    node: PathBuf,
    folder: PathBuf,
    runs: AtomicUsize,
}

impl<'a> Peers<'a> {
    /// None where they are not installed.
    pub(super) fn find(bed: &'a Bed) -> Option<Self> {
        let folder = bed.layout.root.join("bench/peers");
        let node = provision::on_path("node").filter(|_| folder.join("node_modules").exists())?;
        Some(Self {
            bed,
            node,
            folder,
            runs: AtomicUsize::new(0),
        })
    }

    /// Runs a scenario, as bench/peers/README.md describes it.
    pub(super) async fn run<T: DeserializeOwned>(&self, peer: Peer, scenario: &str) -> Result<T> {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let database = self.bed.stack.create_database(&format!("peer_{run}"))?;
        let mut command = foreground::through_shim(self.node.as_os_str(), Signal::SIGTERM, None)?;
        command
            .arg(self.folder.join(peer.script()))
            .arg(scenario)
            .current_dir(&self.folder);
        command
            .env("PEERS_DATABASE_URL", database)
            .env("PEERS_REDIS_URL", self.bed.stack.redis_url());
        let output = foreground::output(&mut command).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.success(),
            "{} {scenario}: {said}",
            peer.script()
        );
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{} {scenario} said something else: {said}", peer.script()))
    }
}
