//! The internal port: is the process alive, can it serve, what does it measure.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, join, join_all};
use poem::http::StatusCode;
use poem::web::{Data, Json};
use poem::{EndpointExt as _, IntoResponse, Route, get, handler};
use serde::Serialize;
use tokio::time::MissedTickBehavior;

use crate::server::{self, Plain, ServerLimits};
use crate::telemetry::metrics;

/// A dependency that does not answer within this time counts as failed. All of them together have no more.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long what makes nothing unready may hold up the answer.
const ASIDE_TIMEOUT: Duration = Duration::from_secs(1);

/// How often it is looked whether the process has to be restarted.
const LIVENESS_INTERVAL: Duration = Duration::from_secs(5);

const LIMITS: ServerLimits = ServerLimits {
    connections: 64,
    head: Duration::from_secs(5),
    idle: Duration::from_secs(75),
    stall: Duration::from_secs(15),
    drain: Duration::from_secs(1),
};

type Ask = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What has to answer before this process can serve, and what only a restart repairs.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: Vec<(&'static str, Ask)>,
    /// Run one after the other once all checks have passed: they depend on these.
    then: Vec<(&'static str, Ask)>,
    /// Asked for its answer alone: the process can serve without.
    asides: Vec<(&'static str, Aside)>,
    /// Each fails if nothing but a restart helps.
    vital: Vec<(&'static str, Ask)>,
    /// The vital checks that failed the last time.
    failed: Arc<Mutex<Vec<&'static str>>>,
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
    pub fn with<F, E>(
        mut self,
        name: &'static str,
        ask: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display,
    {
        self.checks.push((name, told(ask)));
        self
    }

    /// Adds a dependency that is asked only if all others answer.
    #[must_use]
    pub fn then<F, E>(
        mut self,
        name: &'static str,
        ask: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display,
    {
        self.then.push((name, told(ask)));
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
    pub fn asking<F, E>(
        mut self,
        name: &'static str,
        ask: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display,
    {
        self.asides.push((name, Aside::Asked(told(ask))));
        self
    }

    /// Adds a check that fails only if nothing but a restart helps. It runs in the background, and may take its time.
    #[must_use]
    pub fn vital<F, E>(
        mut self,
        name: &'static str,
        ask: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display,
    {
        self.vital.push((name, told(ask)));
        self
    }

    /// From now on this process is not ready: it is stopping.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    async fn report(&self) -> Report {
        let asides = join_all(self.asides.iter().map(|(name, aside)| async {
            let standing = match aside {
                Aside::Known(standing) => standing,
                Aside::Asked(ask) if answers(name, ask, ASIDE_TIMEOUT).await => "answers",
                Aside::Asked(_) => "does not answer",
            };
            (*name, standing)
        }));
        let (checks, asides) = join(self.run_checks(), asides).await;
        let status = match checks.iter().all(|check| check.ok) {
            _ if self.draining.load(Ordering::Relaxed) => "draining",
            true => "ready",
            false => "unready",
        };
        Report {
            status,
            checks,
            asides: asides.into_iter().collect(),
        }
    }

    /// Runs the checks, up to the first of the dependent ones that fails.
    async fn run_checks(&self) -> Vec<Check> {
        let end = Instant::now() + CHECK_TIMEOUT;
        let mut checks = join_all(self.checks.iter().map(|(name, ask)| run(name, ask, end))).await;
        for (name, ask) in &self.then {
            if checks.iter().any(|check| !check.ok) {
                break;
            }
            checks.push(run(name, ask, end).await);
        }
        checks
    }

    /// Looks again and again for what only a restart repairs.
    async fn watch_vital(self) {
        let mut interval = tokio::time::interval(LIVENESS_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let mut failed = Vec::new();
            for (name, ask) in &self.vital {
                if let Err(problem) = ask().await {
                    tracing::error!(check = name, problem, "the process has to be restarted");
                    failed.push(*name);
                }
            }
            *self.failed() = failed;
        }
    }

    fn failed(&self) -> MutexGuard<'_, Vec<&'static str>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
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

async fn run(name: &'static str, ask: &Ask, end: Instant) -> Check {
    Check {
        name,
        ok: answers(name, ask, end.saturating_duration_since(Instant::now())).await,
    }
}

async fn answers(name: &str, ask: &Ask, limit: Duration) -> bool {
    let problem = match tokio::time::timeout(limit, ask()).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => error,
        Err(_) => "no answer in time".to_owned(),
    };
    tracing::warn!(dependency = name, problem, "a dependency does not answer");
    false
}

#[handler]
fn healthz(Data(readiness): Data<&Readiness>) -> impl IntoResponse + use<> {
    let failed = readiness.failed().join(", ");
    if failed.is_empty() {
        "ok".to_owned().with_status(StatusCode::OK)
    } else {
        failed.with_status(StatusCode::SERVICE_UNAVAILABLE)
    }
}

#[handler]
async fn readyz(readiness: Data<&Readiness>) -> impl IntoResponse + use<> {
    let report = readiness.report().await;
    let status = if report.status == "ready" {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
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
        .data(readiness.clone());
    let _watch = AbortOnDrop(tokio::spawn(readiness.watch_vital()));
    let listener = server::listen(bind).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "serving the internal port");
    server::serve(listener, Plain, routes, LIMITS, stop).await;
    Ok(())
}

/// Ends a task with its owner.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
