//! A proxy of S3 that refuses to delete one object.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const REFUSAL: &[u8] =
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nContent-Length: 41\r\n\r\n\
    <Error><Code>AccessDenied</Code></Error>\n";

/// Returns an endpoint that forwards every request to `endpoint` except the removal of `key`. It
/// ends with the test.
pub(crate) async fn without_delete(endpoint: &str, key: &str) -> String {
    let server = endpoint
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    let key = key.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(forward(client, server.clone(), key.clone()));
        }
    });
    format!("http://{address}")
}

/// Forwards the requests of one connection. The client sends a request only after the previous
/// response, so each request starts at the beginning of a read.
async fn forward(mut client: TcpStream, server: String, key: String) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let (mut request, mut response) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        tokio::select! {
            read = client.read(&mut request) => match &request[..read?] {
                [] => return Ok(()),
                part if is_delete(part, &key) => client.write_all(REFUSAL).await?,
                part => server.write_all(part).await?,
            },
            read = server.read(&mut response) => match &response[..read?] {
                [] => return Ok(()),
                part => client.write_all(part).await?,
            },
        }
    }
}

fn is_delete(request: &[u8], key: &str) -> bool {
    String::from_utf8_lossy(request)
        .lines()
        .next()
        .is_some_and(|line| line.starts_with("DELETE ") && line.contains(key))
}
