//! What a running stack is: every address, credential and process, as it stands
//! in .dev/stack.json for tools and in the table for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::{ADMIN_EMAIL, Foundation, Options};
use crate::backing::BUCKET;
use crate::layout::{Layout, write_private_json};

/// One api process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Replica {
    pub(crate) name: String,
    pub(crate) bind: String,
    pub(crate) internal_bind: String,
}

/// The contents of stack.json. The first ten fields are a promise to tools.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) api_url: String,
    pub(crate) api_internal_url: String,
    pub(crate) worker_internal_url: String,
    pub(crate) mailbox_url: String,
    pub(crate) s3_endpoint: String,
    pub(crate) database_url: String,
    pub(crate) redis_url: String,
    pub(crate) admin_email: String,
    pub(crate) admin_password: String,
    pub(crate) smtp_url: String,
    pub(crate) s3_bucket: String,
    pub(crate) s3_access_key_id: String,
    pub(crate) s3_secret_access_key: String,
    /// Where clamd listens, when files are scanned.
    pub(crate) clamav_address: Option<String>,
    /// The certificate to trust when `api_url` is https.
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) worker_internal_bind: String,
    pub(crate) logs: PathBuf,
    pub(crate) supervisor_pid: u32,
    pub(crate) pids: BTreeMap<String, i32>,
}

impl Manifest {
    /// Decides every address of a stack whose services run; ports stay reserved.
    pub(super) fn begin(foundation: &mut Foundation, options: &Options) -> Result<Self> {
        let ports = &mut foundation.ports;
        let mut replicas = Vec::new();
        for number in 1..=options.replicas {
            let name = if options.replicas == 1 {
                "api".to_owned()
            } else {
                format!("api-{number}")
            };
            let port = ports.reserve(&name)?;
            let internal = ports.reserve(&format!("{name}-internal"))?;
            replicas.push(Replica {
                name,
                bind: format!("127.0.0.1:{port}"),
                internal_bind: format!("127.0.0.1:{internal}"),
            });
        }
        let first = replicas.first().context("a stack has at least one api")?;
        let api_internal_url = format!("http://{}", first.internal_bind);
        let (api_url, ca_file) = if options.replicas == 1 {
            (format!("http://{}", first.bind), None)
        } else {
            let port = ports.reserve("nginx")?;
            let ca = foundation.layout.dev.join("tls/ca.pem");
            (format!("https://localhost:{port}"), Some(ca))
        };
        let worker_internal_bind = format!("127.0.0.1:{}", ports.reserve("worker-internal")?);
        let facts = &foundation.facts;
        let addresses = foundation.backing.addresses.clone();
        Ok(Self {
            api_url,
            api_internal_url,
            worker_internal_url: format!("http://{worker_internal_bind}"),
            mailbox_url: addresses.mailbox_url,
            s3_endpoint: addresses.s3_endpoint,
            database_url: addresses.database_url,
            redis_url: addresses.redis_url,
            admin_email: ADMIN_EMAIL.to_owned(),
            admin_password: facts.admin_password.clone(),
            smtp_url: addresses.smtp_url,
            s3_bucket: BUCKET.to_owned(),
            s3_access_key_id: facts.s3_access_key_id.clone(),
            s3_secret_access_key: facts.s3_secret_access_key.clone(),
            clamav_address: None,
            ca_file,
            replicas,
            worker_internal_bind,
            logs: foundation.layout.logs.clone(),
            supervisor_pid: std::process::id(),
            pids: BTreeMap::new(),
        })
    }

    /// Where a page would come from: passkeys belong to a domain, never to an address.
    pub(crate) fn page_origin(&self) -> String {
        self.api_url.replace("//127.0.0.1:", "//localhost:")
    }

    pub(crate) fn write(&self, layout: &Layout) -> Result<()> {
        write_private_json(&layout.stack_file(), self)
    }

    /// The manifest of the stack that runs for this layout.
    pub(crate) fn read(layout: &Layout) -> Result<Self> {
        let path = layout.stack_file();
        let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))
    }

    /// The one table that a person gets to see.
    pub(crate) fn table(&self, layout: &Layout) -> String {
        let mut rows = vec![
            ("API", self.api_url.clone()),
            ("API document", format!("{}/openapi.json", self.api_url)),
        ];
        for replica in &self.replicas {
            let title = if self.replicas.len() == 1 {
                "API internal"
            } else {
                "API replica"
            };
            let direct = if self.replicas.len() == 1 {
                String::new()
            } else {
                format!("http://{}, internal ", replica.bind)
            };
            rows.push((
                title,
                format!(
                    "{direct}http://{} (/healthz /readyz /metrics)",
                    replica.internal_bind
                ),
            ));
        }
        rows.push((
            "Worker internal",
            format!("{} (/healthz /readyz /metrics)", self.worker_internal_url),
        ));
        rows.push(("Mailbox", self.mailbox_url.clone()));
        rows.push(("SMTP", self.smtp_url.clone()));
        rows.push((
            "S3",
            format!("{} (bucket {})", self.s3_endpoint, self.s3_bucket),
        ));
        rows.push(("PostgreSQL", self.database_url.clone()));
        rows.push(("Redis", self.redis_url.clone()));
        if let Some(address) = &self.clamav_address {
            rows.push(("clamd", format!("{address} (knows the EICAR test file)")));
        }
        rows.push((
            "Administrator",
            format!("{}  {}", self.admin_email, self.admin_password),
        ));
        if let Some(ca) = &self.ca_file {
            rows.push(("CA certificate", relative(layout, ca)));
        }
        rows.push(("Logs", format!("{}/*.log", relative(layout, &self.logs))));
        rows.push(("For tools", relative(layout, &layout.stack_file())));
        draw(&rows)
    }
}

fn relative(layout: &Layout, path: &std::path::Path) -> String {
    path.strip_prefix(&layout.root)
        .unwrap_or(path)
        .display()
        .to_string()
}

fn draw(rows: &[(&str, String)]) -> String {
    let left = rows.iter().map(|(title, _)| title.len()).max().unwrap_or(0);
    let right = rows
        .iter()
        .map(|(_, value)| value.chars().count())
        .max()
        .unwrap_or(0);
    let line = format!("+{}+{}+", "-".repeat(left + 2), "-".repeat(right + 2));
    let mut table = line.clone();
    for (title, value) in rows {
        let _ = write!(table, "\n| {title:<left$} | {value:<right$} |");
    }
    table.push('\n');
    table.push_str(&line);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_straight() {
        let table = draw(&[
            ("API", "http://127.0.0.1:1".to_owned()),
            ("Mailbox", "x".to_owned()),
        ]);
        let widths: Vec<_> = table.lines().map(str::len).collect();
        assert_eq!(widths.len(), 4);
        assert!(widths.iter().all(|width| *width == widths[0]), "{table}");
    }
}
