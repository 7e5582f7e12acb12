//! A scanner that finds a virus in everything but one text, where a real one need not be installed.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// What it finds.
pub(crate) const FOUND: &str = "Test.Virus";

/// In what it finds nothing.
pub(crate) const CLEAN: &str = "sent directly";

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
