//! A client of clamd, `ClamAV`'s daemon: checks that it answers, and scans a stream of bytes
//! (clamd(8), INSTREAM).
//!
//! Each request opens its own connection, so that bytes of two streams cannot mix.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// Limit for opening a connection, and for a reply that should already be on its way.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long clamd may accept no byte of a stream.
const WRITE_TIMEOUT: Duration = Duration::from_mins(1);

/// How long clamd may scan after the last byte was sent.
const SCAN_TIMEOUT: Duration = Duration::from_mins(4);

/// The longest reply that is read, in bytes.
const MAX_REPLY_BYTES: u64 = 4 * 1024;

/// Bytes of a signature's name that are kept; the rest is cut off.
const MAX_SIGNATURE_BYTES: usize = 200;

/// Prefix of the signatures by which clamd reports that it did not scan a file to its end
/// (`AlertExceedsMax` in clamd.conf).
const LIMITS_EXCEEDED_PREFIX: &str = "Heuristics.Limits.Exceeded";

/// The address at which clamd listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `host:port`.
    Tcp(String),
    Unix(PathBuf),
}

/// The result of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScanResult {
    Clean,
    /// Contains the name of the matching signature.
    Infected(String),
    /// The stream exceeds clamd's limits, so it was not scanned completely.
    TooLarge,
}

