//! The circuit breaker of PostgreSQL: while it is unreachable, requests fail at once and one task
//! probes it.

use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::watch;

/// How long a probe waits for a new connection.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Pauses between probes double from the first to the longest.
const FIRST_PROBE_PAUSE: Duration = Duration::from_millis(200);
const MAX_PROBE_PAUSE: Duration = Duration::from_secs(2);

/// The circuit breaker of one pool.
#[derive(Debug)]
pub(super) struct Availability {
    reachable: watch::Sender<bool>,
    probing: AtomicBool,
    /// Number of connections that callers have acquired.
    acquired: AtomicU64,
    /// Time of the first failure after the last success.
    failing_since: Mutex<Option<Instant>>,
}

impl Default for Availability {
    fn default() -> Self {
        Self {
            reachable: watch::Sender::new(true),
            probing: AtomicBool::new(false),
            acquired: AtomicU64::new(0),
            failing_since: Mutex::new(None),
        }
    }
}

impl Availability {
    pub(super) fn is_reachable(&self) -> bool {
        *self.reachable.borrow()
    }

    /// Waits until a probe fails.
    pub(super) async fn wait_until_unreachable(&self) {
        // Cannot fail: `self` holds the sender.
        let _ = self
            .reachable
            .subscribe()
            .wait_for(|reachable| !reachable)
            .await;
    }

    /// Records that a caller acquired a connection that answers.
    pub(super) fn record_success(&self) {
        self.acquired.fetch_add(1, Ordering::Relaxed);
        let mut since = self
            .failing_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *since = None;
    }

    /// Records that a caller could not acquire a connection.
    pub(super) fn record_failure(&self) {
        let mut since = self
            .failing_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        since.get_or_insert_with(Instant::now);
    }

    /// Returns for how long every attempt to acquire a connection has failed.
    pub(super) fn failing_for(&self) -> Option<Duration> {
        let since = self
            .failing_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        since.map(|since| since.elapsed())
    }

    /// Starts a task that probes PostgreSQL until it answers, unless one is running.
    pub(super) fn start_probe(this: &Arc<Self>, options: &Arc<PgConnectOptions>) {
        if !this.probing.swap(true, Ordering::AcqRel) {
            tokio::spawn(probe_until_reachable(Arc::downgrade(this), options.clone()));
        }
    }
}

async fn probe_until_reachable(availability: Weak<Availability>, options: Arc<PgConnectOptions>) {
    let mut pause = FIRST_PROBE_PAUSE;
    loop {
        let Some(availability) = availability.upgrade() else {
            return;
        };
        let before = availability.acquired.load(Ordering::Relaxed);
        // A server that refuses new connections but serves existing ones is reachable.
        let reachable =
            answers(&options).await || availability.acquired.load(Ordering::Relaxed) != before;
        if availability.reachable.send_replace(reachable) != reachable {
            if reachable {
                tracing::info!("PostgreSQL reachable again");
            } else {
                tracing::error!("PostgreSQL unreachable; requests that need it fail");
            }
        }
        if reachable {
            availability.probing.store(false, Ordering::Release);
            return;
        }
        drop(availability);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PROBE_PAUSE);
    }
}

/// Returns whether a server answers a new connection. A server that refuses it counts as answering,
/// unless it is starting or stopping.
pub(super) async fn answers(options: &PgConnectOptions) -> bool {
    let connect = async {
        match options.connect().await {
            Ok(connection) => {
                let _ = connection.close().await;
                true
            }
            // Class 57P: the server is starting or stopping.
            Err(sqlx::Error::Database(refusal)) => {
                !refusal.code().is_some_and(|code| code.starts_with("57P"))
            }
            Err(_) => false,
        }
    };
    tokio::time::timeout(PROBE_TIMEOUT, connect)
        .await
        .unwrap_or(false)
}

/// Returns the error of a request while PostgreSQL is unreachable.
pub(super) fn unreachable_error() -> sqlx::Error {
    sqlx::Error::Io(Error::new(
        ErrorKind::NotConnected,
        "PostgreSQL is unreachable",
    ))
}
