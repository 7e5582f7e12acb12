//! docs/security/asvs.md: a row for each requirement of OWASP ASVS 5.0.0, and behind every claim a
//! test that exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::source_files;

const FILE: &str = "docs/security/asvs.md";

/// The requirements of levels 1 and 2 without the chapters on an OAuth server (V10) and on WebRTC
/// (V17).
const REQUIREMENTS: usize = 217;

/// The chapters on authentication, sessions, authorization and tokens, which leave nothing to a
/// later version or to the operator.
const COMPLETE: [&str; 4] = ["V6.", "V7.", "V8.", "V9."];

pub(super) fn check(root: &Path) -> Result<String> {
    let text = fs::read_to_string(root.join(FILE)).with_context(|| format!("reading {FILE}"))?;
    let faults = faults(&text, &tests_below(root)?);
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    let rows = rows(&text).count();
    ensure!(rows == REQUIREMENTS, "{rows} rows, expected {REQUIREMENTS}");
    Ok(format!("{rows} requirements"))
}

/// Returns the cells of each row: `| id | subject | status | proof or reason |`.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .filter(|line| line.starts_with("| V"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

fn faults(text: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let (mut faults, mut ids) = (Vec::new(), BTreeSet::new());
    for row in rows(text) {
        let [id, _, status, proof] = row[..] else {
            faults.push(format!("{}: expected four cells", row[0]));
            continue;
        };
        if !ids.insert(id) {
            faults.push(format!("{id} has two rows"));
        }
        // In this column, backticks are for the names of tests and nothing else.
        let named: Vec<_> = proof.split('`').skip(1).step_by(2).collect();
        let name = |path: &str| path.rsplit("::").next().unwrap_or_default().to_owned();
        for test in named.iter().filter(|path| !tests.contains(&name(path))) {
            faults.push(format!("{id} names {test}, which is no test"));
        }
        let is_complete = COMPLETE.iter().any(|chapter| id.starts_with(chapter));
        let is_proven = !named.is_empty() || (!is_complete && proof.contains("cargo dev check"));
        let fault = match status {
            "met" | "partly" if !is_proven => "names no proof",
            "met" | "partly" | "not applicable" if !proof.is_empty() => continue,
            "operator" if !is_complete && proof.contains(".md") => continue,
            other if !is_complete && is_postponed(other) && !proof.is_empty() => continue,
            _ => "has a status without its reason",
        };
        faults.push(format!("{id} {fault}"));
    }
    faults
}

fn is_postponed(status: &str) -> bool {
    status == "later" || status.starts_with("issue ")
}

/// Returns the names of the functions with a test attribute below a folder.
fn tests_below(folder: &Path) -> Result<BTreeSet<String>> {
    let mut tests = BTreeSet::new();
    for path in source_files::rust_below(folder)? {
        let text = fs::read_to_string(&path)?;
        let after_attribute = text.split("#[test]").skip(1);
        let after_attribute = after_attribute.chain(text.split("#[tokio::test").skip(1));
        let names = after_attribute.filter_map(|text| text.split_once("fn ")?.1.split('(').next());
        tests.extend(names.map(str::to_owned));
    }
    Ok(tests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_known_status_and_a_proof_that_exists() {
        let tests = BTreeSet::from(["a_session_ends".to_owned()]);
        for row in [
            "| V7.1.1 | x | met | `a_session_ends` |",
            "| V7.1.1 | x | partly | `sessions::a_session_ends`; not on Sundays |",
            "| V6.8.3 | x | not applicable | SAML is not used |",
            "| V1.1.1 | x | met | cargo dev check (clippy) |",
            "| V12.1.1 | x | operator | [deployment](deployment.md), TLS |",
        ] {
            assert_eq!(faults(row, &tests), [""; 0], "{row}");
        }
        for row in [
            "| V7.1.1 | x | done | `a_session_ends` |",
            "| V7.1.1 | x | met | `a_dream` |",
            "| V7.1.1 | x | met | cargo dev check (clippy) |",
            "| V1.1.1 | x | partly | well known |",
            "| V7.1.1 | x | operator | deployment.md |",
            "| V12.1.1 | x | operator | TLS |",
            "| V1.1.1 | x | not applicable | |",
            "| V1.1.1 | x | met |",
        ] {
            assert_eq!(faults(row, &tests).len(), 1, "{row}");
        }
    }

    #[test]
    fn tests_are_found_below_their_attributes() {
        let tests = tests_below(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(tests.contains("tests_are_found_below_their_attributes"));
        assert!(!tests.contains("tests_below"));
    }
}
