//! The manifests in k8s/: each against the schema of its kind, strictly, and each
//! kustomization against the files that lie beside it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::tools::Tools;

/// The lists of a kustomization whose entries are files or folders.
const LISTS: [&str; 5] = [
    "resources",
    "bases",
    "components",
    "patchesStrategicMerge",
    "crds",
];

pub(super) async fn check(tools: &Tools<'_>) -> Result<String> {
    tools.needs("k8s")?;
    let root = &tools.layout.root;
    let mut files = Vec::new();
    collect(&root.join("k8s"), &mut files)?;
    let (kustomizations, mut manifests): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| {
        file.file_name()
            .is_some_and(|name| name == "kustomization.yaml")
    });
    let documents = tools.yaml(&kustomizations).await?;
    let mut problems = Vec::new();
    for (file, documents) in kustomizations.iter().zip(&documents) {
        let folder = file.parent().context("a file lies in a folder")?;
        let document = documents.first().unwrap_or(&Value::Null);
        let named = named(document);
        let shown = file.strip_prefix(root).unwrap_or(file).display();
        problems.extend(
            named
                .iter()
                .filter(|name| !name.contains("://") && !folder.join(name).exists())
                .map(|name| format!("{shown} names {name}, which is not there")),
        );
        problems.extend(
            manifests
                .iter()
                .filter(|manifest| manifest.parent() == Some(folder))
                .filter_map(|manifest| manifest.file_name()?.to_str())
                // An example shows what an overlay or an operator has to add.
                .filter(|name| !name.ends_with(".example.yaml"))
                .filter(|name| {
                    !named
                        .iter()
                        .any(|named| named.trim_start_matches("./") == *name)
                })
                .map(|name| format!("{shown} does not name {name}")),
        );
        // A patch is a part of a manifest and no schema fits it.
        let patches: Vec<_> = patches(document)
            .into_iter()
            .map(|name| folder.join(name))
            .collect();
        manifests.retain(|manifest| !patches.contains(manifest));
    }
    ensure!(!kustomizations.is_empty(), "no kustomization.yaml in k8s/");
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    let count = manifests.len();
    let mut args: Vec<OsString> = ["--strict", "--quiet"].map(Into::into).to_vec();
    args.extend(manifests.into_iter().map(OsString::from));
    tools.linter("kubernetes-validate", args).await?;
    Ok(format!("{count} manifests"))
}

/// Every file and folder that a kustomization names.
fn named(document: &Value) -> Vec<String> {
    let plain = LISTS.iter().flat_map(|list| strings(&document[*list]));
    let mut named: Vec<_> = plain.map(str::to_owned).collect();
    named.extend(patches(document));
    for generator in ["configMapGenerator", "secretGenerator"] {
        for entry in document[generator].as_array().into_iter().flatten() {
            let files = strings(&entry["files"]).chain(strings(&entry["envs"]));
            // `key=file` names the file under another key.
            named.extend(files.map(|file| file.rsplit('=').next().unwrap_or(file).to_owned()));
        }
    }
    named
}

fn patches(document: &Value) -> Vec<String> {
    let patches = document["patches"].as_array().into_iter().flatten();
    let merged = strings(&document["patchesStrategicMerge"]);
    patches
        .filter_map(|patch| patch["path"].as_str())
        .chain(merged)
        .map(str::to_owned)
        .collect()
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_way_of_naming_a_file_is_read() {
        let document = json!({
            "resources": ["api.yaml", "../base"],
            "patches": [{"path": "more.yaml", "target": {"kind": "Deployment"}}, {"patch": "inline"}],
            "configMapGenerator": [{"name": "x", "files": ["nginx.conf", "key=file.txt"], "literals": ["A=b"]}],
        });
        assert_eq!(
            named(&document),
            ["api.yaml", "../base", "more.yaml", "nginx.conf", "file.txt"]
        );
        assert_eq!(patches(&document), ["more.yaml"]);
    }
}
