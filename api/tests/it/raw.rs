//! Bytes to the API as no client would send them.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends the bytes and reads what comes until the API closes or has said something and falls silent.
pub(crate) async fn talk(url: &str, bytes: &[u8]) -> String {
    let address = url.trim_start_matches("http://");
    let (mut from, mut to) = TcpStream::connect(address).await.expect("the API listens").into_split();
    let bytes = bytes.to_vec();
    // The API may answer, and close, before it has read everything.
    let sending = tokio::spawn(async move {
        let _ = to.write_all(&bytes).await;
        to
    });
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let patience = if answer.is_empty() { Duration::from_secs(20) } else { Duration::from_millis(300) };
        match tokio::time::timeout(patience, from.read(&mut buffer)).await {
            Ok(Ok(length)) if length > 0 => answer.extend_from_slice(&buffer[..length]),
            _ => break,
        }
    }
    sending.abort();
    String::from_utf8_lossy(&answer).into_owned()
}
