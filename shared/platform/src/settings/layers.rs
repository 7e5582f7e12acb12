//! Reads the layers of settings and collects every problem.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::{Settings, Value, Variable, env_name};

/// The variable that names the settings file.
const FILE_VARIABLE: &str = "PLINTH_CONFIG";

/// Every problem of the settings.
#[derive(Debug, thiserror::Error)]
#[error("invalid settings, {} problem(s):\n  - {}", .0.len(), .0.join("\n  - "))]
pub struct SettingsError(pub Vec<String>);

/// The settings given by the layers read so far, by the name of the environment variable.
#[derive(Debug, Default)]
pub struct Layers {
    given: BTreeMap<String, Given>,
    /// Variables that were given but cannot be read. Their problem is already in `problems`.
    unreadable: BTreeSet<String>,
    problems: Vec<String>,
}

#[derive(Debug)]
struct Given {
    text: String,
    source: String,
}

impl Settings {
    /// Reads the settings of this process.
    pub fn load() -> Result<Self, SettingsError> {
        Self::from_env(std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Some((name, value.to_string_lossy().into_owned()))
        }))
    }

    /// Reads the settings from the given environment and from the file that it names.
    pub fn from_env(
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let env: BTreeMap<String, String> = env
            .into_iter()
            .filter(|(name, _)| name.starts_with("PLINTH_"))
            .collect();
        let mut layers = Layers::default();
        if let Some(path) = env.get(FILE_VARIABLE) {
            layers.add_file(path);
        }
        layers.add_env(&env);
        layers.check_object_store();
        let settings = Self::read(&mut layers);
        match (settings, layers.problems) {
            (Some(settings), problems) if problems.is_empty() => Ok(settings),
            (_, problems) => Err(SettingsError(problems)),
        }
    }
}

impl Layers {
    fn add_file(&mut self, path: &str) {
        let table = match fs::read_to_string(path)
            .map_err(|e| e.to_string())
            .and_then(|text| {
                text.parse::<toml::Table>()
                    .map_err(|e| e.message().to_owned())
            }) {
            Ok(table) => table,
            Err(problem) => {
                self.problems
                    .push(format!("{FILE_VARIABLE}: failed to read {path}: {problem}"));
                return;
            }
        };
        let known: BTreeMap<String, String> = Settings::variables()
            .into_iter()
            .map(|v| (v.key, v.env))
            .collect();
        for (key, text) in flatten(&table) {
            match known.get(&key) {
                Some(env) => {
                    self.given.insert(
                        env.clone(),
                        Given {
                            text,
                            source: format!("{key} in {path}"),
                        },
                    );
                }
                None => self
                    .problems
                    .push(format!("{key} in {path}: unknown setting")),
            }
        }
    }

    fn add_env(&mut self, env: &BTreeMap<String, String>) {
        let variables = Settings::variables();
        let mut known: BTreeSet<String> = BTreeSet::from([FILE_VARIABLE.to_owned()]);
        for Variable {
            env: name, secret, ..
        } in variables
        {
            let file_name = format!("{name}_FILE");
            match (env.get(&name), env.get(&file_name).filter(|_| secret)) {
                (Some(_), Some(_)) => {
                    self.problems.push(format!(
                        "{name} and {file_name}: only one of them may be set"
                    ));
                    self.unreadable.insert(name.clone());
                }
                (Some(text), None) => {
                    self.given.insert(
                        name.clone(),
                        Given {
                            text: text.clone(),
                            source: name.clone(),
                        },
                    );
                }
                (None, Some(path)) => match fs::read_to_string(path) {
                    Ok(text) => {
                        let text = text.trim_end_matches(['\r', '\n']).to_owned();
                        self.given.insert(
                            name.clone(),
                            Given {
                                text,
                                source: file_name.clone(),
                            },
                        );
                    }
                    Err(error) => {
                        self.problems
                            .push(format!("{file_name}: failed to read {path}: {error}"));
                        self.unreadable.insert(name.clone());
                    }
                },
                (None, None) => {}
            }
            if secret {
                known.insert(file_name);
            }
            known.insert(name);
        }
        for name in env.keys().filter(|name| !known.contains(*name)) {
            let hint = nearest(name, &known)
                .map(|near| format!("; did you mean {near}?"))
                .unwrap_or_default();
            self.problems.push(format!("{name}: unknown setting{hint}"));
        }
    }

