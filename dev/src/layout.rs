//! Where things lie: the checkout, its private .dev/ folder, and the few facts
//! kept there so that a second start looks like the first.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::random;

/// The folders of one stack: the checkout's own, or a temporary one.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
    pub(crate) dev: PathBuf,
    pub(crate) logs: PathBuf,
}

impl Layout {
    /// The layout of the checkout that this command was started for.
    pub(crate) fn of_checkout() -> Result<Self> {
        let root = checkout_root()?;
        let dev = root.join(".dev");
        let logs = dev.join("logs");
        Ok(Self { root, dev, logs })
    }

    /// The same checkout with its private data and its logs in other folders.
    pub(crate) fn with_data_in(&self, dev: PathBuf, logs: PathBuf) -> Self {
        Self {
            root: self.root.clone(),
            dev,
            logs,
        }
    }

    /// Makes .dev/ and its log folder. Passing through .dev/ is allowed to other
    /// accounts, because PostgreSQL may run under one; reading it is not.
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

    pub(crate) fn scratch_lock_file(&self) -> PathBuf {
        self.dev.join("scratch.lock")
    }

    pub(crate) fn lock_file(&self) -> PathBuf {
        self.dev.join("lock")
    }

    fn facts_file(&self) -> PathBuf {
        self.dev.join("facts.json")
    }

    /// What earlier starts decided, or fresh secrets when this is the first.
    pub(crate) fn facts(&self) -> Result<Facts> {
        let path = self.facts_file();
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} cannot be read: `cargo dev reset`", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Facts::fresh(),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    pub(crate) fn keep(&self, facts: &Facts) -> Result<()> {
        write_private_json(&self.facts_file(), facts)
    }
}

/// What must not change between two starts of the same checkout.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) secret_key: String,
    pub(crate) admin_password: String,
    pub(crate) postgres_password: String,
    pub(crate) s3_access_key_id: String,
    pub(crate) s3_secret_access_key: String,
    /// Where PostgreSQL's data is, once the folder has been chosen.
    pub(crate) postgres_home: Option<PathBuf>,
    /// The ports of the last start by service name.
    pub(crate) ports: BTreeMap<String, u16>,
}

impl Facts {
    fn fresh() -> Result<Self> {
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

/// Makes a folder with this mode; one that exists is left as it is.
pub(crate) fn make_dir(path: &Path, mode: u32) -> Result<()> {
    match fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error).with_context(|| format!("making {}", path.display())),
    }
}

/// Replaces a file in one step with JSON that only this account can read.
pub(crate) fn write_private_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    write_private(path, &text)
}

/// Replaces a file in one step; only this account can read it.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let fresh = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(bytes)?;
        fs::rename(&fresh, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}

/// Cargo names the dev crate's folder at run time; a binary started by hand
/// looks upwards from where it stands.
fn checkout_root() -> Result<PathBuf> {
    if let Some(crate_dir) = std::env::var_os("CARGO_MANIFEST_DIR")
        && let Some(root) = Path::new(&crate_dir).parent()
        && is_checkout(root)
    {
        return Ok(root.to_owned());
    }
    let here = std::env::current_dir().context("finding the current folder")?;
    match here.ancestors().find(|dir| is_checkout(dir)) {
        Some(root) => Ok(root.to_owned()),
        None => bail!("{} is not inside a Plinth checkout", here.display()),
    }
}

fn is_checkout(dir: &Path) -> bool {
    dir.join("dev/Cargo.toml").is_file() && dir.join("migrations").is_dir()
}
