//! docs/security/asvs.md: a row for each requirement of the standard, a known word for
//! how it stands, and behind every claim a test that is there.

mod requirements;
mod sources;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result, ensure};

use self::sources::Tests;
use self::table::{Row, Status, named};
use crate::layout::Layout;

const FILE: &str = "docs/security/asvs.md";

/// What stands in a proof when no test but another check is one.
const OTHER_CHECK: &str = "cargo dev check";

/// A reason in fewer characters is none.
const SHORTEST_REASON: usize = 20;

pub(super) fn check(layout: &Layout) -> Result<String> {
    let text =
        fs::read_to_string(layout.root.join(FILE)).with_context(|| format!("reading {FILE}"))?;
    let tests = Tests::below(&layout.root)?;
    let (rows, broken) = table::rows(&text);
    let mut problems: Vec<_> = broken
        .iter()
        .map(|line| format!("{FILE}:{line}: a row is | id | subject | status | proof or reason |"))
        .collect();
    problems.extend(rows.iter().flat_map(|row| {
        complaints(row, &tests)
            .into_iter()
            .map(|told| format!("{FILE}:{}: {} {told}", row.line, row.id))
    }));
    problems.extend(miscounted(&rows));
    problems.extend(left_open(&text, &rows));
    problems.extend(dead_links(&text, |file| {
        layout.root.join(FILE).with_file_name(file).is_file()
    }));
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(summary(&rows))
}

/// What is wrong with a row by itself.
fn complaints(row: &Row<'_>, tests: &Tests) -> Vec<String> {
    let Some(status) = Status::parse(row.status) else {
        return vec![format!(
            "has the status {:?}, which is none of the documented ones",
            row.status
        )];
    };
    let mut complaints = Vec::new();
    let absent: Vec<_> = named(row.proof).filter(|name| !tests.has(name)).collect();
    if !absent.is_empty() {
        complaints.push(format!(
            "names tests that are nowhere: {}",
            absent.join(", ")
        ));
    } else if row.proof.contains("TODO") {
        complaints.push("says TODO, but every test that it names is there".to_owned());
    }
    let has_test = named(row.proof).next().is_some();
    let complete = requirements::is_complete(row.id);
    match status {
        Status::Met | Status::Partly if complete && !has_test => {
            complaints.push("names no test".to_owned());
        }
        Status::Met | Status::Partly if !has_test && !row.proof.contains(OTHER_CHECK) => {
            complaints.push(format!("names neither a test nor a part of {OTHER_CHECK}"));
        }
        Status::Issue | Status::Later | Status::Operator if complete => {
            complaints.push(format!(
                "cannot be \"{}\": V6 to V9 are complete",
                row.status
            ));
        }
        Status::Operator if !row.proof.contains(".md") => {
            complaints.push("does not say which page tells the operator what to do".to_owned());
        }
        Status::NotApplicable | Status::Issue | Status::Later
            if row.proof.chars().count() < SHORTEST_REASON =>
        {
            complaints.push(format!(
                "needs a reason of at least {SHORTEST_REASON} characters"
            ));
        }
        _ => {}
    }
    complaints
}

/// Requirements without a row, rows without a requirement, and second rows.
fn miscounted(rows: &[Row<'_>]) -> Vec<String> {
    let expected = requirements::expected();
    let known: BTreeSet<_> = expected.iter().map(String::as_str).collect();
    let mut seen = BTreeSet::new();
    let mut problems = Vec::new();
    for row in rows {
        if !known.contains(row.id) {
            problems.push(format!(
                "{FILE}:{}: {} is no requirement of levels 1 and 2",
                row.line, row.id
            ));
        } else if !seen.insert(row.id) {
            problems.push(format!("{FILE}:{}: {} has a row already", row.line, row.id));
        }
    }
    let missing: Vec<_> = expected
        .iter()
        .map(String::as_str)
        .filter(|id| !seen.contains(id))
        .collect();
    if !missing.is_empty() {
        problems.push(format!("{FILE}: no row for {}", missing.join(", ")));
    }
    problems
}

/// Lines outside of the rows that somebody still has to write.
fn left_open(text: &str, rows: &[Row<'_>]) -> Vec<String> {
    let lines = text
        .lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line));
    lines
        .filter(|(number, line)| {
            line.contains("TODO") && rows.iter().all(|row| row.line != *number)
        })
        .map(|(number, _)| format!("{FILE}:{number}: says TODO"))
        .collect()
}

