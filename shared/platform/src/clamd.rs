//! clamd, `ClamAV`'s daemon: asks whether it is there, and what it says of a stream of bytes (clamd(8), INSTREAM).
//!
//! A conversation is a connection of its own: nothing of one stream can be taken for a part of another.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// How long a connection may take to be there.
const CONNECT: Duration = Duration::from_secs(5);

/// How long clamd may take no byte of a stream.
const STALL: Duration = Duration::from_mins(1);

/// How long clamd may think about what it has been given.
const VERDICT: Duration = Duration::from_mins(4);

/// No reply is longer, in bytes.
const LONGEST_REPLY: u64 = 4 * 1024;

/// Bytes of a signature's name that are kept.
const LONGEST_NAME: usize = 200;

/// Signatures of this kind say that something was not looked at to its end (`AlertExceedsMax` in clamd.conf).
const LIMITS_EXCEEDED: &str = "Heuristics.Limits.Exceeded";

/// Where clamd listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `host:port`.
    Tcp(String),
    Unix(PathBuf),
}

/// What clamd says of a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Clean,
    /// With the name of the signature that was found.
    Infected(String),
    /// Longer than clamd looks at.
    TooLarge,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum ClamdError {
    #[error("clamd cannot be reached: {0}")]
    Connect(#[source] std::io::Error),
    #[error("the conversation with clamd broke off: {0}")]
    Broken(#[from] std::io::Error),
    #[error("clamd did not answer in time")]
    TimedOut,
    #[error("clamd answered {0:?}")]
    Unexpected(String),
    #[error("the content could not be read: {0}")]
    Content(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The way to one clamd.
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

    /// Whether it answers.
    pub async fn ping(&self) -> Result<(), ClamdError> {
        let mut socket = self.connect().await?;
        socket.write_all(b"zPING\0").await?;
        match in_time(CONNECT, reply(&mut socket)).await?.as_str() {
            "PONG" => Ok(()),
            other => Err(ClamdError::Unexpected(other.to_owned())),
        }
    }

    /// What it says of these bytes, which are given to it as they come.
    pub async fn scan<E>(
        &self,
        content: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<Verdict, ClamdError>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let socket = self.connect().await?;
        let (mut replies, mut requests) = tokio::io::split(socket);
        let answer = reply(&mut replies);
        tokio::pin!(answer);
        let is_whole = AtomicBool::new(false);
        let sent = tokio::select! {
            biased;
            // It has heard enough: what was sent is over its limit.
            early = &mut answer => return in_between(&early?, &is_whole),
            sent = send(&mut requests, content, &is_whole) => sent,
        };
        match sent {
            Ok(()) => verdict(&in_time(VERDICT, answer).await?),
            // It closes the connection when it has heard enough; what it said may be on its way.
            Err(ClamdError::Broken(error)) => match in_time(CONNECT, answer).await {
                Ok(said) => in_between(&said, &is_whole),
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
        let connected = timeout(CONNECT, connecting)
            .await
            .map_err(|_| ClamdError::TimedOut)?;
        connected.map_err(ClamdError::Connect)
    }
}

/// A verdict that came while bytes were sent: nothing is clean of which clamd has not heard the end.
fn in_between(reply: &str, is_whole: &AtomicBool) -> Result<Verdict, ClamdError> {
    match verdict(reply)? {
        Verdict::Clean if !is_whole.load(Ordering::Relaxed) => {
            Err(ClamdError::Unexpected(format!("{reply} before the end")))
        }
        verdict => Ok(verdict),
    }
}

/// Sends all of it; `is_whole` from when only the end is missing.
async fn send<E>(
    socket: &mut (impl AsyncWrite + Unpin),
    content: impl Stream<Item = Result<Bytes, E>>,
    is_whole: &AtomicBool,
) -> Result<(), ClamdError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    in_time(STALL, socket.write_all(b"zINSTREAM\0")).await?;
    let mut content = std::pin::pin!(content);
    while let Some(bytes) = content.next().await {
        let bytes = bytes.map_err(|error| ClamdError::Content(error.into()))?;
        // One of no bytes would be the end.
        if bytes.is_empty() {
            continue;
        }
        let length =
            u32::try_from(bytes.len()).map_err(|error| ClamdError::Content(error.into()))?;
        in_time(STALL, socket.write_all(&length.to_be_bytes())).await?;
        in_time(STALL, socket.write_all(&bytes)).await?;
    }
    is_whole.store(true, Ordering::Relaxed);
    in_time(STALL, socket.write_all(&0_u32.to_be_bytes())).await?;
    in_time(STALL, socket.flush()).await
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

/// What stands before the NUL that ends a reply.
async fn reply(socket: &mut (impl AsyncRead + Unpin)) -> Result<String, ClamdError> {
    let mut said = Vec::new();
    let mut socket = socket.take(LONGEST_REPLY);
    loop {
        match socket.read_buf(&mut said).await? {
            0 if said.is_empty() => {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
            // One that ends without its NUL is not whole.
            0 => {
                return Err(ClamdError::Unexpected(
                    String::from_utf8_lossy(&said).into_owned(),
                ));
            }
            _ => {}
        }
        if let Some(end) = said.iter().position(|byte| *byte == 0) {
            said.truncate(end);
            return Ok(String::from_utf8_lossy(&said).into_owned());
        }
    }
}

fn verdict(reply: &str) -> Result<Verdict, ClamdError> {
    if reply == "INSTREAM size limit exceeded. ERROR" {
        return Ok(Verdict::TooLarge);
    }
    let said = reply.strip_prefix("stream: ");
    if said == Some("OK") {
        return Ok(Verdict::Clean);
    }
    match said.and_then(|found| found.strip_suffix(" FOUND")) {
        Some(name) if name.starts_with(LIMITS_EXCEEDED) => Ok(Verdict::TooLarge),
        Some(name) if !name.is_empty() => Ok(Verdict::Infected(
            name.chars()
                .filter(char::is_ascii_graphic)
                .take(LONGEST_NAME)
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

    /// A clamd that reads so many bytes and the end, says this, and hangs up; what it was sent.
    async fn told(reads: usize, says: &'static [u8]) -> (Clamd, tokio::task::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let heard = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.expect("somebody comes");
            let mut heard = vec![0; reads];
            socket.read_exact(&mut heard).await.expect("it is sent");
            socket.write_all(says).await.expect("it is read");
            heard
        });
        (Clamd::new(Address::Tcp(address)), heard)
    }

    #[test]
    fn replies_are_read_as_clamd_means_them() {
        for (reply, expected) in [
            ("stream: OK", Verdict::Clean),
            (
                "stream: Eicar-Test-Signature FOUND",
                Verdict::Infected("Eicar-Test-Signature".to_owned()),
            ),
            ("stream: FOUND FOUND", Verdict::Infected("FOUND".to_owned())),
            (
                "stream: A\u{7}\nB FOUND",
                Verdict::Infected("AB".to_owned()),
            ),
            ("INSTREAM size limit exceeded. ERROR", Verdict::TooLarge),
            (
                "stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND",
                Verdict::TooLarge,
            ),
        ] {
            assert_eq!(verdict(reply).expect("it is one"), expected, "{reply}");
        }
    }

    #[test]
    fn nothing_else_is_a_verdict_least_of_all_that_something_is_clean() {
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
            assert!(verdict(reply).is_err(), "{reply:?} was taken for a verdict");
        }
    }

    #[tokio::test]
    async fn a_content_is_sent_in_chunks_with_their_lengths_and_an_end() {
        let (clamd, heard) = told(10 + 4 + 65_536 + 4 + 4 + 4, b"stream: OK\0").await;
        assert_eq!(
            clamd.scan(content(65_540)).await.expect("a verdict"),
            Verdict::Clean
        );
        let heard = heard.await.expect("it ended");
        assert_eq!(heard[..14], *b"zINSTREAM\0\0\x01\0\0");
        assert_eq!(heard[14 + 65_536..], [0, 0, 0, 4, 7, 7, 7, 7, 0, 0, 0, 0]);
        let (clamd, heard) = told(10 + 4, b"stream: OK\0").await;
        assert_eq!(
            clamd.scan(content(0)).await.expect("a verdict"),
            Verdict::Clean
        );
        assert_eq!(heard.await.expect("it ended"), *b"zINSTREAM\0\0\0\0\0");
    }

    #[tokio::test]
    async fn a_clamd_that_has_heard_enough_is_listened_to_while_there_is_more_to_say() {
        let (clamd, _heard) = told(100_000, b"INSTREAM size limit exceeded. ERROR\0").await;
        let chunk = Bytes::from(vec![7; 65_536]);
        let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(chunk.clone()));
        assert_eq!(
            clamd.scan(endless).await.expect("a verdict"),
            Verdict::TooLarge
        );
    }

    #[tokio::test]
    async fn nothing_is_clean_of_which_clamd_has_not_heard_the_end() {
        for reads in [14, 100_000] {
            let (clamd, heard) = told(reads, b"stream: OK\0").await;
            let chunk = Bytes::from(vec![7; 65_536]);
            let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(chunk.clone()));
            let scanned = clamd.scan(endless).await;
            assert!(scanned.is_err(), "{scanned:?} after {reads} bytes");
            heard.await.expect("it ended");
        }
    }

    #[tokio::test]
    async fn a_reply_that_is_cut_or_endless_is_no_verdict() {
        for says in [
            &b""[..],
            b"stream: OK",
            b"stream: OKstream: OK\0",
            &[b'x'; 5_000],
        ] {
            let (clamd, _heard) = told(14, says).await;
            assert!(clamd.scan(content(0)).await.is_err(), "{says:?}");
        }
    }

    #[tokio::test]
    async fn a_content_that_breaks_off_gets_no_verdict() {
        let (clamd, _heard) = told(10 + 4 + 3 + 4, b"stream: OK\0").await;
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
