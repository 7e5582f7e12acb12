//! Whether PostgreSQL can be reached: while it cannot, requests fail at once and one probe looks for it.

use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::watch;

/// How long a probe waits for a connection of its own.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The pauses between probes grow from the first to the second of these.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The breaker of one pool.
#[derive(Debug)]
pub(super) struct Availability {
    reachable: watch::Sender<bool>,
    probing: AtomicBool,
    /// Connections that the pool has given out.
    acquired: AtomicU64,
    /// The first failure after the last success.
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

    /// Waits until a probe has failed.
    pub(super) async fn lost(&self) {
        // The sender lives as long as this borrow.
        let _ = self
            .reachable
            .subscribe()
            .wait_for(|reachable| !reachable)
            .await;
    }

    /// Records that the pool gave out a connection that answers.
    pub(super) fn succeeded(&self) {
        self.acquired.fetch_add(1, Ordering::Relaxed);
        let mut since = self
            .failing_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *since = None;
    }

    /// Records that the pool gave out none.
    pub(super) fn failed(&self) {
        let mut since = self
            .failing_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        since.get_or_insert_with(Instant::now);
    }

    /// Returns for how long the pool has given out no connection although it was asked.
    pub(super) fn failing_for(&self) -> Option<Duration> {
        let since = self
            .failing_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        since.map(|since| since.elapsed())
    }

    /// Probes in the background until PostgreSQL answers. One probe runs at a time.
    pub(super) fn probe(this: &Arc<Self>, options: &Arc<PgConnectOptions>) {
        if !this.probing.swap(true, Ordering::AcqRel) {
            tokio::spawn(probe_until_reachable(Arc::downgrade(this), options.clone()));
        }
    }
}

async fn probe_until_reachable(availability: Weak<Availability>, options: Arc<PgConnectOptions>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let Some(availability) = availability.upgrade() else {
            return;
        };
        let before = availability.acquired.load(Ordering::Relaxed);
        // A server that refuses new connections but serves those it has is not away.
        let reachable =
            answers(&options).await || availability.acquired.load(Ordering::Relaxed) != before;
        if availability.reachable.send_replace(reachable) != reachable {
            if reachable {
                tracing::info!("PostgreSQL answers again");
            } else {
                tracing::error!("PostgreSQL does not answer; requests that need it are refused");
            }
        }
        if reachable {
            availability.probing.store(false, Ordering::Release);
            return;
        }
        drop(availability);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Returns whether a server answers a new connection. One that refuses it for a reason of its own does.
pub(super) async fn answers(options: &PgConnectOptions) -> bool {
    let connect = async {
        match options.connect().await {
            Ok(connection) => {
                let _ = connection.close().await;
                true
            }
            // 57P: the server is starting or stopping.
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

/// The error of a request while PostgreSQL is away.
pub(super) fn unreachable() -> sqlx::Error {
    sqlx::Error::Io(Error::new(
        ErrorKind::NotConnected,
        "PostgreSQL does not answer",
    ))
}
