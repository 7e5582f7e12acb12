//! The internal port: is the process alive, can it serve, what does it measure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, join, join_all};
use poem::http::StatusCode;
use poem::web::{Data, Json};
use poem::{EndpointExt as _, IntoResponse, Route, get, handler};
use serde::Serialize;

use crate::server::{self, Plain, ServerLimits};
use crate::telemetry::metrics;

/// A dependency that does not answer within this time counts as failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

const LIMITS: ServerLimits = ServerLimits {
    connections: 64,
    head: Duration::from_secs(5),
    idle: Duration::from_secs(75),
    stall: Duration::from_secs(15),
    drain: Duration::from_secs(1),
};

type Ask = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What has to answer before this process can serve.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: Vec<(&'static str, Ask)>,
    /// Asked for its answer alone: the process can serve without.
    asides: Vec<(&'static str, Aside)>,
    draining: Arc<AtomicBool>,
}

#[derive(Clone)]
enum Aside {
    Known(&'static str),
    Asked(Ask),
}

#[derive(Serialize)]
struct Report {
    status: &'static str,
    checks: Vec<Check>,
    /// What is to be known besides, by name.
    #[serde(flatten)]
    asides: BTreeMap<&'static str, &'static str>,
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
        self.checks.push((name, told(ask)));
        self
    }

    /// Adds something to be known that is no dependency.
    #[must_use]
    pub fn noting(mut self, name: &'static str, standing: &'static str) -> Self {
        self.asides.push((name, Aside::Known(standing)));
        self
    }

    /// Adds what is asked as a dependency is, without being one.
    #[must_use]
    pub fn asking<F, E>(mut self, name: &'static str, ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display,
    {
        self.asides.push((name, Aside::Asked(told(ask))));
        self
    }

    /// From now on this process is not ready: it is stopping.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    async fn report(&self) -> Report {
        let checks = join_all(
            self.checks.iter().map(|(name, ask)| async { Check { name, ok: answers(name, ask).await } }),
        );
        let asides = join_all(self.asides.iter().map(|(name, aside)| async {
            let standing = match aside {
                Aside::Known(standing) => standing,
                Aside::Asked(ask) if answers(name, ask).await => "answers",
                Aside::Asked(_) => "does not answer",
            };
            (*name, standing)
        }));
        let (checks, asides) = join(checks, asides).await;
        let status = match checks.iter().all(|check| check.ok) {
            _ if self.draining.load(Ordering::Relaxed) => "draining",
            true => "ready",
            false => "unready",
        };
        Report { status, checks, asides: asides.into_iter().collect() }
    }
}

fn told<F, E>(ask: impl Fn() -> F + Send + Sync + 'static) -> Ask
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: std::fmt::Display,
{
    Arc::new(move || {
        let asked = ask();
        Box::pin(async move { asked.await.map_err(|error| error.to_string()) })
    })
}

async fn answers(name: &str, ask: &Ask) -> bool {
    let problem = match tokio::time::timeout(CHECK_TIMEOUT, ask()).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => error,
        Err(_) => "no answer in time".to_owned(),
    };
    tracing::warn!(dependency = name, problem, "a dependency does not answer");
    false
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
    let listener = server::listen(bind).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "serving the internal port");
    server::serve(listener, Plain, routes, LIMITS, stop).await;
    Ok(())
}
