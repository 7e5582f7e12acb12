//! The internal port: is the process alive, can it serve, what does it measure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use poem::http::StatusCode;
use poem::listener::{Acceptor as _, Listener as _, TcpAcceptor, TcpListener};
use poem::web::{Data, Json};
use poem::{EndpointExt as _, IntoResponse, Route, Server, get, handler};
use serde::Serialize;

use crate::telemetry::metrics;

/// A dependency that does not answer within this time counts as failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

type Ask = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What has to answer before this process can serve.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: Vec<(&'static str, Ask)>,
    draining: Arc<AtomicBool>,
}

#[derive(Serialize)]
struct Report {
    status: &'static str,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
}

impl Readiness {
    /// Adds a dependency. The text of its error goes to the log, not to who asks.
    #[must_use]
    pub fn with<F, E>(mut self, name: &'static str, ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display,
    {
        self.checks.push((
            name,
            Arc::new(move || {
                let asked = ask();
                Box::pin(async move { asked.await.map_err(|error| error.to_string()) })
            }),
        ));
        self
    }

    /// From now on this process is not ready: it is stopping.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    async fn report(&self) -> Report {
        let checks = join_all(self.checks.iter().map(|(name, ask)| async move {
            let answer = tokio::time::timeout(CHECK_TIMEOUT, ask()).await;
            let problem = match answer {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error),
                Err(_) => Some("no answer in time".to_owned()),
            };
            if let Some(problem) = &problem {
                tracing::warn!(dependency = name, problem, "a dependency does not answer");
            }
            Check { name, ok: problem.is_none() }
        }))
        .await;
        let status = match checks.iter().all(|check| check.ok) {
            _ if self.draining.load(Ordering::Relaxed) => "draining",
            true => "ready",
            false => "unready",
        };
        Report { status, checks }
    }
}

#[handler]
fn healthz() -> &'static str {
    "ok"
}

#[handler]
async fn readyz(readiness: Data<&Readiness>) -> impl IntoResponse + use<> {
    let report = readiness.report().await;
    let status = if report.status == "ready" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Json(report).with_status(status)
}

#[handler]
fn metrics_page() -> impl IntoResponse {
    metrics::page().with_content_type("text/plain; version=0.0.4; charset=utf-8")
}

/// Takes a port; the error names it.
pub async fn listen(bind: std::net::SocketAddr) -> std::io::Result<TcpAcceptor> {
    TcpListener::bind(bind)
        .into_acceptor()
        .await
        .map_err(|error| std::io::Error::new(error.kind(), format!("{bind} cannot be listened on: {error}")))
}

/// Serves the internal port until `stop` ends.
pub async fn serve(
    bind: std::net::SocketAddr,
    readiness: Readiness,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let routes = Route::new()
        .at("/healthz", get(healthz))
        .at("/readyz", get(readyz))
        .at("/metrics", get(metrics_page))
        .data(readiness);
    let acceptor = listen(bind).await?;
    let address = acceptor.local_addr();
    tracing::info!(address = %address.first().map(ToString::to_string).unwrap_or_default(), "serving the internal port");
    Server::new_with_acceptor(acceptor)
        .run_with_graceful_shutdown(routes, stop, Some(Duration::from_secs(1)))
        .await
}
