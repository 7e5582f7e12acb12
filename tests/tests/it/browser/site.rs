//! A page with its own origin.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const PAGE: &str = include_str!("page.html");

/// Serves the page for every request until this is dropped.
pub(super) struct Site {
    pub(super) origin: String,
    server: JoinHandle<()>,
}

impl Site {
    pub(super) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let origin = format!(
            "http://localhost:{}",
            listener.local_addr().expect("bound").port()
        );
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream));
            }
        });
        Self { origin, server }
    }

    /// Returns the page with the URL of the API.
    pub(super) fn page(&self, api: &str) -> String {
        format!("{}/?api={api}", self.origin)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(mut stream: TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n";
    let answer = format!("{head}Content-Length: {}\r\n\r\n{PAGE}", PAGE.len());
    // A browser that has disconnected needs no answer.
    let _ = stream.write_all(answer.as_bytes()).await;
}
