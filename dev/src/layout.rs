//! The checkout, its private folder .dev/, and the state that a second start takes over from the
//! first.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::random;

/// The folders of one stack: those of the checkout, or temporary ones.
#[derive(Debug, Clone)]
pub struct Layout {
    pub root: PathBuf,
    pub dev: PathBuf,
    pub(crate) logs: PathBuf,
}

impl Layout {
    /// Returns the layout of the checkout that this program was started for.
    pub fn of_checkout() -> Result<Self> {
        let root = checkout_root()?;
        let dev = root.join(".dev");
        let logs = dev.join("logs");
        Ok(Self { root, dev, logs })
    }

    /// Creates .dev/ and the folder of the logs. Other accounts can pass through .dev/, because
    /// PostgreSQL may run under one, but cannot read it.
    pub(crate) fn prepare(&self) -> Result<()> {
        make_dir(&self.dev, 0o711)?;
        make_dir(&self.logs, 0o700)
    }

    pub(crate) fn tools(&self) -> PathBuf {
        self.root.join(".dev/tools")
    }

    pub(crate) fn stack_file(&self) -> PathBuf {
        self.dev.join("stack.json")
    }

    pub(crate) fn processes_file(&self) -> PathBuf {
        self.dev.join("processes.json")
    }

    /// Returns a path as it is shown: relative to the checkout if it is inside.
    pub(crate) fn shown(&self, path: &Path) -> String {
        let path = path.strip_prefix(&self.root).unwrap_or(path);
        path.display().to_string()
    }

    /// Returns the state of the last start, or new secrets.
    pub(crate) fn state(&self) -> Result<State> {
        let path = self.state_file();
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is invalid: `cargo dev reset`", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => State::new(),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    pub(crate) fn write_state(&self, state: &State) -> Result<()> {
        write_private_json(&self.state_file(), state)
    }

    fn state_file(&self) -> PathBuf {
        self.dev.join("facts.json")
    }
}

/// Secrets and addresses that do not change between two starts of the same checkout.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) secret_key: String,
    pub(crate) admin_password: String,
    pub(crate) postgres_password: String,
    pub(crate) s3_access_key_id: String,
    pub(crate) s3_secret_access_key: String,
    /// The folder of PostgreSQL's data, once it has been chosen.
    pub(crate) postgres_home: Option<PathBuf>,
    /// The ports of the last start by service.
    pub(crate) ports: BTreeMap<String, u16>,
}

impl State {
    fn new() -> Result<Self> {
        Ok(Self {
            secret_key: random::base64_key()?,
            admin_password: random::token(18)?,
            postgres_password: random::token(24)?,
            s3_access_key_id: random::token(15)?,
            s3_secret_access_key: random::token(30)?,
            postgres_home: None,
            ports: BTreeMap::new(),
        })
    }
}

/// Creates a folder with this mode, if it does not exist.
pub(crate) fn make_dir(path: &Path, mode: u32) -> Result<()> {
    match fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        outcome => outcome.with_context(|| format!("making {}", path.display())),
    }
}

/// Replaces a file atomically with JSON that only this account can read.
pub(crate) fn write_private_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    write_private(path, &text)
}

/// Replaces a file atomically. Only this account can read it.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(bytes)?;
        fs::rename(&new, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}

/// Cargo sets the folder of the crate at run time. A binary that was started by hand searches
/// upwards.
fn checkout_root() -> Result<PathBuf> {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = here.map_or_else(std::env::current_dir, Ok);
    let here = here.context("finding the current folder")?;
    let is_checkout = |folder: &&Path| {
        folder.join("dev/Cargo.toml").is_file() && folder.join("migrations").is_dir()
    };
    match here.ancestors().find(is_checkout) {
        Some(root) => Ok(root.to_owned()),
        None => bail!("{} is not inside a Plinth checkout", here.display()),
    }
}
