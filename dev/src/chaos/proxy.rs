//! A proxy in front of a service, which can make it unreachable (connections break, new ones are
//! refused) or silent (bytes are discarded and no connection breaks, as after the failover of a
//! dead host).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Whole,
    Away,
    Silent,
}

/// Forwards connections to a service as long as this process runs.
#[derive(Debug)]
pub(super) struct Proxy {
    address: SocketAddr,
    server: String,
    condition: watch::Sender<Condition>,
    /// Connections that met the service unreachable or silent.
    met: Arc<AtomicU64>,
}

impl Proxy {
    /// Starts a proxy in front of the service that a URL names.
    pub(super) async fn before(url: &str) -> Result<Self> {
        let server = host_and_port(url)
            .with_context(|| format!("{url} is not the URL of a private service"))?
            .to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (condition, state) = watch::channel(Condition::Whole);
        let met = Arc::new(AtomicU64::new(0));
        let (upstream, counted) = (server.clone(), met.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(
                    client,
                    upstream.clone(),
                    state.clone(),
                    counted.clone(),
                ));
            }
        });
        Ok(Self {
            address,
            server,
            condition,
            met,
        })
    }

    /// Returns the URL through the proxy.
    pub(super) fn through(&self, url: &str) -> String {
        url.replacen(&self.server, &self.address.to_string(), 1)
    }

    pub(super) fn set(&self, condition: Condition) {
        self.condition.send_replace(condition);
    }

    pub(super) fn met(&self) -> u64 {
        self.met.load(Ordering::Relaxed)
    }
}

/// Returns `127.0.0.1:port` of a URL.
fn host_and_port(url: &str) -> Option<&str> {
    let start = url.find("127.0.0.1:")?;
    let rest = &url[start..];
    let end = rest["127.0.0.1:".len()..].find(|symbol: char| !symbol.is_ascii_digit());
    Some(end.map_or(rest, |end| &rest[.."127.0.0.1:".len() + end]))
}

async fn carry(
    mut client: TcpStream,
    server: String,
    mut state: watch::Receiver<Condition>,
    met: Arc<AtomicU64>,
) {
    let condition = *state.borrow_and_update();
    if condition != Condition::Whole {
        met.fetch_add(1, Ordering::Relaxed);
    }
    match condition {
        Condition::Away => return,
        Condition::Silent => return swallow(&mut client).await,
        Condition::Whole => {}
    }
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let carried = tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => return,
        changed = state.wait_for(|now| *now != Condition::Whole) => changed.map(|now| *now),
    };
    met.fetch_add(1, Ordering::Relaxed);
    if matches!(carried, Ok(Condition::Silent)) {
        // Until the client disconnects, because a dead host never resumes. The server sees no end
        // meanwhile.
        swallow(&mut client).await;
    }
}

/// Discards bytes until the client disconnects.
async fn swallow(client: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = vec![0; 16 * 1024];
    while client
        .read(&mut buffer)
        .await
        .is_ok_and(|length| length > 0)
    {}
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;
    use tokio::time::timeout;

    use super::*;

    async fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = socket.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        format!("echo://user:pass@{address}/name")
    }

    async fn answers(socket: &mut TcpStream) -> bool {
        let mut byte = [0];
        socket.write_all(b"x").await.is_ok()
            && matches!(
                timeout(Duration::from_millis(200), socket.read(&mut byte)).await,
                Ok(Ok(1))
            )
    }

    #[tokio::test]
    async fn a_service_is_away_or_silent_and_comes_back_for_new_connections() {
        let url = echo().await;
        let proxy = Proxy::before(&url).await.unwrap();
        let through = proxy.through(&url);
        assert!(
            through.starts_with("echo://user:pass@127.0.0.1:") && through.ends_with("/name"),
            "{through}"
        );
        let connect = || TcpStream::connect(proxy.address);
        let mut first = connect().await.unwrap();
        assert!(answers(&mut first).await);
        proxy.set(Condition::Silent);
        assert!(!answers(&mut first).await, "nothing comes back");
        assert!(
            !answers(&mut connect().await.unwrap()).await,
            "nor for a new one"
        );
        proxy.set(Condition::Whole);
        assert!(!answers(&mut first).await, "what was lost stays lost");
        assert!(
            first.write_all(b"x").await.is_ok(),
            "and no connection breaks"
        );
        let mut second = connect().await.unwrap();
        assert!(answers(&mut second).await);
        proxy.set(Condition::Away);
        let mut byte = [0];
        let ended = timeout(Duration::from_secs(5), second.read(&mut byte))
            .await
            .unwrap();
        assert!(!matches!(ended, Ok(1..)), "a connection breaks");
        assert!(!answers(&mut connect().await.unwrap()).await);
        assert!(proxy.met() >= 4, "{}", proxy.met());
    }
}
