//! Serves an endpoint over HTTP/1.1 and HTTP/2, with a bound on everything that a client can hold up: connections, the
//! time for the head of a request, connections on which nothing happens, and bytes that a client does not take.

mod activity;
mod body;
mod connection;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use poem::endpoint::{DynEndpoint, ToDynEndpoint};
use poem::http::uri::Scheme;
use poem::{Endpoint, EndpointExt as _, IntoResponse, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::connection::Connection;

/// How long no connection is accepted after that failed: at the limit of descriptors it fails until another one ends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a client can hold up, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// Connections at once. More wait to be accepted, while those on which nothing happens are closed.
    pub connections: usize,
    /// From the first byte of a request to the end of its head; the same for a TLS handshake.
    pub head: Duration,
    /// Without a request under way.
    pub idle: Duration,
    /// Without the client taking any byte of an answer.
    pub stall: Duration,
    /// For the requests under way when the server is asked to stop.
    pub drain: Duration,
}

/// Makes the stream that HTTP is spoken on of an accepted connection.
pub trait Handshake: Clone + Send + Sync + 'static {
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    fn scheme(&self) -> Scheme;

    fn shake_hands(
        &self,
        stream: TcpStream,
    ) -> impl Future<Output = std::io::Result<Self::Stream>> + Send;
}

/// HTTP on TCP as it is.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

impl Handshake for Plain {
    type Stream = TcpStream;

    fn scheme(&self) -> Scheme {
        Scheme::HTTP
    }

    async fn shake_hands(&self, stream: TcpStream) -> std::io::Result<TcpStream> {
        Ok(stream)
    }
}

/// The connections that there may be.
struct Slots {
    free: Arc<Semaphore>,
    /// A client waits for one.
    is_full: Arc<AtomicBool>,
}

impl Slots {
    fn new(connections: usize) -> Self {
        let free = Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)));
        Self {
            free,
            is_full: Arc::default(),
        }
    }

    async fn take(&self) -> OwnedSemaphorePermit {
        if let Ok(slot) = self.free.clone().try_acquire_owned() {
            return slot;
        }
        self.is_full.store(true, Ordering::Relaxed);
        let slot = self
            .free
            .clone()
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        self.is_full.store(false, Ordering::Relaxed);
        slot
    }
}

/// Takes a port; the error names it.
pub async fn listen(bind: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(bind).await.map_err(|error| {
        std::io::Error::new(
            error.kind(),
            format!("{bind} cannot be listened on: {error}"),
        )
    })
}

/// Serves until `stop` ends, then lets requests end within the time to drain.
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
    let slots = Slots::new(limits.connections);
    let (connections, draining, ended) = (
        TaskTracker::new(),
        CancellationToken::new(),
        CancellationToken::new(),
    );
    let accepting = async {
        loop {
            let (stream, peer, slot) = accept(&listener, &slots).await;
            let connection = Connection {
                endpoint: endpoint.clone(),
                local: listener.local_addr().ok(),
                peer,
                scheme: handshake.scheme(),
                limits,
                is_full: slots.is_full.clone(),
                draining: draining.clone(),
            };
            let handshake = handshake.clone();
            let serving = async move {
                match timeout(limits.head, handshake.shake_hands(stream)).await {
                    Ok(Ok(stream)) => connection.serve(stream).await,
                    Ok(Err(error)) => tracing::debug!(%error, "handshake failed"),
                    Err(_) => tracing::debug!("handshake timed out"),
                }
                drop(slot);
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
            "ending connections whose requests did not end in time"
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

/// The next connection, once there is a slot for it.
async fn accept(
    listener: &impl Accept,
    slots: &Slots,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let slot = slots.take().await;
    let mut last_warning: Option<Instant> = None;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // An answer is written as a whole: nothing is to be waited for.
                let _ = stream.set_nodelay(true);
                return (stream, peer, slot);
            }
            Err(error) if is_of_client(&error) => {}
            Err(error) => {
                if last_warning.is_none_or(|last| last.elapsed() >= Duration::from_secs(10)) {
                    last_warning = Some(Instant::now());
                    tracing::warn!(%error, "accepting a connection failed");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether the client went away before its connection was accepted.
fn is_of_client(error: &std::io::Error) -> bool {
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

    /// Too many open files.
    const EMFILE: i32 = 24;

    /// A listener of a process that has no descriptor left until it has failed so often.
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
    async fn accepting_pauses_after_each_failure_and_goes_on() {
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
        let (_, peer, _) = accept(&exhausted, &Slots::new(1)).await;
        assert_eq!(peer, client.local_addr().expect("a TCP port"));
        assert_eq!(exhausted.accepts.into_inner(), 4);
        assert!(begun.elapsed() >= 3 * ACCEPT_PAUSE, "{:?}", begun.elapsed());
    }
}
