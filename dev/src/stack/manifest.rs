//! Every address, credential and process of a running stack: as JSON in .dev/stack.json, and as a
//! table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::{ADMIN_EMAIL, Options};
use crate::layout::{Layout, write_private_json};
use crate::services::{BUCKET, Services};

/// One API process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Replica {
    pub name: String,
    pub bind: String,
    pub internal_bind: String,
}

/// The contents of stack.json. Tools can rely on the first ten fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    pub api_url: String,
    pub(crate) api_internal_url: String,
    pub(crate) worker_internal_url: String,
    pub(crate) mailbox_url: String,
    pub(crate) s3_endpoint: String,
    pub(crate) database_url: String,
    pub redis_url: String,
    pub(crate) admin_email: String,
    pub(crate) admin_password: String,
    pub(crate) smtp_url: String,
    pub(crate) s3_bucket: String,
    pub(crate) s3_access_key_id: String,
    pub(crate) s3_secret_access_key: String,
    /// The address of clamd, if files are scanned.
    pub(crate) clamav_address: Option<String>,
    /// The certificate to trust if `api_url` is https.
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) worker_internal_bind: String,
    pub(crate) logs: PathBuf,
    pub(crate) supervisor_pid: u32,
    pub pids: BTreeMap<String, i32>,
}

impl Manifest {
    /// Chooses the addresses of a stack. Ports stay reserved.
    pub(super) fn new(services: &mut Services, options: &Options) -> Result<Self> {
        let mut replicas = Vec::new();
        for number in 1..=options.replicas {
            let name = match options.replicas {
                1 => "api".to_owned(),
                _ => format!("api-{number}"),
            };
            let port = services.reserve_port(&name)?;
            let internal = services.reserve_port(&format!("{name}-internal"))?;
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
            let port = services.reserve_port("nginx")?;
            let ca = services.layout.dev.join("tls/ca.pem");
            (format!("https://localhost:{port}"), Some(ca))
        };
        let worker_port = services.reserve_port("worker-internal")?;
        let worker_internal_bind = format!("127.0.0.1:{worker_port}");
        let (state, addresses) = (&services.state, services.addresses.clone());
        Ok(Self {
            api_url,
            api_internal_url,
            worker_internal_url: format!("http://{worker_internal_bind}"),
            mailbox_url: addresses.mailbox_url,
            s3_endpoint: addresses.s3_endpoint,
            database_url: addresses.database_url,
            redis_url: addresses.redis_url,
            admin_email: ADMIN_EMAIL.to_owned(),
            admin_password: state.admin_password.clone(),
            smtp_url: addresses.smtp_url,
            s3_bucket: BUCKET.to_owned(),
            s3_access_key_id: state.s3_access_key_id.clone(),
            s3_secret_access_key: state.s3_secret_access_key.clone(),
            clamav_address: None,
            ca_file,
            replicas,
            worker_internal_bind,
            logs: services.layout.logs.clone(),
            supervisor_pid: std::process::id(),
            pids: BTreeMap::new(),
        })
    }

    /// Returns the origin of a page of this stack. A passkey belongs to a domain, never to an IP
    /// address.
    pub(crate) fn page_origin(&self) -> String {
        self.api_url.replace("//127.0.0.1:", "//localhost:")
    }

    pub(crate) fn write(&self, layout: &Layout) -> Result<()> {
        write_private_json(&layout.stack_file(), self)
    }

    /// Reads the manifest of the stack that runs for this layout.
    pub(crate) fn read(layout: &Layout) -> Result<Self> {
        let path = layout.stack_file();
        let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))
    }

    /// Returns the table that `cargo dev` prints.
    pub(crate) fn table(&self, layout: &Layout) -> String {
        let probes = "(/healthz /readyz /metrics)";
        let mut rows = vec![
            ("API", self.api_url.clone()),
            ("API document", format!("{}/openapi.json", self.api_url)),
        ];
        if let [replica] = &self.replicas[..] {
            let internal = format!("http://{} {probes}", replica.internal_bind);
            rows.push(("API internal", internal));
        } else {
            rows.extend(self.replicas.iter().map(|replica| {
                let (bind, internal) = (&replica.bind, &replica.internal_bind);
                let value = format!("http://{bind}, internal http://{internal} {probes}");
                ("API replica", value)
            }));
        }
        rows.extend([
            (
                "Worker internal",
                format!("{} {probes}", self.worker_internal_url),
            ),
            ("Mailbox", self.mailbox_url.clone()),
            ("SMTP", self.smtp_url.clone()),
            (
                "S3",
                format!("{} (bucket {})", self.s3_endpoint, self.s3_bucket),
            ),
            ("PostgreSQL", self.database_url.clone()),
            ("Redis", self.redis_url.clone()),
        ]);
        if let Some(address) = &self.clamav_address {
            rows.push(("clamd", format!("{address} (knows the EICAR test file)")));
        }
        let admin = format!("{}  {}", self.admin_email, self.admin_password);
        rows.push(("Administrator", admin));
        if let Some(ca) = &self.ca_file {
            rows.push(("CA certificate", layout.shown(ca)));
        }
        rows.push(("Logs", format!("{}/*.log", layout.shown(&self.logs))));
        rows.push(("For tools", layout.shown(&layout.stack_file())));
        draw(&rows)
    }
}

fn draw(rows: &[(&str, String)]) -> String {
    let left = rows.iter().map(|(title, _)| title.len()).max().unwrap_or(0);
    let right = rows.iter().map(|(_, value)| value.len()).max().unwrap_or(0);
    let line = format!("+{}+{}+", "-".repeat(left + 2), "-".repeat(right + 2));
    let mut table = line.clone();
    for (title, value) in rows {
        let _ = write!(table, "\n| {title:<left$} | {value:<right$} |");
    }
    table + "\n" + &line
}
