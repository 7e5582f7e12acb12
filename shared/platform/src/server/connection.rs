//! One connection: its requests, and the deadlines that end it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::uri::Scheme;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use poem::endpoint::DynEndpoint;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, DeadlineAction};
use super::{ServerLimits, body, stream};

/// Bytes that HTTP/1 buffers in each direction, which also limits the head. A slow body occupies
/// two of these buffers.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

/// Bytes of the headers of one HTTP/2 request.
const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// Concurrent requests of one HTTP/2 connection.
const MAX_STREAMS: u32 = 100;

/// Requests of one HTTP/2 connection that the client has reset and the server still processes.
const MAX_PENDING_RESETS: usize = 20;

/// Interval of HTTP/2 pings, and the time that the client has to answer one.
const PING_INTERVAL: Duration = Duration::from_secs(20);

tokio::task_local! {
    /// Resets the HTTP/2 stream of this task.
    static STREAM_RESET: CancellationToken;
}

/// Runs each HTTP/2 stream as a task that the activity can end: while the client accepts no bytes,
/// hyper polls the response body neither for bytes nor for an error.
#[derive(Clone, Copy)]
struct StreamExecutor;

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, stream: F) {
        let reset = CancellationToken::new();
        tokio::spawn(STREAM_RESET.scope(reset.clone(), async move {
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
    /// Whether a client waits for a connection.
    pub(super) is_full: Arc<AtomicBool>,
    pub(super) draining: CancellationToken,
}

impl Connection {
    /// Answers requests until the connection ends or a deadline ends it.
    pub(super) async fn serve(self, inner: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let activity = Activity::new();
        let watched = stream::WatchedStream {
            inner,
            activity: activity.clone(),
            is_blocked: false,
        };
        let service = hyper::service::service_fn(|request: hyper::Request<Incoming>| {
            let mut in_flight = activity.begin_request(request.version());
            let request = (
                request,
                self.local_addr(),
                self.remote_addr(),
                self.scheme.clone(),
            )
                .into();
            let endpoint = self.endpoint.clone();
            async move {
                in_flight.reset_by(STREAM_RESET.try_with(Clone::clone).ok());
                let response = match endpoint.call(request).await {
                    Ok(response) => response,
                    Err(error) => error.into_response(),
                };
                let response: hyper::Response<_> = response.into();
                Ok::<_, Infallible>(response.map(|inner| body::WatchedBody {
                    inner,
                    request: in_flight,
                }))
            }
        });
        let builder = builder();
        let mut serving =
            pin!(builder.serve_connection_with_upgrades(TokioIo::new(watched), service));
        let mut is_closing = false;
        loop {
            let is_full = self.is_full.load(Ordering::Relaxed);
            let next = match activity.next_action(&self.limits, is_full, Instant::now()) {
                DeadlineAction::Wait(next) => next,
                DeadlineAction::Close => {
                    is_closing = true;
                    activity.close();
                    serving.as_mut().graceful_shutdown();
                    continue;
                }
                DeadlineAction::Abort(reason) => {
                    tracing::debug!(peer = %self.peer, reason, "ending connection");
                    return;
                }
            };
            tokio::select! {
                ended = serving.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(peer = %self.peer, %error, "connection failed");
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

fn builder() -> Builder<StreamExecutor> {
    let mut builder = Builder::new(StreamExecutor);
    builder
        .http1()
        .timer(TokioTimer::new())
        // hyper's timeout would also end idle connections. The activity distinguishes the two.
        .header_read_timeout(None)
        .max_buf_size(MAX_BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    builder
}
