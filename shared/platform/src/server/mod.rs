//! Serves an endpoint over HTTP/1.1 and HTTP/2, with a limit on everything that a client can
//! occupy: connections, the time for a request's head, idle connections, and bytes that the client
//! does not accept.

mod activity;
mod body;
mod connection;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::uri::Scheme;
use poem::endpoint::{DynEndpoint, ToDynEndpoint};
use poem::{Endpoint, EndpointExt as _, IntoResponse, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::connection::Connection;

/// Pause after a failed accept: at the limit of file descriptors, accepting fails until another
/// connection ends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The limits of a server.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// Concurrent connections. Further clients wait, and idle connections are closed earlier.
    pub connections: usize,
    /// Time from the first byte of a request to the end of its head; also for a TLS handshake.
    pub head: Duration,
    /// Time that a connection may stay open without a request.
    pub idle: Duration,
    /// Time in which a client must accept some bytes of a response.
    pub stall: Duration,
    /// Time for requests in flight to end after the server was asked to stop.
    pub drain: Duration,
}

/// Turns an accepted connection into the stream that carries HTTP.
pub trait Handshake: Clone + Send + Sync + 'static {
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    fn scheme(&self) -> Scheme;

    fn handshake(
        &self,
        stream: TcpStream,
    ) -> impl Future<Output = std::io::Result<Self::Stream>> + Send;
}

/// HTTP over plain TCP.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

impl Handshake for Plain {
    type Stream = TcpStream;

    fn scheme(&self) -> Scheme {
        Scheme::HTTP
    }

    async fn handshake(&self, stream: TcpStream) -> std::io::Result<TcpStream> {
        Ok(stream)
    }
}

/// Limits the number of concurrent connections.
struct ConnectionLimit {
    free: Arc<Semaphore>,
    /// Whether a client waits for a connection.
    is_full: Arc<AtomicBool>,
}

impl ConnectionLimit {
    fn new(connections: usize) -> Self {
        let free = Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)));
        Self {
            free,
            is_full: Arc::default(),
        }
    }

    async fn acquire(&self) -> OwnedSemaphorePermit {
        if let Ok(permit) = self.free.clone().try_acquire_owned() {
            return permit;
        }
        self.is_full.store(true, Ordering::Relaxed);
        let permit = self
            .free
            .clone()
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        self.is_full.store(false, Ordering::Relaxed);
        permit
    }
}

/// Listens on an address. The error contains the address.
pub async fn listen(bind: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(bind).await.map_err(|error| {
        std::io::Error::new(error.kind(), format!("failed to listen on {bind}: {error}"))
    })
}

/// Serves until `stop` completes, then waits for requests in flight within the drain limit.
pub async fn serve<H, E>(
    listener: TcpListener,
    handshake: H,
    endpoint: E,
    limits: ServerLimits,
    stop: impl Future<Output = ()>,
) where
    H: Handshake,
    E: Endpoint + 'static,
    E::Output: IntoResponse,
{
    let endpoint: Arc<dyn DynEndpoint<Output = Response>> =
        Arc::new(ToDynEndpoint(endpoint.map_to_response()));
    let limit = ConnectionLimit::new(limits.connections);
    let (connections, draining, ended) = (
        TaskTracker::new(),
        CancellationToken::new(),
        CancellationToken::new(),
    );
    let accepting = async {
        loop {
            let (stream, peer, permit) = accept(&listener, &limit).await;
            let connection = Connection {
                endpoint: endpoint.clone(),
                local: listener.local_addr().ok(),
                peer,
                scheme: handshake.scheme(),
                limits,
                is_full: limit.is_full.clone(),
                draining: draining.clone(),
            };
            let handshake = handshake.clone();
            let serving = async move {
                match timeout(limits.head, handshake.handshake(stream)).await {
                    Ok(Ok(stream)) => connection.serve(stream).await,
                    Ok(Err(error)) => tracing::debug!(%error, "handshake failed"),
                    Err(_) => tracing::debug!("handshake timed out"),
                }
                drop(permit);
            };
            connections.spawn(ended.clone().run_until_cancelled_owned(serving));
        }
    };
    tokio::select! {
        () = stop => {}
        () = accepting => {}
    }
    drop(listener);
    connections.close();
    draining.cancel();
    if timeout(limits.drain, connections.wait()).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "drain timed out; ending connections"
        );
        ended.cancel();
        connections.wait().await;
    }
}

/// A socket that accepts connections.
trait Accept {
    fn accept(&self) -> impl Future<Output = std::io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Accept for TcpListener {
    fn accept(&self) -> impl Future<Output = std::io::Result<(TcpStream, SocketAddr)>> + Send {
        TcpListener::accept(self)
    }
}

/// Returns the next connection after a permit for it is free.
async fn accept(
    listener: &impl Accept,
    limit: &ConnectionLimit,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let permit = limit.acquire().await;
    let mut last_warning: Option<Instant> = None;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // A response is written as a whole, so delaying packets gains nothing.
                let _ = stream.set_nodelay(true);
                return (stream, peer, permit);
            }
            Err(error) if is_client_abort(&error) => {}
            Err(error) => {
                if last_warning.is_none_or(|last| last.elapsed() >= Duration::from_secs(10)) {
                    last_warning = Some(Instant::now());
                    tracing::warn!(%error, "failed to accept connection");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Returns whether the client disconnected before its connection was accepted.
fn is_client_abort(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use std::io::Error;
    use std::sync::atomic::AtomicU32;

    use super::*;

    /// Errno: too many open files.
    const EMFILE: i32 = 24;

    /// A listener that fails `failures` times for lack of file descriptors.
    struct Exhausted {
        listener: TcpListener,
        failures: u32,
        accepts: AtomicU32,
    }

    impl Accept for Exhausted {
        async fn accept(&self) -> std::io::Result<(TcpStream, SocketAddr)> {
            if self.accepts.fetch_add(1, Ordering::Relaxed) < self.failures {
                return Err(Error::from_raw_os_error(EMFILE));
            }
            self.listener.accept().await
        }
    }

    #[tokio::test]
    async fn accepting_continues_after_a_pause_when_it_fails() {
        let listener = listen(([127, 0, 0, 1], 0).into())
            .await
            .expect("a free port");
        let client = TcpStream::connect(listener.local_addr().expect("a TCP port"))
            .await
            .expect("connects");
        let exhausted = Exhausted {
            listener,
            failures: 3,
            accepts: AtomicU32::new(0),
        };
        let begun = Instant::now();
        let (_, peer, _) = accept(&exhausted, &ConnectionLimit::new(1)).await;
        assert_eq!(peer, client.local_addr().expect("a TCP port"));
        assert_eq!(exhausted.accepts.into_inner(), 4);
        assert!(begun.elapsed() >= 3 * ACCEPT_PAUSE, "{:?}", begun.elapsed());
    }
}
