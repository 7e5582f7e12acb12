//! A private PostgreSQL cluster: TCP on loopback only, no unix socket, and an unprivileged account
//! if this is root.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use nix::unistd::Uid;

use super::{DATABASE, ready};
use crate::console;
use crate::layout::{Layout, State, make_dir, write_private};
use crate::process::{Account, Program, Supervised};
use crate::provision::{self, Postgres};

const OWNER: &str = "plinth";
/// The file that marks a complete cluster. PG_VERSION appears before initdb has finished.
const COMPLETED: &str = "completed";

/// The data that survives a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Everything that was committed, as in production.
    Full,
    /// Nothing: for tests.
    None,
}

/// A private cluster.
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
    /// Creates the cluster, unless an earlier start did.
    pub(super) fn prepare(
        layout: &Layout,
        state: &mut State,
        port: u16,
        durability: Durability,
    ) -> Result<Self> {
        let account = Account::for_postgres()?;
        let home = home_folder(layout, state, account)?;
        let major = major_of(&home);
        let cluster = Self {
            programs: provision::postgres(major)?,
            home,
            port,
            password: state.postgres_password.clone(),
            account,
            durability,
        };
        if major.is_none() {
            cluster.initialise()?;
        }
        // After a reboot, the process id in the file of a killed server may be that of another
        // process.
        let _ = fs::remove_file(cluster.data().join("postmaster.pid"));
        Ok(cluster)
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Returns the server.
    pub(super) fn program(&self) -> Program {
        let mut settings = vec![
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            // The path of a socket has at most 107 bytes; that of a checkout can be longer.
            "unix_socket_directories=".to_owned(),
            "max_connections=300".to_owned(),
            "logging_collector=off".to_owned(),
        ];
        if self.durability == Durability::None {
            let off = [
                "fsync=off",
                "full_page_writes=off",
                "synchronous_commit=off",
            ];
            settings.extend(off.map(str::to_owned));
        }
        let settings = settings.iter().flat_map(|setting| ["-c", setting]);
        Program::new("postgres", &self.programs.program("postgres"), &self.data())
            .args(["-D", "."])
            .args(settings)
            .account(self.account)
            // SIGTERM would wait until every client has disconnected.
            .stop_signal(Signal::SIGINT)
    }

    pub(crate) fn url(&self, database: &str) -> String {
        let (password, port) = (&self.password, self.port);
        format!("postgres://{OWNER}:{password}@127.0.0.1:{port}/{database}")
    }

    /// Waits until postmaster.pid says that the server accepts connections, as pg_ctl does.
    pub(super) async fn wait_until_ready(&self, processes: &mut [Supervised]) -> Result<()> {
        let file = self.data().join("postmaster.pid");
        let is_ready = async || {
            let status = fs::read_to_string(&file).unwrap_or_default();
            status
                .lines()
                .nth(7)
                .is_some_and(|line| line.trim() == "ready")
        };
        ready::wait("postgres", is_ready, Duration::from_mins(1), processes).await
    }

    /// Runs a query and returns its rows, one a line.
    pub(crate) fn query(&self, database: &str, query: &str) -> Result<String> {
        self.psql(database, ["--command".as_ref(), query.as_ref()])
    }

    /// Runs a migration as sqlx does, in a transaction unless its first line says otherwise.
    pub(crate) fn run_migration(&self, database: &str, file: &Path) -> Result<()> {
        let text = fs::read_to_string(file);
        let text = text.with_context(|| format!("reading {}", file.display()))?;
        let transaction = !text.starts_with("-- no-transaction");
        let single = transaction.then(|| "--single-transaction".as_ref());
        let file = ["--file".as_ref(), file.as_os_str()];
        self.psql(database, file.into_iter().chain(single))
            .map(drop)
    }

    fn psql<'a>(
        &self,
        database: &str,
        args: impl IntoIterator<Item = &'a std::ffi::OsStr>,
    ) -> Result<String> {
        let mut psql = Command::new(self.programs.program("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only"])
            .args(["--set=ON_ERROR_STOP=1", "--dbname", &self.url(database)])
            .args(args);
        finish(&mut psql, "psql")
    }

    /// Creates the cluster and the product's database, both under the account of the server.
    fn initialise(&self) -> Result<()> {
        let data = self.data();
        if data.exists() {
            fs::remove_dir_all(&data).context("removing the data of an interrupted initdb")?;
        }
        let password_file = self.home.join("password");
        write_private(&password_file, self.password.as_bytes())?;
        let mut initdb = Command::new(self.programs.program("initdb"));
        initdb
            .args(["--username", OWNER, "--encoding=UTF8", "--locale=C"])
            // The password crosses loopback only, and SCRAM would cost a debug build much time.
            .args(["--no-sync", "--auth=password", "--pwfile"])
            .args([&password_file, Path::new("-D"), &data])
            .current_dir("/");
        let mut create = Command::new(self.programs.program("postgres"));
        create
            .args(["--single", "-D"])
            .args([&data, Path::new("postgres")])
            .current_dir("/");
        let statement = self.home.join("create.sql");
        fs::write(&statement, format!("CREATE DATABASE {DATABASE};\n"))?;
        create.stdin(fs::File::open(&statement)?);
        if let Some(account) = self.account {
            account.own(&password_file)?;
            account.apply(&mut initdb);
            account.apply(&mut create);
        }
        let made = finish(&mut initdb, "initdb").and_then(|_| finish(&mut create, "postgres"));
        for file in [&password_file, &statement] {
            let _ = fs::remove_file(file);
        }
        made?;
        fs::write(self.home.join(COMPLETED), b"").context("marking the cluster as complete")
    }
}

