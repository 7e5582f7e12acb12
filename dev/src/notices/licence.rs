//! Which licence files of a package a binary distribution has to reproduce.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Folders whose contents are not compiled into the package.
const NOT_LINKED: [&str; 5] = ["tests", "test", "benches", "examples", "fuzz"];
const NAMES: [&str; 7] = [
    "LICENSE",
    "LICENCE",
    "COPYING",
    "COPYRIGHT",
    "NOTICE",
    "UNLICENSE",
    "README.IJG",
];
/// Extensions of programs that are named like a licence.
const PROGRAMS: [&str; 6] = ["rs", "c", "h", "go", "py", "sh"];

/// Whether the expression offers Apache-2.0 as an alternative. Plinth then uses the package under
/// Apache-2.0, whose text is in LICENSE. `/` is the old form of `OR` in manifests.
pub(super) fn offers_apache(expression: &str) -> bool {
    let mut alternatives = expression.split(" OR ").flat_map(|part| part.split('/'));
    !expression.contains(" AND ") && alternatives.any(|licence| licence.trim() == "Apache-2.0")
}

/// Returns the files to reproduce from the package in `folder`, sorted by path.
///
/// A package under Apache-2.0 needs its notices (section 4(d)) and the licences of what it vendors.
/// Every other package needs all of its licence files.
pub(super) fn files(folder: &Path, under_apache: bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(folder, &mut found)?;
    if under_apache {
        found.retain(|path| path.parent() != Some(folder) || is_notice(path));
    }
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name();
        if entry.file_type()?.is_dir() {
            if !NOT_LINKED.iter().any(|skipped| name == *skipped) {
                collect(&path, found)?;
            }
        } else if is_licence(&path) {
            found.push(path);
        }
    }
    Ok(())
}

fn is_licence(path: &Path) -> bool {
    let is_program = path
        .extension()
        .is_some_and(|extension| PROGRAMS.iter().any(|known| extension == *known));
    !is_program
        && NAMES
            .iter()
            .any(|prefix| upper_name(path).starts_with(prefix))
}

fn is_notice(path: &Path) -> bool {
    let name = upper_name(path);
    name.starts_with("NOTICE") || name.starts_with("COPYRIGHT")
}

fn upper_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apache_is_chosen_only_where_it_is_an_alternative() {
        for offered in [
            "Apache-2.0",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "Apache-2.0 / MIT",
        ] {
            assert!(offers_apache(offered), "{offered}");
        }
        for other in [
            "MIT",
            "Apache-2.0 WITH LLVM-exception",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
        ] {
            assert!(!offers_apache(other), "{other}");
        }
    }

    #[test]
    fn apache_needs_notices_and_vendored_licences_and_other_licences_every_file() {
        let package = tempfile::tempdir().unwrap();
        let root = package.path();
        fs::create_dir_all(root.join("vendor")).unwrap();
        fs::create_dir_all(root.join("tests")).unwrap();
        for name in [
            "LICENSE-MIT",
            "NOTICE",
            "license.rs",
            "vendor/COPYING",
            "tests/LICENSE",
            "Cargo.toml",
        ] {
            fs::write(root.join(name), name).unwrap();
        }
        let names = |under_apache| {
            let files = files(root, under_apache).unwrap();
            files
                .iter()
                .map(|path| path.strip_prefix(root).unwrap().display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(true), ["NOTICE", "vendor/COPYING"]);
        assert_eq!(names(false), ["LICENSE-MIT", "NOTICE", "vendor/COPYING"]);
    }
}