/// Links to files, relative to the page, that are not there.
fn dead_links(text: &str, is_there: impl Fn(&str) -> bool) -> Vec<String> {
    let targets = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#']).next());
    let files: BTreeSet<_> = targets
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect();
    files
        .into_iter()
        .filter(|file| !is_there(file))
        .map(|file| format!("{FILE}: links to {file}, which is not there"))
        .collect()
}

fn summary(rows: &[Row<'_>]) -> String {
    let mut counts = BTreeMap::<Status, usize>::new();
    for status in rows.iter().filter_map(|row| Status::parse(row.status)) {
        *counts.entry(status).or_default() += 1;
    }
    let counts: Vec<_> = counts
        .into_iter()
        .map(|(status, count)| format!("{count} {}", status.as_str()))
        .collect();
    counts.join(", ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn complaints_of(row: &str) -> Vec<String> {
        let mut tests = Tests::default();
        tests.read(
            Path::new("api/tests/it/sessions.rs"),
            "#[test]\nfn a_session_ends() {}",
        );
        let (rows, broken) = table::rows(row);
        assert!(broken.is_empty(), "{row}");
        complaints(&rows[0], &tests)
    }

    #[test]
    fn a_row_that_keeps_the_rules_is_taken() {
        for row in [
            "| V7.1.1 | x | met | `a_session_ends` |",
            "| V7.1.1 | x | partly | `sessions::a_session_ends`; not on Sundays |",
            "| V6.8.3 | x | not applicable | SAML is not spoken by anything here |",
            "| V1.1.1 | x | met | cargo dev check (clippy) |",
            "| V5.4.3 | x | issue 6 | virus scans come with files |",
            "| V12.1.1 | x | operator | [deployment](deployment.md), TLS |",
        ] {
            assert_eq!(complaints_of(row), [""; 0], "{row}");
        }
    }

    #[test]
    fn a_row_that_breaks_a_rule_is_told_which() {
        for (row, expected) in [
            (
                "| V7.1.1 | x | done | `a_session_ends` |",
                "has the status \"done\"",
            ),
            (
                "| V7.1.1 | x | met | TODO `a_dream`, `a_session_ends` |",
                "are nowhere: a_dream",
            ),
            ("| V7.1.1 | x | met | TODO `a_session_ends` |", "says TODO"),
            ("| V7.1.1 | x | met | everybody knows |", "names no test"),
            (
                "| V7.1.1 | x | met | cargo dev check (clippy) |",
                "names no test",
            ),
            (
                "| V1.1.1 | x | partly | everybody knows |",
                "names neither a test nor",
            ),
            (
                "| V7.1.1 | x | later | when there is time for it |",
                "cannot be \"later\"",
            ),
            ("| V7.1.1 | x | not applicable | no |", "needs a reason"),
            ("| V5.4.3 | x | issue 6 | |", "needs a reason"),
            (
                "| V12.1.1 | x | operator | somebody will know |",
                "does not say which page",
            ),
        ] {
            let complaints = complaints_of(row);
            assert_eq!(complaints.len(), 1, "{row}: {complaints:?}");
            assert!(complaints[0].contains(expected), "{row}: {complaints:?}");
        }
    }

    #[test]
    fn every_requirement_has_one_row() {
        let all: Vec<_> = requirements::expected();
        let row = |id: &str| format!("| {id} | x | met | y |\n");
        let whole: String = all.iter().map(|id| row(id)).collect();
        assert_eq!(miscounted(&table::rows(&whole).0), [""; 0]);
        assert_eq!(summary(&table::rows(&whole).0), "217 met");
        let part: String = all[2..].iter().map(|id| row(id)).collect();
        let part = part + &row("V16.5.3") + &row("V10.1.1");
        let expected = [
            "docs/security/asvs.md:216: V16.5.3 has a row already",
            "docs/security/asvs.md:217: V10.1.1 is no requirement of levels 1 and 2",
            "docs/security/asvs.md: no row for V1.1.1, V1.1.2",
        ];
        assert_eq!(miscounted(&table::rows(&part).0), expected);
    }

    #[test]
    fn what_is_left_open_is_told_once() {
        let text = "one\nTODO: two\n| V7.1.1 | x | met | TODO `a_dream` |\n";
        assert_eq!(
            left_open(text, &table::rows(text).0),
            ["docs/security/asvs.md:2: says TODO"]
        );
    }

    #[test]
    fn a_link_to_what_is_not_there_is_told() {
        let text = "[a](there.md#x), [b](gone.md), [c](https://example.org/x), [d](#here)";
        let dead = dead_links(text, |file| file == "there.md");
        assert_eq!(
            dead,
            ["docs/security/asvs.md: links to gone.md, which is not there"]
        );
    }
}