/// Runs a program to its end and returns its output.
fn finish(command: &mut Command, name: &str) -> Result<String> {
    let output = command.stderr(Stdio::piped()).output();
    let output = output.with_context(|| format!("starting {name}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name}: {}", errors.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns the release that made the data, if the cluster is complete.
fn major_of(home: &Path) -> Option<u32> {
    let completed = home.join(COMPLETED).exists();
    let version = completed.then(|| fs::read_to_string(home.join("data/PG_VERSION")))?;
    version.ok()?.trim().parse().ok()
}

/// Returns the folder of the data, owned by the account that uses it.
fn home_folder(layout: &Layout, state: &mut State, account: Option<Account>) -> Result<PathBuf> {
    if let Some(known) = state.postgres_home.as_ref().filter(|home| home.is_dir()) {
        return Ok(known.clone());
    }
    let mut folder = layout.dev.join("postgres");
    make_dir(&folder, 0o700)?;
    if let Some(account) = account {
        account.own(&folder)?;
        if !account.can_use(&folder) {
            fs::remove_dir(&folder).context("removing the unusable data folder")?;
            folder = outside(layout);
            remove_own(&folder)?;
            make_dir(&folder, 0o700)?;
            account.own(&folder)?;
            let shown = folder.display();
            console::note(&format!(
                "PostgreSQL's account cannot enter this checkout; its data is in {shown}"
            ));
        }
    }
    state.postgres_home = Some(folder.clone());
    layout.write_state(state)?;
    Ok(folder)
}

/// Returns a folder outside a checkout that PostgreSQL's account cannot enter, such as one in a
/// private home.
fn outside(layout: &Layout) -> PathBuf {
    let checkout = layout.dev.to_string_lossy().replace('/', "-");
    PathBuf::from(format!("/var/tmp/plinth{checkout}"))
}

/// Removes the data outside of .dev/.
pub(crate) fn remove_data(layout: &Layout) -> Result<()> {
    remove_own(&outside(layout))
}

/// Removes a folder, unless it belongs to another account: all accounts can write to /var/tmp.
fn remove_own(folder: &Path) -> Result<()> {
    let Ok(found) = fs::symlink_metadata(folder) else {
        return Ok(());
    };
    let me = Uid::effective().as_raw();
    let account = Account::for_postgres()?.map_or(me, |account| account.uid.as_raw());
    ensure!(
        found.is_dir() && [me, account].contains(&found.uid()),
        "{} belongs to another account",
        folder.display()
    );
    fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))
}
