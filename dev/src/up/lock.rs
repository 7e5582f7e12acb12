//! A lock on a folder under .dev/, which the kernel releases if its holder dies.

use std::fs::{File, TryLockError};

use anyhow::{Context as _, Result};

use crate::layout::Layout;

/// Held as long as this value lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock. Returns `None` if another process holds it.
    pub(crate) fn take(layout: &Layout) -> Result<Option<Self>> {
        let path = layout.dev.join("lock");
        let file = File::options().create(true).append(true).open(&path);
        let file = file.with_context(|| format!("opening {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).context("locking this checkout"),
        }
    }
}