    /// Returns the text given for a variable, or `None` if the text is empty. Call before
    /// [`Self::take`].
    pub(super) fn text(&self, env: &str) -> Option<&str> {
        self.given
            .get(env)
            .map(|given| given.text.as_str())
            .filter(|text| !text.is_empty())
    }

    /// Returns whether a variable is set, even if its value cannot be read.
    pub(super) fn is_set(&self, env: &str) -> bool {
        self.unreadable.contains(env) || self.text(env).is_some()
    }

    pub(super) fn add_problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Takes one setting, or its default. Records a problem and returns `None` if the value is
    /// invalid or missing.
    pub(super) fn take<T: Value>(
        &mut self,
        group: &str,
        field: &str,
        default: Option<&str>,
    ) -> Option<T> {
        let env = env_name(group, field);
        if self.unreadable.contains(&env) {
            return None;
        }
        let (text, source) = match (self.given.remove(&env), default) {
            (Some(given), _) => (given.text, given.source),
            (None, Some(default)) => (default.to_owned(), format!("the default of {env}")),
            (None, None) => {
                self.problems.push(format!("{env}: must be set"));
                return None;
            }
        };
        match T::parse(&text) {
            Ok(value) => Some(value),
            Err(problem) => {
                let shown = if T::SECRET {
                    String::new()
                } else {
                    format!(" (got {text:?})")
                };
                self.problems.push(format!("{source}: {problem}{shown}"));
                None
            }
        }
    }
}

/// Returns every leaf of a table as `group.field` with its text. Lists become comma-separated.
fn flatten(table: &toml::Table) -> Vec<(String, String)> {
    fn text(value: &toml::Value) -> String {
        match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
            other => other.to_string(),
        }
    }
    table
        .iter()
        .flat_map(|(key, value)| match value {
            toml::Value::Table(inner) => inner
                .iter()
                .map(|(field, value)| (format!("{key}.{field}"), text(value)))
                .collect(),
            leaf => vec![(key.clone(), text(leaf))],
        })
        .collect()
}

