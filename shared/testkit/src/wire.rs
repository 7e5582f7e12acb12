//! A wire to a server that a test can cut: a proxy that is the only way to it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The wire.
#[derive(Debug)]
pub struct Wire {
    pub address: SocketAddr,
    /// Raised at each cut; what the wire carries after it.
    state: Arc<watch::Sender<State>>,
    requests: Arc<AtomicU64>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    cuts: u64,
    whole: bool,
    /// Nothing is forwarded to the server, and no connection is closed.
    held: bool,
    /// Connections made before the last silence carry nothing any more.
    silences: u64,
}

impl Wire {
    /// Lays a wire to `server`.
    pub async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(watch::Sender::new(State {
            cuts: 0,
            whole: true,
            held: false,
            silences: 0,
        }));
        let seen = state.subscribe();
        let requests = Arc::new(AtomicU64::new(0));
        let counted = requests.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server.clone(), seen.clone(), counted.clone()));
            }
        });
        Self {
            address,
            state,
            requests,
        }
    }

    /// Breaks every connection; new ones are taken.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Breaks every connection and every new one, until [`Wire::restore`].
    pub fn tear(&self) {
        self.state.send_modify(|state| {
            state.cuts += 1;
            state.whole = false;
        });
    }

    /// Keeps what is sent to the server, on every connection, until [`Wire::restore`]: as a network
    /// that loses everything.
    pub fn hold(&self) {
        self.state.send_modify(|state| state.held = true);
    }

    /// Swallows everything on every present connection for good, in both directions and without an
    /// end of the stream, while new connections flow: as a failover of a host that died, or a
    /// partition whose server lives on.
    pub fn silence(&self) {
        self.state.send_modify(|state| state.silences += 1);
    }

    /// How often something was sent to the server: round trips, where one waits for the other.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub fn restore(&self) {
        self.state.send_modify(|state| {
            state.whole = true;
            state.held = false;
        });
    }
}

async fn carry(
    client: TcpStream,
    server: String,
    mut state: watch::Receiver<State>,
    requests: Arc<AtomicU64>,
) {
    let State {
        cuts,
        whole,
        silences,
        ..
    } = *state.borrow_and_update();
    if !whole {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let flow = Flow {
        state: state.clone(),
        silences,
    };
    tokio::select! {
        _ = both_ways(client, server, &requests, flow) => {}
        _ = state.wait_for(|now| now.cuts != cuts) => {}
    }
}

/// What one connection may carry.
#[derive(Clone)]
struct Flow {
    state: watch::Receiver<State>,
    /// The silences before this connection.
    silences: u64,
}

impl Flow {
    fn is_silent(&self) -> bool {
        self.state.borrow().silences != self.silences
    }

    /// Returns what was read; never, if the end of the stream must not be seen.
    async fn length(&self, length: usize) -> usize {
        if length == 0 && self.is_silent() {
            std::future::pending::<()>().await;
        }
        length
    }
}

async fn both_ways(
    client: TcpStream,
    server: TcpStream,
    requests: &AtomicU64,
    mut flow: Flow,
) -> io::Result<()> {
    // Small messages go as they come, or two delayed acknowledgements would dominate every round
    // trip.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let seen = flow.clone();
    let forth = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match flow.length(from_client.read(&mut buffer).await?).await {
                0 => return to_server.shutdown().await,
                length => {
                    // The wire goes with the test, and what it carries with it.
                    let _ = flow.state.wait_for(|now| !now.held).await;
                    if flow.is_silent() {
                        continue;
                    }
                    requests.fetch_add(1, Ordering::Relaxed);
                    to_server.write_all(&buffer[..length]).await?;
                }
            }
        }
    };
    let back = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match seen.length(from_server.read(&mut buffer).await?).await {
                0 => return to_client.shutdown().await,
                _ if seen.is_silent() => {}
                length => to_client.write_all(&buffer[..length]).await?,
            }
        }
    };
    tokio::try_join!(forth, back).map(drop)
}
