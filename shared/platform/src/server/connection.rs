//! One connection: its requests, and the deadlines that end it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use poem::endpoint::DynEndpoint;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, Verdict};
use super::{ServerLimits, body, stream};

/// Bytes that HTTP/1 buffers in each direction; no head is longer. A body that is read slowly keeps two of these.
const MAX_BUFFER: usize = 64 * 1024;

/// Bytes of the headers of one HTTP/2 request.
const MAX_HEADERS: u32 = 16 * 1024;

/// Requests of one HTTP/2 connection at once.
const MAX_STREAMS: u32 = 100;

/// Requests of one HTTP/2 connection that its client has taken back and that are still worked on.
const MAX_RESETS: usize = 20;

/// How often an HTTP/2 client is asked whether it is there, and how long it has to answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);

tokio::task_local! {
    /// Resets the stream of HTTP/2 whose task this is.
    static RESET: CancellationToken;
}

/// Runs each stream of HTTP/2 as a task that its activity can end: hyper does not ask the body of an answer for bytes, nor for
/// an error, as long as the client takes none.
#[derive(Clone, Copy)]
struct Streams;

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let reset = CancellationToken::new();
        tokio::spawn(RESET.scope(reset.clone(), async move {
            reset.run_until_cancelled(stream).await;
        }));
    }
}

pub(super) struct Connection {
    pub(super) endpoint: Arc<dyn DynEndpoint<Output = Response>>,
    pub(super) local: Option<SocketAddr>,
    pub(super) peer: SocketAddr,
    pub(super) scheme: Scheme,
    pub(super) limits: ServerLimits,
    /// A client waits for a connection.
    pub(super) is_full: Arc<AtomicBool>,
    pub(super) draining: CancellationToken,
}

impl Connection {
    /// Answers requests until the connection ends or a deadline ends it.
    pub(super) async fn serve(self, inner: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let activity = Activity::new();
        let watched = stream::Watched {
            inner,
            activity: activity.clone(),
            is_blocked: false,
        };
        let service = hyper::service::service_fn(|request: hyper::Request<Incoming>| {
            let mut under_way = activity.begin_request(request.version());
            let request = (
                request,
                self.local_addr(),
                self.remote_addr(),
                self.scheme.clone(),
            )
                .into();
            let endpoint = self.endpoint.clone();
            async move {
                under_way.reset_by(RESET.try_with(Clone::clone).ok());
                let response = match endpoint.call(request).await {
                    Ok(response) => response,
                    Err(error) => error.into_response(),
                };
                let response: hyper::Response<_> = response.into();
                Ok::<_, Infallible>(response.map(|inner| body::Watched {
                    inner,
                    request: under_way,
                }))
            }
        });
        let builder = builder();
        let mut serving =
            pin!(builder.serve_connection_with_upgrades(TokioIo::new(watched), service));
        let mut is_closing = false;
        loop {
            let is_full = self.is_full.load(Ordering::Relaxed);
            let next = match activity.judge(&self.limits, is_full, Instant::now()) {
                Verdict::Wait(next) => next,
                Verdict::Close => {
                    is_closing = true;
                    activity.close();
                    serving.as_mut().graceful_shutdown();
                    continue;
                }
                Verdict::Abort(reason) => {
                    tracing::debug!(peer = %self.peer, reason, "ending a connection");
                    return;
                }
            };
            tokio::select! {
                ended = serving.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(peer = %self.peer, %error, "a connection ended with an error");
                    }
                    return;
                }
                () = sleep_until(next) => {}
                () = self.draining.cancelled(), if !is_closing => {
                    is_closing = true;
                    activity.close();
                    serving.as_mut().graceful_shutdown();
                }
            }
        }
    }

    fn local_addr(&self) -> LocalAddr {
        LocalAddr(
            self.local
                .map_or_else(|| Addr::Custom("unknown", "".into()), Addr::SocketAddr),
        )
    }

    fn remote_addr(&self) -> RemoteAddr {
        RemoteAddr(Addr::SocketAddr(self.peer))
    }
}

fn builder() -> Builder<Streams> {
    let mut builder = Builder::new(Streams);
    builder
        .http1()
        .timer(TokioTimer::new())
        // It would also end connections on which nothing happens: the activity knows heads from these.
        .header_read_timeout(None)
        .max_buf_size(MAX_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_header_list_size(MAX_HEADERS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    builder
}
