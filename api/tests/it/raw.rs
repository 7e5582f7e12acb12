//! Raw bytes to the API that no client would send.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends the bytes, and reads until the API closes the connection or falls silent.
pub(crate) async fn talk(url: &str, bytes: &[u8]) -> String {
    let address = url.trim_start_matches("http://");
    let (mut from, mut to) = TcpStream::connect(address)
        .await
        .expect("the API accepts connections")
        .into_split();
    let bytes = bytes.to_vec();
    // The API may respond and close before it has read everything.
    let sending = tokio::spawn(async move {
        let _ = to.write_all(&bytes).await;
        to
    });
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let patience = if answer.is_empty() {
            Duration::from_secs(20)
        } else {
            Duration::from_millis(300)
        };
        match tokio::time::timeout(patience, from.read(&mut buffer)).await {
            Ok(Ok(length)) if length > 0 => answer.extend_from_slice(&buffer[..length]),
            _ => break,
        }
    }
    sending.abort();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Connects and sends these bytes. The connection stays open.
pub(crate) async fn begin(url: &str, bytes: &[u8]) -> TcpStream {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address)
        .await
        .expect("the API accepts connections");
    stream.write_all(bytes).await.expect("the API reads");
    stream
}

/// Reads until the API closes the connection, which it must.
pub(crate) async fn until_ended(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    let read =
        tokio::time::timeout(plinth_testkit::PATIENCE, stream.read_to_end(&mut answer)).await;
    // A reset connection has ended too.
    let _ = read.expect("the API closes the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Returns the start of a form with a file: these bytes now, and many more declared.
pub(crate) fn form(access_token: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {access_token}\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 1000000000\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"
    );
    [head.as_bytes(), bytes].concat()
}
