//! Committed files that a program writes: each must be what it would write now.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::layout::Layout;
use crate::notices;
use crate::stack::one_shot;

pub(super) async fn openapi(layout: &Layout, binaries: &Result<PathBuf>) -> Result<String> {
    same(layout, binaries, "openapi.json", &["openapi"]).await
}

pub(super) async fn configuration(layout: &Layout, binaries: &Result<PathBuf>) -> Result<String> {
    same(
        layout,
        binaries,
        "docs/reference/settings.md",
        &["config", "--reference"],
    )
    .await
}

pub(super) async fn audit_actions(layout: &Layout, binaries: &Result<PathBuf>) -> Result<String> {
    same(
        layout,
        binaries,
        "docs/reference/audit.md",
        &["audit", "--reference"],
    )
    .await
}

/// Compares THIRD-PARTY-NOTICES with the licences of the packages in Cargo.lock.
pub(super) async fn notices(layout: &Layout) -> Result<String> {
    let written = notices::generate(layout).await?;
    let committed = fs::read_to_string(layout.root.join(notices::FILE)).unwrap_or_default();
    match first_difference(&committed, &written) {
        None => Ok(String::new()),
        Some(difference) => bail!("`cargo dev notices` brings it up to date\n{difference}"),
    }
}

pub(super) async fn error_codes(layout: &Layout, binaries: &Result<PathBuf>) -> Result<String> {
    same(
        layout,
        binaries,
        "docs/reference/errors.md",
        &["errors", "--reference"],
    )
    .await
}

async fn same(
    layout: &Layout,
    binaries: &Result<PathBuf>,
    name: &str,
    args: &[&str],
) -> Result<String> {
    let binaries = binaries.as_deref().map_err(|error| anyhow!("{error:#}"))?;
    let written = one_shot(&binaries.join("plinth-api"), args, &[], &layout.root, None).await?;
    let written =
        String::from_utf8(written).context("plinth-api wrote something else than UTF-8")?;
    let committed = fs::read_to_string(layout.root.join(name)).unwrap_or_default();
    match first_difference(&committed, &written) {
        None => Ok(String::new()),
        Some(difference) => bail!(
            "`cargo run --bin plinth-api -- {} > {}` brings it up to date\n{difference}",
            args.join(" "),
            Path::new(name).display(),
        ),
    }
}

/// The first line in which two texts differ, with both versions of it.
fn first_difference(committed: &str, written: &str) -> Option<String> {
    if committed == written {
        return None;
    }
    let (mut old, mut new) = (committed.lines(), written.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (old.next(), new.next()) {
            (None, None) => return Some("only the ends of lines differ".to_owned()),
            (old, new) if old == new => {}
            (old, new) => {
                let (old, new) = (old.unwrap_or("(nothing)"), new.unwrap_or("(nothing)"));
                return Some(format!("line {number}\n- {old}\n+ {new}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_shown_with_its_line() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(
            first_difference("a\nb\n", "a\nc\n").unwrap(),
            "line 2\n- b\n+ c"
        );
        assert_eq!(
            first_difference("a\n", "a\nb\n").unwrap(),
            "line 2\n- (nothing)\n+ b"
        );
        assert_eq!(
            first_difference("a", "a\n").unwrap(),
            "only the ends of lines differ"
        );
    }
}
