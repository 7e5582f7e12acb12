//! Waiting until the product is ready, or one of its processes ends.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::time::{Instant, sleep};

use super::manifest::Manifest;
use crate::process::Supervised;

const START_TIMEOUT: Duration = Duration::from_mins(1);

/// Waits for every API process and the worker.
pub(super) async fn wait(manifest: &Manifest, processes: &mut [Supervised]) -> Result<()> {
    let client = builder().build()?;
    for replica in &manifest.replicas {
        let url = format!("http://{}/readyz", replica.internal_bind);
        until_ok(&client, &url, manifest, processes).await?;
    }
    let url = format!("{}/readyz", manifest.worker_internal_url);
    until_ok(&client, &url, manifest, processes).await
}

/// Waits until a request passes through nginx with TLS.
pub(super) async fn wait_for_nginx(
    manifest: &Manifest,
    processes: &mut [Supervised],
) -> Result<()> {
    let url = format!("{}/openapi.json", manifest.api_url);
    until_ok(&client_for(manifest)?, &url, manifest, processes).await
}

/// Returns a client that trusts the certificate of this stack and uses no proxy.
pub(crate) fn client_for(manifest: &Manifest) -> Result<reqwest::Client> {
    let mut builder = builder();
    if let Some(ca) = &manifest.ca_file {
        let pem = std::fs::read(ca).with_context(|| format!("reading {}", ca.display()))?;
        builder = builder.tls_certs_only([reqwest::Certificate::from_pem(&pem)?]);
    }
    Ok(builder.build()?)
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30))
}

async fn until_ok(
    client: &reqwest::Client,
    url: &str,
    manifest: &Manifest,
    processes: &mut [Supervised],
) -> Result<()> {
    let end = Instant::now() + START_TIMEOUT;
    loop {
        let answer = match client.get(url).send().await {
            Ok(response) if response.status().is_success() => return Ok(()),
            Ok(response) => response.text().await.unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        for process in &mut *processes {
            if let Some(status) = process.has_ended() {
                let (name, logs) = (&process.name, manifest.logs.display());
                bail!("{name} ended with {status} before it was ready; see {logs}/{name}.log");
            }
        }
        if Instant::now() >= end {
            bail!("{url} is not ready after {START_TIMEOUT:?}: {answer}");
        }
        sleep(Duration::from_millis(20)).await;
    }
}
