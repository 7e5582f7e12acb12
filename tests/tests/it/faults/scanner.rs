//! A fake scanner that finds a virus in every file except one, for machines without clamd.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// The signature that it reports.
pub(crate) const FOUND: &str = "Test.Virus";

/// The contents that are clean.
pub(crate) const CLEAN: &str = "sent directly";

/// A running scanner. It ends when this is dropped.
pub(crate) struct Scanner(AbortHandle);

impl Scanner {
    /// Starts a scanner and returns its address for `PLINTH_CLAMAV_ADDRESS`.
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

/// A client that disconnects gets no answer.
async fn answer(mut socket: TcpStream) -> std::io::Result<()> {
    let mut command = Vec::new();
    while !command.ends_with(b"\0") {
        command.push(socket.read_u8().await?);
    }
    if command == b"zPING\0" {
        return socket.write_all(b"PONG\0").await;
    }
    let mut content = Vec::new();
    loop {
        match socket.read_u32().await? {
            0 if content == CLEAN.as_bytes() => return socket.write_all(b"stream: OK\0").await,
            0 => {
                return socket
                    .write_all(format!("stream: {FOUND} FOUND\0").as_bytes())
                    .await;
            }
            length => {
                let mut chunk = vec![0; length.try_into().expect("it is small")];
                socket.read_exact(&mut chunk).await?;
                content.extend(chunk);
            }
        }
    }
}