/// Returns the known name that shares the longest prefix plus suffix with the given one, if they
/// are similar enough.
fn nearest<'a>(name: &str, known: &'a BTreeSet<String>) -> Option<&'a str> {
    let shared = |a: &mut dyn Iterator<Item = (char, char)>| a.take_while(|(x, y)| x == y).count();
    known
        .iter()
        .map(|candidate| {
            let score = shared(&mut name.chars().zip(candidate.chars()))
                + shared(&mut name.chars().rev().zip(candidate.chars().rev()));
            (score, candidate)
        })
        .max()
        .filter(|(score, candidate)| *score + 3 >= candidate.len())
        .map(|(_, candidate)| candidate.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(extra: &[(&str, &str)]) -> Vec<(String, String)> {
        let base = [
            (
                "PLINTH_SECRET_KEY",
                "aHVudGVyMSBodW50ZXIxIGh1bnRlcjEgaHVudGVyMSE=",
            ),
            ("PLINTH_DATABASE_URL", "postgres://u:hunter2@h/d"),
            ("PLINTH_REDIS_URL", "redis://h"),
            ("PLINTH_S3_ACCESS_KEY_ID", "id"),
            ("PLINTH_S3_SECRET_ACCESS_KEY", "hunter3"),
            ("PLINTH_SMTP_URL", "smtp://h:25"),
        ];
        base.iter()
            .chain(extra)
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn every_default_parses_and_every_secret_is_redacted() {
        let settings = Settings::from_env(env(&[])).expect("the required ones are enough");
        let shown = format!("{:?} {settings:?}", settings.effective());
        assert!(!shown.contains("hunter"), "{shown}");
        assert!(shown.contains("[redacted]"));
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let mut given = env(&[
            ("PLINTH_API_BIND", "nowhere"),
            ("PLINTH_API_REQUEST_TIMEOUT", "soon"),
            ("PLINTH_API_BNID", "127.0.0.1:1"),
            ("PLINTH_WORKER_QUEUES", "email,parcels"),
        ]);
        given.retain(|(name, _)| name != "PLINTH_SMTP_URL");
        let SettingsError(problems) = Settings::from_env(given).expect_err("five problems");
        assert_eq!(problems.len(), 5, "{problems:?}");
        let all = problems.join("\n");
        for part in [
            "PLINTH_API_BIND: ",
            "PLINTH_API_REQUEST_TIMEOUT",
            "PLINTH_SMTP_URL: must be set",
            "parcels",
            "PLINTH_API_BNID: unknown setting; did you mean PLINTH_API_BIND?",
        ] {
            assert!(all.contains(part), "{part} is missing in {all}");
        }
    }

    #[test]
    fn half_an_access_key_and_an_unused_kms_key_are_problems() {
        let mut given = env(&[
            ("PLINTH_S3_KMS_KEY_ID", "alias/plinth"),
            ("PLINTH_S3_ENCRYPTION", "AES256"),
        ]);
        given.retain(|(name, _)| name != "PLINTH_S3_SECRET_ACCESS_KEY");
        let SettingsError(problems) = Settings::from_env(given).expect_err("two problems");
        assert_eq!(
            problems,
            [
                "PLINTH_S3_SECRET_ACCESS_KEY: must be set together with PLINTH_S3_ACCESS_KEY_ID",
                "PLINTH_S3_KMS_KEY_ID: requires PLINTH_S3_ENCRYPTION=aws:kms",
            ]
        );
        let emptied = [
            ("PLINTH_S3_ACCESS_KEY_ID", ""),
            ("PLINTH_S3_SECRET_ACCESS_KEY", ""),
        ];
        let settings =
            Settings::from_env(env(&emptied)).expect("no key at all is the default chain");
        assert!(settings.s3.access_key_id.is_none() && settings.s3.secret_access_key.is_none());
    }

    #[test]
    fn a_broken_secret_is_not_repeated_in_the_problem() {
        let SettingsError(problems) =
            Settings::from_env(env(&[("PLINTH_SECRET_KEY", "")])).expect_err("empty secret");
        assert_eq!(problems, ["PLINTH_SECRET_KEY: must not be empty"]);
    }

    #[test]
    fn the_environment_overrides_the_file_and_secrets_come_from_mounted_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("plinth.toml");
        let secret = folder.path().join("secret");
        fs::write(
            &file,
            "[api]\nbind = \"127.0.0.1:1\"\ninternal_bind = \"127.0.0.1:2\"\n[limits]\nip_per_minute = 7\n",
        )
        .expect("written");
        fs::write(
            &secret,
            "ZnJvbSB0aGUgZmlsZSwgZnJvbSB0aGUgZmlsZSwgZnJvbQ==\n",
        )
        .expect("written");
        let mut given = env(&[("PLINTH_API_BIND", "127.0.0.1:9")]);
        given.retain(|(name, _)| name != "PLINTH_SECRET_KEY");
        given.push((FILE_VARIABLE.to_owned(), file.display().to_string()));
        given.push((
            "PLINTH_SECRET_KEY_FILE".to_owned(),
            secret.display().to_string(),
        ));
        let settings = Settings::from_env(given).expect("valid");
        assert_eq!(settings.api.bind.port(), 9);
        assert_eq!(settings.api.internal_bind.port(), 2);
        assert_eq!(settings.limits.ip_per_minute, 7);
        assert_eq!(
            settings.general.secret_key.expose(),
            "ZnJvbSB0aGUgZmlsZSwgZnJvbSB0aGUgZmlsZSwgZnJvbQ=="
        );
    }

    #[test]
    fn an_unknown_key_in_the_file_is_a_problem() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("plinth.toml");
        fs::write(&file, "[api]\nbinned = 1\n").expect("written");
        let SettingsError(problems) =
            Settings::from_env(env(&[(FILE_VARIABLE, file.to_str().expect("utf-8"))]))
                .expect_err("unknown key");
        assert!(problems[0].starts_with("api.binned in "), "{problems:?}");
    }
}
