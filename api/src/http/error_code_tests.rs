//! Error codes: each is used, none is written as text, and nginx responds with documented ones.

use std::fs;
use std::path::Path;

use plinth_domain::error_code::ErrorCode;
use poem_openapi::types::{ParseFromJSON as _, ToJSON as _};
use serde_json::Value;

/// Appends the text of every Rust file below a folder.
fn read_sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read_sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *text += &fs::read_to_string(path).expect("a source");
        }
    }
}

fn sources() -> String {
    let api = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    read_sources(&api.join("src"), &mut text);
    read_sources(&api.join("../shared/core/src"), &mut text);
    text
}

/// Returns the problems that the shipped nginx configuration responds with.
fn problems_of_nginx() -> Vec<Value> {
    let configuration = include_str!("../../../deploy/nginx.conf");
    let bodies = configuration
        .split('\'')
        .filter(|text| text.starts_with("{\"type\":"));
    bodies
        .map(|body| {
            serde_json::from_str(&body.replace("$status", "400")).expect("a problem is JSON")
        })
        .collect()
}

/// Returns whether a list of refusals continues after this text: `(409, `. An operation that
/// declares a code does not yet respond with it.
fn is_declaration(before: &str) -> bool {
    before
        .strip_suffix(", ")
        .is_some_and(|before| before.ends_with(|last: char| last.is_ascii_digit()))
}

#[test]
fn every_code_is_used() {
    let sources = sources();
    let names: Vec<_> = sources
        .match_indices("ErrorCode::")
        .filter(|(at, _)| !is_declaration(&sources[..*at]))
        .filter_map(|(at, prefix)| {
            let rest = &sources[at + prefix.len()..];
            rest.split(|next: char| !next.is_alphanumeric()).next()
        })
        .collect();
    let of_nginx = problems_of_nginx();
    for code in ErrorCode::ALL {
        let is_used = names.contains(&format!("{code:?}").as_str())
            || of_nginx
                .iter()
                .any(|problem| problem["code"] == code.as_str());
        assert!(is_used, "nothing responds with {code:?}");
    }
}

#[test]
fn the_codes_of_nginx_are_documented() {
    let problems = problems_of_nginx();
    assert_eq!(problems.len(), 3);
    for problem in problems {
        let code = ErrorCode::parse_from_json(Some(problem["code"].clone())).expect("a code");
        assert_eq!(problem["title"], code.title());
        assert_eq!(problem["type"], format!("/errors#{code}"));
        assert!(
            code.statuses()
                .iter()
                .any(|status| problem["status"] == *status),
            "{problem}"
        );
    }
}

#[test]
fn no_code_is_written_as_text() {
    let sources = sources();
    let literal = sources.lines().find(|line| line.contains("code: \u{22}"));
    assert_eq!(literal, None);
}

#[test]
fn a_code_is_read_as_it_is_written() {
    for code in ErrorCode::ALL.iter().copied() {
        assert_eq!(ErrorCode::parse_from_json(code.to_json()).ok(), Some(code));
    }
    assert!(ErrorCode::parse_from_json(Some("no_such_code".into())).is_err());
}
