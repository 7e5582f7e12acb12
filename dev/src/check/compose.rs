//! docker-compose.yml: the schema of the Compose specification, and that every
//! name that is used is also defined.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::tools::Tools;

const FILE: &str = "docker-compose.yml";

pub(super) async fn check(tools: &Tools<'_>) -> Result<String> {
    tools.needs(FILE)?;
    let args = ["--builtin-schema", "vendor.compose-spec", FILE];
    tools
        .linter("check-jsonschema", args.map(Into::into).to_vec())
        .await?;
    let documents = tools.yaml(&[PathBuf::from(FILE)]).await?;
    let document = documents
        .first()
        .and_then(|documents| documents.first())
        .context("it is empty")?;
    let unknown = unknown_names(document);
    ensure!(unknown.is_empty(), "{}", unknown.join("\n"));
    Ok(String::new())
}

/// What services use and nobody defines.
fn unknown_names(document: &Value) -> Vec<String> {
    let mut unknown = Vec::new();
    for (service, definition) in entries(&document["services"]) {
        for (field, section) in [
            ("depends_on", "services"),
            ("volumes", "volumes"),
            ("secrets", "secrets"),
            ("configs", "configs"),
            ("networks", "networks"),
        ] {
            for name in names(&definition[field]) {
                let defined = document[section].get(&name).is_some();
                let is_path = field == "volumes" && name.starts_with(['.', '/', '~', '$']);
                let implied = field == "networks" && name == "default";
                if !defined && !is_path && !implied {
                    unknown.push(format!(
                        "{service}: {field} names {name}, which is not in {section}"
                    ));
                }
            }
        }
    }
    unknown
}

/// The names in any of the forms that Compose allows: a mapping, a list of names,
/// or a list of mappings with a source.
fn names(value: &Value) -> Vec<String> {
    match value {
        Value::Object(map) => map.keys().cloned().collect(),
        Value::Array(list) => list
            .iter()
            .filter(|item| !matches!(item["type"].as_str(), Some("bind" | "tmpfs")))
            .filter_map(|item| item.as_str().or_else(|| item["source"].as_str()))
            .map(|name| name.split(':').next().unwrap_or(name).to_owned())
            .collect(),
        _ => Vec::new(),
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_that_nobody_defines_are_found() {
        let document = json!({
            "services": {
                "api": {
                    "depends_on": {"postgres": {"condition": "service_healthy"}, "redis": {}},
                    "volumes": ["data:/var/lib", "./conf:/etc/conf:ro", {"type": "volume", "source": "lost"}],
                    "secrets": ["key", {"source": "other", "target": "x"}],
                    "networks": ["default"],
                },
                "postgres": {},
            },
            "volumes": {"data": null},
            "secrets": {"key": {"file": "key"}},
        });
        assert_eq!(
            unknown_names(&document),
            [
                "api: depends_on names redis, which is not in services",
                "api: volumes names lost, which is not in volumes",
                "api: secrets names other, which is not in secrets",
            ]
        );
    }
}
