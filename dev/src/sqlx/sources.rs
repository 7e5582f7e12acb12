//! The sources with queries that are checked at compile time. Cargo compiles a
//! file again when it looks newer than the last build, so they are made to.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

/// The macros that ask the database, without their exclamation marks.
const MACROS: [&str; 6] = [
    "query!",
    "query_as!",
    "query_scalar!",
    "query_file!",
    "query_file_as!",
    "query_file_scalar!",
];

/// Folders that hold no source with queries; this crate only talks about them.
const SKIPPED: [&str; 3] = ["target", "node_modules", "dev"];

/// Files whose times are put back when this goes out of scope, so that what was
/// built before stays fresh.
#[derive(Debug)]
pub(super) struct Touched {
    files: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    path: PathBuf,
    before: SystemTime,
    touched: SystemTime,
}

impl Touched {
    /// Whether tests have queries of their own.
    pub(super) fn in_tests(&self) -> bool {
        self.files.iter().any(|file| {
            let in_folder = file
                .path
                .components()
                .any(|part| part.as_os_str() == "tests");
            let in_kit = file
                .path
                .components()
                .any(|part| part.as_os_str() == "testkit");
            in_folder
                || in_kit
                || fs::read_to_string(&file.path).is_ok_and(|text| asks_in_unit_test(&text))
        })
    }
}

impl Drop for Touched {
    fn drop(&mut self) {
        for file in &self.files {
            // A file that was edited meanwhile keeps its new time.
            let unchanged = modified(&file.path).is_ok_and(|now| now == file.touched);
            if unchanged && let Ok(opened) = File::options().append(true).open(&file.path) {
                let _ = opened.set_modified(file.before);
            }
        }
    }
}

/// Makes every source with queries look changed.
pub(super) fn touch(root: &Path) -> Result<Touched> {
    let mut paths = Vec::new();
    collect(root, &mut paths)?;
    let mut touched = Touched { files: Vec::new() };
    for path in paths {
        let before = modified(&path)?;
        utimensat(
            nix::fcntl::AT_FDCWD,
            &path,
            &TimeSpec::UTIME_OMIT,
            &TimeSpec::UTIME_NOW,
            UtimensatFlags::FollowSymlink,
        )
        .with_context(|| format!("touching {}", path.display()))?;
        let now = modified(&path)?;
        touched.files.push(Source {
            path,
            before,
            touched: now,
        });
    }
    Ok(touched)
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if !name.starts_with('.') && !SKIPPED.contains(&&*name) {
                collect(&path, found)?;
            }
        } else if name.ends_with(".rs") && fs::read_to_string(&path).is_ok_and(|text| asks(&text)) {
            found.push(path);
        }
    }
    Ok(())
}

fn asks(text: &str) -> bool {
    MACROS.iter().any(|name| text.contains(name))
}

fn asks_in_unit_test(text: &str) -> bool {
    text.split_once("#[cfg(test)]")
        .is_some_and(|(_, tests)| asks(tests))
}

fn modified(path: &Path) -> Result<SystemTime> {
    let metadata = fs::metadata(path).and_then(|metadata| metadata.modified());
    metadata.with_context(|| format!("reading the time of {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sources_with_queries_look_changed_and_only_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let with = dir.path().join("src/with.rs");
        let without = dir.path().join("src/without.rs");
        fs::create_dir_all(dir.path().join("src")).unwrap();
        fs::write(&with, "sqlx::query_as!(Row, \"SELECT 1\")").unwrap();
        fs::write(&without, "sqlx::query(\"SELECT 1\")").unwrap();
        let old = SystemTime::UNIX_EPOCH;
        for path in [&with, &without] {
            File::options()
                .append(true)
                .open(path)
                .unwrap()
                .set_modified(old)
                .unwrap();
        }

        let touched = touch(dir.path()).unwrap();
        assert!(modified(&with).unwrap() > old);
        assert_eq!(modified(&without).unwrap(), old);
        assert!(!touched.in_tests());
        drop(touched);
        assert_eq!(modified(&with).unwrap(), old);
    }
}
