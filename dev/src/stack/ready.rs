//! Waiting until the product says that it is ready, or one of its processes ends.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::time::{Instant, sleep};

use super::manifest::Manifest;
use crate::process::Supervised;

const LIMIT: Duration = Duration::from_mins(1);

/// Waits for every api and the worker.
pub(crate) async fn wait(manifest: &Manifest, processes: &mut [Supervised]) -> Result<()> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        .build()?;
    for replica in &manifest.replicas {
        let url = format!("http://{}/readyz", replica.internal_bind);
        until_ok(&client, &replica.name, &url, &manifest.logs, processes).await?;
    }
    let url = format!("{}/readyz", manifest.worker_internal_url);
    until_ok(&client, "worker", &url, &manifest.logs, processes).await
}

/// Waits until a request comes through nginx, TLS and all.
pub(crate) async fn wait_for_balancer(
    manifest: &Manifest,
    processes: &mut [Supervised],
) -> Result<()> {
    let client = client_for(manifest)?;
    let url = format!("{}/openapi.json", manifest.api_url);
    until_ok(&client, "nginx", &url, &manifest.logs, processes).await
}

/// A client that trusts this stack's certificate and no proxy.
pub(crate) fn client_for(manifest: &Manifest) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30));
    if let Some(ca) = &manifest.ca_file {
        let pem = std::fs::read(ca).with_context(|| format!("reading {}", ca.display()))?;
        builder = builder.tls_certs_only([reqwest::Certificate::from_pem(&pem)?]);
    }
    Ok(builder.build()?)
}

async fn until_ok(
    client: &reqwest::Client,
    name: &str,
    url: &str,
    logs: &Path,
    processes: &mut [Supervised],
) -> Result<()> {
    let end = Instant::now() + LIMIT;
    loop {
        let answer = match client.get(url).send().await {
            Ok(response) if response.status().is_success() => return Ok(()),
            Ok(response) => {
                let status = response.status();
                format!("{status}: {}", response.text().await.unwrap_or_default())
            }
            Err(error) => error.to_string(),
        };
        for process in &mut *processes {
            if let Some(status) = process.has_ended() {
                bail!(
                    "{0} ended with {status} before it was ready; see {1}/{0}.log",
                    process.name,
                    logs.display(),
                );
            }
        }
        if Instant::now() >= end {
            bail!(
                "{name} is not ready after {} s; {url} says {answer}",
                LIMIT.as_secs()
            );
        }
        sleep(Duration::from_millis(20)).await;
    }
}
