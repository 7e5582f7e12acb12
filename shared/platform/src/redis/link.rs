//! The connection to Redis, and the breaker that keeps callers from waiting for a Redis that is away.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, RedisError};

/// The pauses between probes grow from the first to the second of these.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// One multiplexed connection.
///
/// A failure opens the breaker: commands are refused at once, and one task probes Redis on a fresh connection, which
/// takes the place of the old one when it answers. A connection that has gone silent is therefore never used again.
pub(super) struct Link {
    client: Client,
    timeout: Duration,
    current: RwLock<Numbered>,
    is_open: AtomicBool,
    outages: AtomicU64,
}

/// A connection, and how many there were before it.
#[derive(Clone)]
pub(super) struct Numbered {
    pub(super) connection: ConnectionManager,
    pub(super) generation: u64,
}

impl Link {
    pub(super) fn new(client: Client, timeout: Duration) -> Result<Self, RedisError> {
        let current = RwLock::new(Numbered {
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

    /// Returns how long a command may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn current(&self) -> Numbered {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Returns whether commands are refused at once.
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    pub(super) fn outages(&self) -> u64 {
        self.outages.load(Ordering::Acquire)
    }

    /// Records that a command got no answer on the connection of this generation. The breaker stays as it is if another
    /// connection has taken its place.
    pub(super) fn failed(this: &Arc<Self>, generation: u64) {
        this.outages.fetch_add(1, Ordering::AcqRel);
        let current = this.current.read().unwrap_or_else(PoisonError::into_inner);
        if current.generation == generation && !this.is_open.swap(true, Ordering::AcqRel) {
            tokio::spawn(probe_until_answered(Arc::downgrade(this)));
        }
    }

    /// Replaces the connection by a fresh one if that answers, and closes the breaker.
    async fn renew(&self) -> bool {
        let Ok(mut fresh) = connect(&self.client, self.timeout) else {
            return false;
        };
        let ping = ::redis::cmd("PING");
        let answer = tokio::time::timeout(self.timeout, ping.query_async::<()>(&mut fresh)).await;
        let answers = match answer {
            Err(_) => false,
            Ok(Ok(())) => true,
            // A Redis that refuses the command is there.
            Ok(Err(error)) => !is_outage(&error),
        };
        if answers {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            *current = Numbered {
                connection: fresh,
                generation: current.generation + 1,
            };
            self.is_open.store(false, Ordering::Release);
        }
        answers
    }
}

async fn probe_until_answered(link: Weak<Link>) {
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        let Some(link) = link.upgrade() else { return };
        if link.renew().await {
            tracing::info!("Redis answers again");
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Returns whether the error means that Redis did not answer, rather than that it refused.
pub(super) fn is_outage(error: &RedisError) -> bool {
    error.is_io_error() || error.is_timeout() || error.is_connection_dropped()
}

fn connect(client: &Client, timeout: Duration) -> Result<ConnectionManager, RedisError> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(timeout))
        .set_response_timeout(Some(timeout))
        .set_number_of_retries(1)
        .set_max_delay(FIRST_PAUSE);
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Answers every command of a client (RESP arrays of bulk strings) with OK.
    fn obey(mut client: TcpStream) -> Option<()> {
        let mut lines = BufReader::new(client.try_clone().ok()?).lines();
        loop {
            let parts: usize = lines.next()?.ok()?.strip_prefix('*')?.parse().ok()?;
            for _ in 0..2 * parts {
                lines.next()?.ok()?;
            }
            client.write_all(b"+OK\r\n").ok()?;
        }
    }

    /// The address of a server that answers.
    fn server() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("redis://{}", listener.local_addr().expect("is bound"));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                std::thread::spawn(move || obey(client));
            }
        });
        url
    }

    #[tokio::test]
    async fn failures_of_a_replaced_connection_do_not_open_the_breaker() {
        let client = Client::open(server()).expect("a URL");
        let link = Arc::new(Link::new(client, Duration::from_secs(2)).expect("connects lazily"));
        let before = link.current().generation;
        Link::failed(&link, before);
        assert!(link.is_open());
        while link.is_open() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // A command that was under way on the old connection fails late.
        Link::failed(&link, before);
        assert!(!link.is_open());
        assert_eq!(
            link.outages(),
            2,
            "what it wanted may be missing all the same"
        );
        Link::failed(&link, link.current().generation);
        assert!(link.is_open());
    }
}
