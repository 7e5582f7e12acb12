//! The files of the checkout.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Folders with files that a build or an installer wrote.
const SKIPPED_FOLDERS: [&str; 2] = ["target", "node_modules"];

/// Returns all files below a folder, except those in hidden folders and in those of builds. Links
/// to folders are not followed.
pub(crate) fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if !entry.file_type()?.is_dir() {
                files.push(entry.path());
            } else if !name.starts_with('.') && !SKIPPED_FOLDERS.contains(&&*name) {
                folders.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Returns the Rust sources below a folder.
pub(crate) fn rust_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = below(folder)?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_builds_and_hidden_folders_are_left_out() {
        let root = tempfile::tempdir().expect("a folder");
        for name in [
            "a/b.rs",
            "a/c.md",
            "target/d.rs",
            "a/.git/e.rs",
            "node_modules/f.rs",
        ] {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("creates");
            fs::write(path, "").expect("writes");
        }
        let relative = |files: Vec<PathBuf>| {
            let names = files.into_iter().map(|path| {
                let path = path.strip_prefix(root.path()).expect("below the root");
                path.to_string_lossy().into_owned()
            });
            names.collect::<Vec<_>>()
        };
        assert_eq!(
            relative(below(root.path()).expect("reads")),
            ["a/b.rs", "a/c.md"]
        );
        assert_eq!(
            relative(rust_below(root.path()).expect("reads")),
            ["a/b.rs"]
        );
    }
}
