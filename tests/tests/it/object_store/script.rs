//! An HTTP server with prepared answers, for behaviour that no installable S3 has.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Serves one answer per connection, in order. Returns the address, and the received requests at
/// the end.
pub(super) async fn serve(
    status: &'static str,
    kind: &'static str,
    answers: Vec<String>,
) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let serving = tokio::spawn(async move {
        let mut requests = Vec::new();
        for body in answers {
            let (mut socket, _) = listener.accept().await.expect("a client connects");
            let mut request = [0; 8192];
            let read = socket.read(&mut request).await.expect("a request");
            requests.push(String::from_utf8_lossy(&request[..read]).into_owned());
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            socket
                .write_all((head + &body).as_bytes())
                .await
                .expect("it reads");
        }
        requests
    });
    (address, serving)
}
