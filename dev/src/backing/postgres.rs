//! A private PostgreSQL cluster: TCP on loopback only, no unix socket, under an
//! unprivileged account when we are root.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use nix::unistd::Uid;
use tokio::time::{Instant, sleep};

use crate::console::{self, Logs};
use crate::layout::{Facts, Layout, make_dir, write_private};
use crate::ports::fnv;
use crate::process::{Account, Ledger, Program, Supervised};
use crate::provision::{self, Postgres};

const OWNER: &str = "plinth";
/// A file that says that initdb came to its end; PG_VERSION says so too early.
const COMPLETED: &str = "completed";

/// What a crash of the machine may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Everything that was committed survives, as in production.
    Full,
    /// Nothing survives: for tests, whose data nobody wants again.
    None,
}

/// A cluster whose process was started.
#[derive(Debug)]
pub(crate) struct Cluster {
    programs: Postgres,
    home: PathBuf,
    port: u16,
    password: String,
    account: Option<Account>,
    durability: Durability,
}

impl Cluster {
    /// Creates the cluster when it is new, and starts it. `free_port` is called
    /// at the last moment before PostgreSQL binds the port itself.
    pub(crate) fn start(
        layout: &Layout,
        facts: &mut Facts,
        port: u16,
        durability: Durability,
        logs: &Logs,
        ledger: &mut Ledger,
        free_port: impl FnOnce(),
    ) -> Result<(Self, Supervised)> {
        let account = Account::for_postgres()?;
        let home = home_folder(layout, facts, account)?;
        let data = home.join("data");
        let programs = provision::postgres(major_of(&home))?;
        if major_of(&home).is_none() {
            initialise(&programs, &home, account, &facts.postgres_password)?;
        }
        // A postmaster.pid of a killed server would only cost PostgreSQL a look,
        // but after a reboot its id may belong to somebody else.
        let _ = fs::remove_file(data.join("postmaster.pid"));
        let password = facts.postgres_password.clone();
        let cluster = Self {
            programs,
            home,
            port,
            password,
            account,
            durability,
        };
        let log = logs.open("postgres")?;
        free_port();
        let process = cluster.program().start(&log, ledger)?;
        Ok((cluster, process))
    }

    /// The server, which is started again after a crash as it was at first.
    pub(crate) fn program(&self) -> Program {
        let data = self.home.join("data");
        Program::new("postgres", &self.programs.program("postgres"), &data)
            .args(arguments(&data, self.port, self.durability))
            .account(self.account)
            // "Fast" shutdown: SIGTERM would wait for every client to leave.
            .stop_signal(Signal::SIGINT)
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!(
            "postgres://{OWNER}:{}@127.0.0.1:{}/{database}",
            self.password, self.port
        )
    }

    /// PostgreSQL itself says in postmaster.pid when it takes connections; that
    /// is what pg_ctl reads, too.
    pub(crate) async fn wait_until_ready(&self, processes: &mut [Supervised]) -> Result<()> {
        let end = Instant::now() + Duration::from_mins(1);
        let file = self.home.join("data/postmaster.pid");
        loop {
            let status = fs::read_to_string(&file).unwrap_or_default();
            if status
                .lines()
                .nth(7)
                .is_some_and(|line| line.trim() == "ready")
            {
                return Ok(());
            }
            still_running(processes, "postgres")?;
            ensure!(
                Instant::now() < end,
                "PostgreSQL did not become ready in 60 s"
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn create_database(&self, name: &str) -> Result<()> {
        let mut createdb = self.client("createdb");
        createdb.args(["--maintenance-db=postgres", name]);
        finish(createdb).map(drop)
    }

    /// Runs a file in one transaction, as sqlx runs a migration.
    pub(crate) fn run_sql(&self, database: &str, file: &Path) -> Result<()> {
        let mut psql = self.client("psql");
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--set=ON_ERROR_STOP=1",
            "--dbname",
            database,
            "--file",
        ])
        .arg(file);
        let text =
            fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        if !text.starts_with("-- no-transaction") {
            psql.arg("--single-transaction");
        }
        finish(psql).map(drop)
    }

    pub(crate) fn ask_sql(&self, database: &str, query: &str) -> Result<String> {
        let mut psql = self.client("psql");
        psql.args([
            "--no-psqlrc",
            "--no-align",
            "--tuples-only",
            "--dbname",
            database,
            "--command",
            query,
        ]);
        finish(psql)
    }

    /// Creates the database when it is not there yet, and notes that it is, so
    /// that later starts need not ask.
    pub(crate) fn ensure_database(&self, name: &str) -> Result<()> {
        let note = self.home.join(format!("{name}.database-created"));
        if !note.exists() {
            self.create_database(name)?;
            fs::write(&note, b"").context("noting that the database was created")?;
        }
        Ok(())
    }

    fn client(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.program(name));
        command
            .args(["--host=127.0.0.1", "--username", OWNER, "--no-password"])
            .arg(format!("--port={}", self.port))
            .env("PGPASSWORD", &self.password);
        command
    }
}

