//! One supervisor a checkout: a lock that the operating system gives back when
//! its holder dies, however it dies.

use std::fs::{File, TryLockError};

use anyhow::{Context as _, Result};

use crate::layout::Layout;

/// Held for as long as this value lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock; none when another supervisor has it.
    pub(crate) fn take(layout: &Layout) -> Result<Option<Self>> {
        let path = layout.lock_file();
        let file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).context("locking this checkout"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_holds_it_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let layout = Layout {
            root: path.clone(),
            dev: path.clone(),
            logs: path,
        };
        let first = Lock::take(&layout).unwrap();
        assert!(first.is_some());
        assert!(Lock::take(&layout).unwrap().is_none());
        drop(first);
        assert!(Lock::take(&layout).unwrap().is_some());
    }
}
