//! The connection to Redis, and the circuit breaker that spares callers a timeout while Redis is
//! down.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, RedisError};

/// Pauses between probes double from the first to the longest.
const FIRST_PROBE_PAUSE: Duration = Duration::from_millis(200);
const MAX_PROBE_PAUSE: Duration = Duration::from_secs(1);

/// One multiplexed connection with a circuit breaker.
///
/// A failure opens the breaker: commands fail at once, and one task probes Redis on a new
/// connection. The new connection replaces the old one when it answers, so a connection that
/// stopped answering is never used again.
pub(super) struct GuardedConnection {
    client: Client,
    timeout: Duration,
    current: RwLock<NumberedConnection>,
    is_open: AtomicBool,
    outages: AtomicU64,
}

/// A connection, and the number of connections before it.
#[derive(Clone)]
pub(super) struct NumberedConnection {
    pub(super) connection: ConnectionManager,
    pub(super) generation: u64,
}

impl GuardedConnection {
    pub(super) fn new(client: Client, timeout: Duration) -> Result<Self, RedisError> {
        let current = RwLock::new(NumberedConnection {
            connection: connect(&client, timeout)?,
            generation: 0,
        });
        Ok(Self {
            client,
            timeout,
            current,
            is_open: AtomicBool::new(false),
            outages: AtomicU64::new(0),
        })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the timeout of a command.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn current(&self) -> NumberedConnection {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Returns whether the breaker is open, so that commands fail at once.
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    pub(super) fn outages(&self) -> u64 {
        self.outages.load(Ordering::Acquire)
    }

    /// Records that a command got no reply on the connection of this generation. The breaker does
    /// not change if another connection has replaced that one.
    pub(super) fn record_failure(connection: &Arc<Self>, generation: u64) {
        connection.outages.fetch_add(1, Ordering::AcqRel);
        let current = connection
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if current.generation == generation && !connection.is_open.swap(true, Ordering::AcqRel) {
            tokio::spawn(probe_until_answered(Arc::downgrade(connection)));
        }
    }

    /// Connects again. If the new connection answers, replaces the current one and closes the
    /// breaker.
    async fn reconnect(&self) -> bool {
        let Ok(mut fresh) = connect(&self.client, self.timeout) else {
            return false;
        };
        let ping = ::redis::cmd("PING");
        let answer = tokio::time::timeout(self.timeout, ping.query_async::<()>(&mut fresh)).await;
        let answers = match answer {
            Err(_) => false,
            Ok(Ok(())) => true,
            // An error reply proves that Redis is running.
            Ok(Err(error)) => !is_outage(&error),
        };
        if answers {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            *current = NumberedConnection {
                connection: fresh,
                generation: current.generation + 1,
            };
            self.is_open.store(false, Ordering::Release);
        }
        answers
    }
}

async fn probe_until_answered(connection: Weak<GuardedConnection>) {
    let mut pause = FIRST_PROBE_PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        let Some(connection) = connection.upgrade() else {
            return;
        };
        if connection.reconnect().await {
            tracing::info!("Redis reachable again");
            return;
        }
        pause = (pause * 2).min(MAX_PROBE_PAUSE);
    }
}

/// Returns whether the error means that Redis did not reply, rather than that it returned an error.
pub(super) fn is_outage(error: &RedisError) -> bool {
    error.is_io_error() || error.is_timeout() || error.is_connection_dropped()
}

fn connect(client: &Client, timeout: Duration) -> Result<ConnectionManager, RedisError> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(timeout))
        .set_response_timeout(Some(timeout))
        .set_number_of_retries(1)
        .set_max_delay(FIRST_PROBE_PAUSE);
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Answers every command of a client (RESP arrays of bulk strings) with OK.
    fn answer_ok(mut client: TcpStream) -> Option<()> {
        let mut lines = BufReader::new(client.try_clone().ok()?).lines();
        loop {
            let parts: usize = lines.next()?.ok()?.strip_prefix('*')?.parse().ok()?;
            for _ in 0..2 * parts {
                lines.next()?.ok()?;
            }
            client.write_all(b"+OK\r\n").ok()?;
        }
    }

    /// Starts a server that answers, and returns its URL.
    fn server() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("redis://{}", listener.local_addr().expect("is bound"));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                std::thread::spawn(move || answer_ok(client));
            }
        });
        url
    }

    #[tokio::test]
    async fn failures_of_a_replaced_connection_do_not_open_the_breaker() {
        let client = Client::open(server()).expect("a URL");
        let connection = Arc::new(
            GuardedConnection::new(client, Duration::from_secs(2)).expect("connects lazily"),
        );
        let old = connection.current().generation;
        GuardedConnection::record_failure(&connection, old);
        assert!(connection.is_open());
        while connection.is_open() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // A command that was running on the old connection fails late.
        GuardedConnection::record_failure(&connection, old);
        assert!(!connection.is_open());
        assert_eq!(
            connection.outages(),
            2,
            "the late failure still counts as an outage"
        );
        GuardedConnection::record_failure(&connection, connection.current().generation);
        assert!(connection.is_open());
    }
}
