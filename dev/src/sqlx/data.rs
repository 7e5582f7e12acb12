//! The folder .sqlx: one file a query, named after the hash of its text.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result};

/// How the committed data differs from the fresh, one line a query.
pub(super) fn compare(fresh: &Path, committed: &Path) -> Result<Vec<String>> {
    let (fresh, committed) = (read(fresh)?, read(committed)?);
    let names: BTreeSet<_> = fresh.keys().chain(committed.keys()).collect();
    Ok(names
        .into_iter()
        .filter_map(|name| match (fresh.get(name), committed.get(name)) {
            (Some(fresh), None) => Some(line("missing", name, fresh)),
            (None, Some(committed)) => Some(line("stale", name, committed)),
            (Some(fresh), Some(committed)) if fresh != committed => {
                Some(line("changed", name, fresh))
            }
            _ => None,
        })
        .collect())
}

/// Makes the committed data equal to the fresh.
pub(super) fn replace(fresh: &Path, committed: &Path) -> Result<()> {
    fs::create_dir_all(committed).context("making .sqlx")?;
    let fresh = read(fresh)?;
    for name in read(committed)?
        .keys()
        .filter(|name| !fresh.contains_key(*name))
    {
        fs::remove_file(committed.join(name)).with_context(|| format!("removing {name}"))?;
    }
    for (name, bytes) in fresh {
        fs::write(committed.join(&name), bytes).with_context(|| format!("writing {name}"))?;
    }
    Ok(())
}

fn read(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error).with_context(|| format!("reading {}", folder.display())),
    };
    let mut files = BTreeMap::new();
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("query-")
            && path
                .extension()
                .is_some_and(|extension| extension == "json")
        {
            files.insert(name, fs::read(path)?);
        }
    }
    Ok(files)
}

/// `missing query-0123….json: SELECT id FROM …`
fn line(what: &str, name: &str, bytes: &[u8]) -> String {
    let data: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    let query = data
        .get("query")
        .and_then(|query| query.as_str())
        .unwrap_or_default();
    let words: Vec<_> = query.split_whitespace().collect();
    let short: String = words.join(" ").chars().take(80).collect();
    format!("{what} {}: {short}", name.get(..18).unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named_and_then_gone() {
        let dir = tempfile::tempdir().unwrap();
        let (fresh, committed) = (dir.path().join("fresh"), dir.path().join("committed"));
        fs::create_dir_all(&fresh).unwrap();
        fs::create_dir_all(&committed).unwrap();
        fs::write(fresh.join("query-1.json"), r#"{"query":"SELECT\n  1"}"#).unwrap();
        fs::write(fresh.join("query-2.json"), "{}").unwrap();
        fs::write(committed.join("query-2.json"), "{ }").unwrap();
        fs::write(committed.join("query-3.json"), "{}").unwrap();

        let found = compare(&fresh, &committed).unwrap();
        assert_eq!(
            found,
            [
                "missing query-1.json: SELECT 1",
                "changed query-2.json: ",
                "stale query-3.json: "
            ]
        );
        replace(&fresh, &committed).unwrap();
        assert!(compare(&fresh, &committed).unwrap().is_empty());
    }
}
