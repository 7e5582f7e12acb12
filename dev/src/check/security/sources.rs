//! The tests that stand in the sources: functions below a test's attribute.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Folders in which nothing of ours is written by hand.
const SKIPPED: [&str; 2] = ["target", "node_modules"];

/// Every test by its name, with the files that have one of it.
#[derive(Debug, Default)]
pub(super) struct Tests(BTreeMap<String, Vec<PathBuf>>);

impl Tests {
    /// Looks through every Rust file below `root`.
    pub(super) fn below(root: &Path) -> Result<Self> {
        let mut tests = Self::default();
        tests.collect(root, Path::new(""))?;
        Ok(tests)
    }

    /// Whether there is such a test. Before the name may stand where it is, from the
    /// outside inwards: `api::sessions::a_name` is in a file sessions.rs, or a folder
    /// sessions, below a folder api.
    pub(super) fn has(&self, path: &str) -> bool {
        let mut places: Vec<_> = path.split("::").collect();
        let name = places.pop().unwrap_or_default();
        self.0
            .get(name)
            .is_some_and(|files| files.iter().any(|file| is_at(file, &places)))
    }

    fn collect(&mut self, root: &Path, folder: &Path) -> Result<()> {
        let here = root.join(folder);
        for entry in fs::read_dir(&here).with_context(|| format!("reading {}", here.display()))? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let path = folder.join(&*name);
            if entry.file_type()?.is_dir() {
                if !name.starts_with('.') && !SKIPPED.contains(&&*name) {
                    self.collect(root, &path)?;
                }
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(root.join(&path))
                    .with_context(|| format!("reading {}", path.display()))?;
                self.read(&path, &text);
            }
        }
        Ok(())
    }

    /// Takes the tests of one file. Those of a `proptest!` block bear the attribute too.
    pub(super) fn read(&mut self, file: &Path, text: &str) {
        let mut is_test = false;
        for line in text.lines().map(str::trim_start) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            } else if let Some(name) = function(line).filter(|_| is_test) {
                // Between the attribute and the function stand only more attributes.
                is_test = false;
                self.0
                    .entry(name.to_owned())
                    .or_default()
                    .push(file.to_owned());
            }
        }
    }
}

/// The name of the function that begins in this line.
fn function(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let begins = before
        .split_whitespace()
        .all(|word| word == "async" || word.starts_with("pub"));
    let name = after
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()?;
    (begins && !name.is_empty()).then_some(name)
}

/// Whether the places occur in this order among the parts of the path.
fn is_at(file: &Path, places: &[&str]) -> bool {
    let file = file.with_extension("");
    let mut parts = file
        .iter()
        .map(|part| part.to_string_lossy().replace('-', "_"));
    places.iter().all(|place| parts.any(|part| part == *place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_functions_below_a_tests_attribute_count() {
        let mut tests = Tests::default();
        let text = "fn helper() {}\n#[test]\nfn plain() {}\n    #[tokio::test(flavor = \"multi_thread\")]\n    \
                    #[expect(\n        clippy::too_many_lines,\n        reason = \"a table\"\n    )]\n    \
                    async fn long() {}\nfn after() {}\nproptest! {\n    #[test]\n    fn any(text in \".*\") {\n";
        tests.read(Path::new("shared/object-store/tests/it/parts.rs"), text);
        for there in [
            "plain",
            "long",
            "any",
            "shared::plain",
            "object_store::parts::long",
            "it::any",
        ] {
            assert!(tests.has(there), "{there}");
        }
        for absent in [
            "",
            "helper",
            "after",
            "worker::plain",
            "parts::it::plain",
            "plai",
            "parts::",
        ] {
            assert!(!tests.has(absent), "{absent}");
        }
    }

    #[test]
    fn the_tests_of_this_checkout_are_found() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the crate lies in the checkout");
        let tests = Tests::below(root).unwrap();
        assert!(tests.has("dev::check::security::sources::the_tests_of_this_checkout_are_found"));
        assert!(!tests.has("dev::check::security::sources::below"));
    }
}
