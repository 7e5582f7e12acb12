//! The internal port: liveness, readiness and metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, join, join_all};
use http::StatusCode;
use poem::web::{Data, Json};
use poem::{EndpointExt as _, IntoResponse, Route, get, handler};
use serde::Serialize;
use tokio::time::MissedTickBehavior;

use crate::server::{self, Plain, ServerLimits};
use crate::telemetry::metrics;

/// Limit for all readiness checks together. A dependency that does not answer in time counts as
/// failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// Limit for each informational check, which does not affect readiness.
const INFORMATIONAL_CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// Interval between two runs of the liveness checks.
const LIVENESS_INTERVAL: Duration = Duration::from_secs(5);

const LIMITS: ServerLimits = ServerLimits {
    connections: 64,
    head: Duration::from_secs(5),
    idle: Duration::from_secs(75),
    stall: Duration::from_secs(15),
    drain: Duration::from_secs(1),
};

type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// The checks behind `/readyz` and `/healthz`: dependencies that this process needs to serve, and
/// conditions that only a restart repairs.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: Vec<(&'static str, Check)>,
    /// Run one after the other after all of `checks` have passed, because they depend on these.
    dependent: Vec<(&'static str, Check)>,
    /// Reported only: the process can serve without these.
    informational: Vec<(&'static str, Informational)>,
    /// Each fails only if nothing but a restart helps.
    liveness: Vec<(&'static str, Check)>,
    /// The liveness checks that failed in their last run.
    failed: Arc<Mutex<Vec<&'static str>>>,
    draining: Arc<AtomicBool>,
}

#[derive(Clone)]
enum Informational {
    Fixed(&'static str),
    Checked(Check),
}

#[derive(Serialize)]
struct Report {
    status: &'static str,
    checks: Vec<CheckReport>,
    /// Status of each informational check, by name.
    #[serde(flatten)]
    informational: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
struct CheckReport {
    name: &'static str,
    ok: bool,
}

impl Readiness {
    /// Adds a dependency. The text of its error goes to the log, not to the caller of the endpoint.
    #[must_use]
    pub fn with_check<F, E>(
        mut self,
        name: &'static str,
        check: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display,
    {
        self.checks.push((name, boxed(check)));
        self
    }

    /// Adds a dependency that is checked only if all others have passed.
    #[must_use]
    pub fn with_dependent_check<F, E>(
        mut self,
        name: &'static str,
        check: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display,
    {
        self.dependent.push((name, boxed(check)));
        self
    }

    /// Adds a fixed status that does not affect readiness.
    #[must_use]
    pub fn with_status(mut self, name: &'static str, status: &'static str) -> Self {
        self.informational
            .push((name, Informational::Fixed(status)));
        self
    }

    /// Adds a check that is reported but does not affect readiness.
    #[must_use]
    pub fn with_informational_check<F, E>(
        mut self,
        name: &'static str,
        check: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display,
    {
        self.informational
            .push((name, Informational::Checked(boxed(check))));
        self
    }

    /// Adds a check that fails only if nothing but a restart helps. It runs in the background
    /// without a time limit.
    #[must_use]
    pub fn with_liveness_check<F, E>(
        mut self,
        name: &'static str,
        check: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display,
    {
        self.liveness.push((name, boxed(check)));
        self
    }

    /// Marks the process as not ready because it is stopping.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    async fn report(&self) -> Report {
        let informational = join_all(self.informational.iter().map(|(name, check)| async {
            let status = match check {
                Informational::Fixed(status) => status,
                Informational::Checked(check)
                    if passes(name, check, INFORMATIONAL_CHECK_TIMEOUT).await =>
                {
                    "answers"
                }
                Informational::Checked(_) => "does not answer",
            };
            (*name, status)
        }));
        let (checks, informational) = join(self.run_checks(), informational).await;
        let status = match checks.iter().all(|check| check.ok) {
            _ if self.draining.load(Ordering::Relaxed) => "draining",
            true => "ready",
            false => "unready",
        };
        Report {
            status,
            checks,
            informational: informational.into_iter().collect(),
        }
    }

    /// Runs the checks, and stops at the first dependent one that fails.
    async fn run_checks(&self) -> Vec<CheckReport> {
        let end = Instant::now() + CHECK_TIMEOUT;
        let mut checks = join_all(
            self.checks
                .iter()
                .map(|(name, check)| run(name, check, end)),
        )
        .await;
        for (name, check) in &self.dependent {
            if checks.iter().any(|check| !check.ok) {
                break;
            }
            checks.push(run(name, check, end).await);
        }
        checks
    }

    /// Runs the liveness checks at their interval, for as long as the future is polled.
    async fn watch_liveness(self) {
        let mut interval = tokio::time::interval(LIVENESS_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let mut failed = Vec::new();
            for (name, check) in &self.liveness {
                if let Err(error) = check().await {
                    tracing::error!(
                        check = name,
                        error,
                        "liveness check failed; process must be restarted"
                    );
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

fn boxed<F, E>(check: impl Fn() -> F + Send + Sync + 'static) -> Check
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: std::fmt::Display,
{
    Arc::new(move || {
        let running = check();
        Box::pin(async move { running.await.map_err(|error| error.to_string()) })
    })
}

async fn run(name: &'static str, check: &Check, end: Instant) -> CheckReport {
    CheckReport {
        name,
        ok: passes(name, check, end.saturating_duration_since(Instant::now())).await,
    }
}

async fn passes(name: &str, check: &Check, limit: Duration) -> bool {
    let error = match tokio::time::timeout(limit, check()).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => error,
        Err(_) => "no answer in time".to_owned(),
    };
    tracing::warn!(dependency = name, error, "dependency check failed");
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
    let _watch = AbortOnDrop(tokio::spawn(readiness.watch_liveness()));
    let listener = server::listen(bind).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "serving the internal port");
    server::serve(listener, Plain, routes, LIMITS, stop).await;
    Ok(())
}

/// Aborts a task when dropped.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
