//! Committed files that a program writes: each must have its current output.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::layout::Layout;
use crate::notices;
use crate::stack::one_shot;

/// The files that plinth-api writes, with the commands.
pub(super) const FILES: [(&str, &[&str]); 4] = [
    ("openapi.json", &["openapi"]),
    ("docs/reference/settings.md", &["config", "--reference"]),
    ("docs/reference/audit.md", &["audit", "--reference"]),
    ("docs/reference/errors.md", &["errors", "--reference"]),
];

pub(super) async fn check(
    layout: &Layout,
    binaries: &Result<PathBuf>,
    file: &str,
    command: &[&str],
) -> Result<String> {
    let binaries = binaries.as_deref().map_err(|error| anyhow!("{error:#}"))?;
    let api = binaries.join("plinth-api");
    let output = one_shot(&api, command, &[], &layout.root, None).await?;
    let output = String::from_utf8(output).context("plinth-api printed invalid UTF-8")?;
    let command = command.join(" ");
    let update = format!("cargo run --bin plinth-api -- {command} > {file}");
    compare(layout, file, &output, &update)
}

pub(super) async fn notices(layout: &Layout) -> Result<String> {
    let text = notices::generate(layout).await?;
    compare(layout, notices::FILE, &text, "cargo dev notices")
}

fn compare(layout: &Layout, file: &str, new: &str, update: &str) -> Result<String> {
    let committed = fs::read_to_string(layout.root.join(file)).unwrap_or_default();
    match first_difference(&committed, new) {
        None => Ok(String::new()),
        Some(difference) => bail!("`{update}` updates it\n{difference}"),
    }
}

/// Returns the first line in which two texts differ, with both versions of it.
fn first_difference(old: &str, new: &str) -> Option<String> {
    let (mut old, mut new) = (old.split('\n'), new.split('\n'));
    for number in 1.. {
        match (old.next(), new.next()) {
            (None, None) => return None,
            (old, new) if old == new => {}
            (old, new) => {
                let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
                return Some(format!("line {number}\n- {old}\n+ {new}"));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_shown_with_its_line() {
        let difference = |old, new| first_difference(old, new).unwrap();
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(difference("a\nb\n", "a\nc\n"), "line 2\n- b\n+ c");
        assert_eq!(difference("a\n", "a\nb\n"), "line 2\n- \n+ b");
        assert_eq!(difference("a", "a\n"), "line 2\n- \n+ ");
    }
}