/// Runs a client program to its end and returns what it printed.
fn finish(mut client: Command) -> Result<String> {
    let name = client.get_program().display().to_string();
    let output = client
        .output()
        .with_context(|| format!("starting {name}"))?;
    ensure!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Fails with the reason when a process has ended.
pub(crate) fn still_running(processes: &mut [Supervised], name: &str) -> Result<()> {
    for process in processes {
        if process.name == name
            && let Some(status) = process.has_ended()
        {
            bail!("{name} ended with {status}");
        }
    }
    Ok(())
}

fn arguments(data: &Path, port: u16, durability: Durability) -> Vec<String> {
    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        // A socket's path may be at most 107 bytes long and a checkout's is not.
        "unix_socket_directories=".to_owned(),
        "max_connections=300".to_owned(),
        "logging_collector=off".to_owned(),
    ];
    if durability == Durability::None {
        settings.extend(
            [
                "fsync=off",
                "full_page_writes=off",
                "synchronous_commit=off",
            ]
            .map(str::to_owned),
        );
    }
    let data = ["-D".to_owned(), data.display().to_string()];
    let settings = settings
        .into_iter()
        .flat_map(|setting| ["-c".to_owned(), setting]);
    data.into_iter().chain(settings).collect()
}

/// The release that made the data in this home, if a cluster was completed there.
fn major_of(home: &Path) -> Option<u32> {
    let completed = home.join(COMPLETED).exists();
    let version = completed.then(|| fs::read_to_string(home.join("data/PG_VERSION")))?;
    version.ok()?.trim().parse().ok()
}

/// The folder that holds the data, made and owned by the account that uses it.
fn home_folder(layout: &Layout, facts: &mut Facts, account: Option<Account>) -> Result<PathBuf> {
    if let Some(known) = &facts.postgres_home
        && known.is_dir()
    {
        return Ok(known.clone());
    }
    let near = layout.dev.join("postgres");
    let folder = match account {
        None => {
            make_dir(&near, 0o700)?;
            near
        }
        Some(account) => {
            make_dir(&near, 0o700)?;
            account.own(&near)?;
            if account.can_use(&near) {
                near
            } else {
                fs::remove_dir(&near).context("removing the unusable data folder")?;
                far_folder(layout, account)?
            }
        }
    };
    facts.postgres_home = Some(folder.clone());
    layout.keep(facts)?;
    Ok(folder)
}

/// A folder outside a checkout that the account cannot enter (one in a private
/// home, say). Whatever is in it was left by a .dev/ that was deleted by hand.
fn far_folder(layout: &Layout, account: Account) -> Result<PathBuf> {
    let folder = far_path(layout);
    remove_own(&folder)?;
    make_dir(&folder, 0o700)?;
    account.own(&folder)?;
    console::note(&format!(
        "PostgreSQL's account cannot enter this checkout; its data is in {}",
        folder.display()
    ));
    Ok(folder)
}

/// Its name belongs to this checkout alone.
fn far_path(layout: &Layout) -> PathBuf {
    let hash = fnv(layout.dev.as_os_str().as_encoded_bytes());
    PathBuf::from(format!("/var/tmp/plinth-{hash:016x}"))
}

/// Removes the data that lies outside .dev/, if there is any.
pub(crate) fn remove_data(layout: &Layout) -> Result<()> {
    remove_own(&far_path(layout))
}

/// /var/tmp is everybody's: a folder of this name that is not ours stays.
fn remove_own(folder: &Path) -> Result<()> {
    let Ok(found) = fs::symlink_metadata(folder) else {
        return Ok(());
    };
    let me = Uid::effective().as_raw();
    let account = Account::for_postgres()?.map_or(me, |account| account.uid.as_raw());
    ensure!(
        found.is_dir() && [me, account].contains(&found.uid()),
        "{} is in the way and belongs to somebody else",
        folder.display()
    );
    fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))
}

fn initialise(
    programs: &Postgres,
    home: &Path,
    account: Option<Account>,
    password: &str,
) -> Result<()> {
    let data = home.join("data");
    if data.exists() {
        fs::remove_dir_all(&data).context("removing what an interrupted initdb left")?;
    }
    let password_file = home.join("password");
    write_private(&password_file, password.as_bytes())?;
    let mut initdb = Command::new(programs.program("initdb"));
    initdb
        .arg("-D")
        .arg(&data)
        .args([
            "--username",
            OWNER,
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ])
        // The password crosses loopback only, and a client in a debug build need
        // not compute SCRAM for every connection.
        .args(["--auth=password", "--pwfile"])
        .arg(&password_file)
        .current_dir("/");
    if let Some(account) = account {
        account.own(&password_file)?;
        account.apply(&mut initdb);
    }
    let output = initdb.output().context("starting initdb");
    let _ = fs::remove_file(&password_file);
    let output = output?;
    ensure!(
        output.status.success(),
        "initdb: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    fs::write(home.join(COMPLETED), b"").context("noting that the cluster is complete")
}
