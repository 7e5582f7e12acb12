//! A scanner that finds a virus in everything, where a real one need not be installed.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// What it finds.
pub(crate) const FOUND: &str = "Test.Virus";

/// It answers until it is dropped.
pub(crate) struct Scanner(AbortHandle);

impl Scanner {
    /// With its address, as `PLINTH_CLAMAV_ADDRESS` has it.
    pub(crate) async fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(answer(socket));
            }
        });
        (Self(serving.abort_handle()), address)
    }
}

impl Drop for Scanner {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Whoever goes away in the middle gets no answer.
async fn answer(mut socket: TcpStream) -> std::io::Result<()> {
    let mut command = Vec::new();
    while !command.ends_with(b"\0") {
        command.push(socket.read_u8().await?);
    }
    if command == b"zPING\0" {
        return socket.write_all(b"PONG\0").await;
    }
    loop {
        match socket.read_u32().await? {
            0 => return socket.write_all(format!("stream: {FOUND} FOUND\0").as_bytes()).await,
            length => {
                socket.read_exact(&mut vec![0; length.try_into().expect("it is small")]).await?;
            }
        }
    }
}
