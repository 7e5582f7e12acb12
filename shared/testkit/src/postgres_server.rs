//! A PostgreSQL of a test's own, which can crash and recover. It keeps its promises about what is
//! on disk.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::process::free_address;
use crate::services::Services;
use crate::until::until;

const OWNER: &str = "plinth";

/// The server. Dropped, it crashes for good.
#[derive(Debug)]
pub struct PostgresServer {
    address: String,
    folder: TempDir,
    child: Option<Child>,
}

impl PostgresServer {
    /// A new cluster that answers.
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        if let Some((user, group)) = Services::get().postgres.account {
            std::os::unix::fs::chown(folder.path(), Some(user), Some(group))
                .expect("we may give it away");
        }
        let mut server = Self {
            address: free_address(),
            folder,
            child: None,
        };
        let mut initdb = server.program("initdb");
        initdb.args([
            "--username",
            OWNER,
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        let output = initdb.output().await.expect("initdb starts");
        assert!(output.status.success(), "{output:?}");
        server.start_again().await;
        server
    }

    /// Its only database, which is empty at first.
    pub fn url(&self) -> String {
        format!("postgres://{OWNER}:none@{}/postgres", self.address)
    }

    /// Ends it without a checkpoint, as a crash of its machine would.
    pub async fn crash(&mut self) {
        let mut child = self.child.take().expect("it runs");
        // SIGKILL would leave its children behind for a moment, and they the shared memory.
        signal(&child, Signal::SIGQUIT);
        child.wait().await.expect("it can be waited for");
    }

    /// Starts it on the data that it had.
    pub async fn start_again(&mut self) {
        let (host, port) = self.address.split_once(':').expect("it has a port");
        let mut postgres = self.program("postgres");
        for setting in [
            format!("listen_addresses={host}"),
            format!("port={port}"),
            "unix_socket_directories=".to_owned(),
        ] {
            postgres.args(["-c", &setting]);
        }
        self.child = Some(postgres.spawn().expect("PostgreSQL starts"));
        until("PostgreSQL answers", async || {
            let options: PgConnectOptions = self.url().parse().expect("a URL");
            options.connect().await.ok()?.close().await.ok()
        })
        .await;
    }

    fn program(&self, name: &str) -> Command {
        let postgres = &Services::get().postgres;
        let mut command = Command::new(postgres.folder.join(name));
        command
            .arg("-D")
            .arg(self.data())
            .current_dir("/")
            .kill_on_drop(true);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((user, group)) = postgres.account {
            command.uid(user).gid(group);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        signal(child, Signal::SIGQUIT);
        // Its folder goes next, and it still writes there.
        for _ in 0..200 {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn signal(child: &Child, signal: Signal) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}
