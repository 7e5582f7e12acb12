//! A wire to Redis that a test can cut: a proxy that is one worker's only way to it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The wire. Dropped, it is cut.
pub struct Wire {
    pub address: SocketAddr,
    /// Raised at each cut; whether the wire carries anything after it.
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy)]
struct State {
    cuts: u64,
    whole: bool,
}

impl Wire {
    /// Lays a wire to `server`.
    pub async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(watch::Sender::new(State { cuts: 0, whole: true }));
        let seen = state.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server.clone(), seen.clone()));
            }
        });
        Self { address, state }
    }

    /// Breaks every connection; new ones are taken.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Breaks every connection and every new one, until [`Wire::mend`].
    pub fn tear(&self) {
        self.state.send_modify(|state| *state = State { cuts: state.cuts + 1, whole: false });
    }

    pub fn mend(&self) {
        self.state.send_modify(|state| state.whole = true);
    }
}

async fn carry(mut client: TcpStream, server: String, mut state: watch::Receiver<State>) {
    let State { cuts, whole } = *state.borrow_and_update();
    if !whole {
        return;
    }
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        _ = state.wait_for(|now| now.cuts != cuts) => {}
    }
}