/// The reason why a scan or a ping has no result.
#[derive(Debug, thiserror::Error)]
pub enum ClamdError {
    #[error("failed to connect to clamd: {0}")]
    Connect(#[source] std::io::Error),
    #[error("connection to clamd failed: {0}")]
    Broken(#[from] std::io::Error),
    #[error("clamd did not answer in time")]
    TimedOut,
    #[error("clamd sent an unexpected reply: {0:?}")]
    Unexpected(String),
    #[error("failed to read the content to scan: {0}")]
    Content(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A client of one clamd.
#[derive(Debug, Clone)]
pub struct Clamd {
    address: Address,
}

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

impl Clamd {
    pub fn new(address: Address) -> Self {
        Self { address }
    }

    /// Checks that clamd answers.
    pub async fn ping(&self) -> Result<(), ClamdError> {
        let mut socket = self.connect().await?;
        socket.write_all(b"zPING\0").await?;
        match in_time(CONNECT_TIMEOUT, read_reply(&mut socket))
            .await?
            .as_str()
        {
            "PONG" => Ok(()),
            other => Err(ClamdError::Unexpected(other.to_owned())),
        }
    }

    /// Scans the content, which is sent to clamd as it arrives.
    pub async fn scan<E>(
        &self,
        content: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<ScanResult, ClamdError>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let socket = self.connect().await?;
        let (mut replies, mut requests) = tokio::io::split(socket);
        let answer = read_reply(&mut replies);
        tokio::pin!(answer);
        let is_complete = AtomicBool::new(false);
        let sent = tokio::select! {
            biased;
            // clamd replies before the end if the stream exceeds its limit.
            early = &mut answer => return parse_early_reply(&early?, &is_complete),
            sent = send(&mut requests, content, &is_complete) => sent,
        };
        match sent {
            Ok(()) => parse_reply(&in_time(SCAN_TIMEOUT, answer).await?),
            // clamd closes the connection after an early reply, which may still arrive.
            Err(ClamdError::Broken(error)) => match in_time(CONNECT_TIMEOUT, answer).await {
                Ok(reply) => parse_early_reply(&reply, &is_complete),
                Err(_) => Err(error.into()),
            },
            Err(error) => Err(error),
        }
    }

    async fn connect(&self) -> Result<Box<dyn Socket>, ClamdError> {
        let connecting = async {
            Ok::<Box<dyn Socket>, std::io::Error>(match &self.address {
                Address::Tcp(address) => {
                    let socket = TcpStream::connect(address).await?;
                    socket.set_nodelay(true)?;
                    Box::new(socket)
                }
                Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
            })
        };
        let connected = timeout(CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_| ClamdError::TimedOut)?;
        connected.map_err(ClamdError::Connect)
    }
}

/// Parses a reply that arrived before the end was sent. `Clean` counts only if clamd has received
/// all of the content.
fn parse_early_reply(reply: &str, is_complete: &AtomicBool) -> Result<ScanResult, ClamdError> {
    match parse_reply(reply)? {
        ScanResult::Clean if !is_complete.load(Ordering::Relaxed) => Err(ClamdError::Unexpected(
            format!("{reply} before the end of the stream"),
        )),
        result => Ok(result),
    }
}

/// Sends the content. Sets `is_complete` when only the end marker is missing.
async fn send<E>(
    socket: &mut (impl AsyncWrite + Unpin),
    content: impl Stream<Item = Result<Bytes, E>>,
    is_complete: &AtomicBool,
) -> Result<(), ClamdError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    in_time(WRITE_TIMEOUT, socket.write_all(b"zINSTREAM\0")).await?;
    let mut content = std::pin::pin!(content);
    while let Some(bytes) = content.next().await {
        let bytes = bytes.map_err(|error| ClamdError::Content(error.into()))?;
        // An empty chunk would mark the end of the stream.
        if bytes.is_empty() {
            continue;
        }
        let length =
            u32::try_from(bytes.len()).map_err(|error| ClamdError::Content(error.into()))?;
        in_time(WRITE_TIMEOUT, socket.write_all(&length.to_be_bytes())).await?;
        in_time(WRITE_TIMEOUT, socket.write_all(&bytes)).await?;
    }
    is_complete.store(true, Ordering::Relaxed);
    in_time(WRITE_TIMEOUT, socket.write_all(&0_u32.to_be_bytes())).await?;
    in_time(WRITE_TIMEOUT, socket.flush()).await
}

async fn in_time<T, E: Into<ClamdError>>(
    limit: Duration,
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, ClamdError> {
    timeout(limit, step)
        .await
        .map_err(|_| ClamdError::TimedOut)?
        .map_err(Into::into)
}

/// Reads a reply up to the NUL that ends it.
async fn read_reply(socket: &mut (impl AsyncRead + Unpin)) -> Result<String, ClamdError> {
    let mut reply = Vec::new();
    let mut socket = socket.take(MAX_REPLY_BYTES);
    loop {
        match socket.read_buf(&mut reply).await? {
            0 if reply.is_empty() => {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
            // A reply without its NUL is incomplete.
            0 => {
                return Err(ClamdError::Unexpected(
                    String::from_utf8_lossy(&reply).into_owned(),
                ));
            }
            _ => {}
        }
        if let Some(end) = reply.iter().position(|byte| *byte == 0) {
            reply.truncate(end);
            return Ok(String::from_utf8_lossy(&reply).into_owned());
        }
    }
}

fn parse_reply(reply: &str) -> Result<ScanResult, ClamdError> {
    if reply == "INSTREAM size limit exceeded. ERROR" {
        return Ok(ScanResult::TooLarge);
    }
    let outcome = reply.strip_prefix("stream: ");
    if outcome == Some("OK") {
        return Ok(ScanResult::Clean);
    }
    match outcome.and_then(|outcome| outcome.strip_suffix(" FOUND")) {
        Some(name) if name.starts_with(LIMITS_EXCEEDED_PREFIX) => Ok(ScanResult::TooLarge),
        Some(name) if !name.is_empty() => Ok(ScanResult::Infected(
            name.chars()
                .filter(char::is_ascii_graphic)
                .take(MAX_SIGNATURE_BYTES)
                .collect(),
        )),
        _ => Err(ClamdError::Unexpected(reply.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use tokio::net::TcpListener;

    use super::*;

    fn content(bytes: usize) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
        let chunks = vec![64 * 1024; bytes / (64 * 1024)]
            .into_iter()
            .chain([bytes % (64 * 1024)]);
        stream::iter(chunks.map(|length| Ok(Bytes::from(vec![7; length]))))
    }

    /// Starts a fake clamd that reads `request_bytes`, sends `response` and closes the connection.
    /// The task returns the bytes that it received.
    async fn fake_clamd(
        request_bytes: usize,
        response: &'static [u8],
    ) -> (Clamd, tokio::task::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("is bound").to_string();
        let received = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.expect("a client connects");
            let mut received = vec![0; request_bytes];
            socket
                .read_exact(&mut received)
                .await
                .expect("the client sends the bytes");
            socket
                .write_all(response)
                .await
                .expect("the client reads the response");
            received
        });
        (Clamd::new(Address::Tcp(address)), received)
    }

    #[test]
    fn every_reply_of_clamd_is_parsed() {
        for (reply, expected) in [
            ("stream: OK", ScanResult::Clean),
            (
                "stream: Eicar-Test-Signature FOUND",
                ScanResult::Infected("Eicar-Test-Signature".to_owned()),
            ),
            (
                "stream: FOUND FOUND",
                ScanResult::Infected("FOUND".to_owned()),
            ),
            (
                "stream: A\u{7}\nB FOUND",
                ScanResult::Infected("AB".to_owned()),
            ),
            ("INSTREAM size limit exceeded. ERROR", ScanResult::TooLarge),
            (
                "stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND",
                ScanResult::TooLarge,
            ),
        ] {
            assert_eq!(parse_reply(reply).expect("a result"), expected, "{reply}");
        }
    }

    #[test]
    fn any_other_reply_is_an_error() {
        for reply in [
            "",
            "OK",
            "stream:OK",
            "stream: ",
            "stream: ok",
            "stream: OK ",
            "stream:  FOUND",
            "stream:  OK",
            "stream: FOUND",
            "COMMAND READ TIMED OUT",
            "UNKNOWN COMMAND",
            "stream: Can't allocate memory ERROR",
            "stream: INSTREAM size limit exceeded. ERROR",
            "HTTP/1.1 400 Bad Request",
        ] {
            assert!(parse_reply(reply).is_err(), "{reply:?} was accepted");
        }
    }

    #[tokio::test]
    async fn content_is_sent_in_length_prefixed_chunks_and_an_end_marker() {
        let (clamd, received) = fake_clamd(10 + 4 + 65_536 + 4 + 4 + 4, b"stream: OK\0").await;
        assert_eq!(
            clamd.scan(content(65_540)).await.expect("a result"),
            ScanResult::Clean
        );
        let received = received.await.expect("the fake clamd ended");
        assert_eq!(received[..14], *b"zINSTREAM\0\0\x01\0\0");
        assert_eq!(
            received[14 + 65_536..],
            [0, 0, 0, 4, 7, 7, 7, 7, 0, 0, 0, 0]
        );
        let (clamd, received) = fake_clamd(10 + 4, b"stream: OK\0").await;
        assert_eq!(
            clamd.scan(content(0)).await.expect("a result"),
            ScanResult::Clean
        );
        assert_eq!(
            received.await.expect("the fake clamd ended"),
            *b"zINSTREAM\0\0\0\0\0"
        );
    }

    #[tokio::test]
    async fn an_early_too_large_reply_ends_the_scan() {
        let (clamd, _received) =
            fake_clamd(100_000, b"INSTREAM size limit exceeded. ERROR\0").await;
        let chunk = Bytes::from(vec![7; 65_536]);
        let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(chunk.clone()));
        assert_eq!(
            clamd.scan(endless).await.expect("a result"),
            ScanResult::TooLarge
        );
    }

    #[tokio::test]
    async fn an_ok_before_the_end_of_the_stream_is_an_error() {
        for request_bytes in [14, 100_000] {
            let (clamd, received) = fake_clamd(request_bytes, b"stream: OK\0").await;
            let chunk = Bytes::from(vec![7; 65_536]);
            let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(chunk.clone()));
            let scanned = clamd.scan(endless).await;
            assert!(scanned.is_err(), "{scanned:?} after {request_bytes} bytes");
            received.await.expect("the fake clamd ended");
        }
    }

    #[tokio::test]
    async fn a_truncated_or_endless_reply_is_an_error() {
        for response in [
            &b""[..],
            b"stream: OK",
            b"stream: OKstream: OK\0",
            &[b'x'; 5_000],
        ] {
            let (clamd, _received) = fake_clamd(14, response).await;
            assert!(clamd.scan(content(0)).await.is_err(), "{response:?}");
        }
    }

    #[tokio::test]
    async fn content_that_cannot_be_read_to_its_end_is_an_error() {
        let (clamd, _received) = fake_clamd(10 + 4 + 3 + 4, b"stream: OK\0").await;
        let broken = stream::iter([
            Ok(Bytes::from_static(b"abc")),
            Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)),
        ]);
        assert!(matches!(
            clamd.scan(broken).await,
            Err(ClamdError::Content(_))
        ));
    }
}
