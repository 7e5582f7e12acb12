//! The receiving side of SMTP: mailin implements the protocol; this module reads the lines and
//! bounds their size.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use mailin::{Action, Handler, Response, Session, SessionBuilder};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::conformance;
use super::message::Envelope;
use super::store::Store;

/// The reply code after which the message comes (RFC 5321, section 4.3.2).
const START_OF_DATA: u16 = 354;
/// Bytes of a message, with its headers.
const MAX_MESSAGE_BYTES: usize = 25 * 1024 * 1024;
/// RFC 5321 asks for 1000; senders of long HTML lines are let through.
const MAX_LINE_BYTES: usize = 1024 * 1024;

/// Accepts connections until `stop` is cancelled.
pub(crate) async fn serve(listener: TcpListener, store: Store, stop: CancellationToken) {
    loop {
        let connection = tokio::select! {
            () = stop.cancelled() => return,
            connection = listener.accept() => connection,
        };
        if let Ok((socket, _)) = connection {
            let (store, stop) = (store.clone(), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    // A client that disconnects is no error.
                    _ = converse(socket, store) => {}
                }
            });
        }
    }
}

async fn converse(socket: TcpStream, store: Store) -> io::Result<()> {
    let remote = socket.peer_addr()?.ip();
    socket.set_nodelay(true)?;
    let (reader, writer) = socket.into_split();
    talk(BufReader::new(reader), writer, remote, store).await
}

/// One whole conversation, from the greeting to the end of the input.
async fn talk(
    mut reader: impl AsyncBufRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    remote: IpAddr,
    store: Store,
) -> io::Result<()> {
    let raw = RawMessage::default();
    let mut session =
        SessionBuilder::new("plinth-mailbox").build(remote, Receiver::new(store, raw.clone()));
    writer.write_all(&session.greeting().buffer()?).await?;
    let (mut line, mut is_data) = (Vec::new(), false);
    while read_line(&mut reader, &mut line).await? {
        if is_data {
            raw.push(&line);
        }
        end_with_crlf(&mut line);
        let response = answer(&mut session, &line, &mut writer).await?;
        if response.action == Action::Close {
            break;
        }
        is_data = response.code == START_OF_DATA || (is_data && response.action == Action::NoReply);
    }
    writer.flush().await
}

/// Gives the session one line.
async fn answer(
    session: &mut Session<Receiver>,
    line: &[u8],
    writer: &mut (impl AsyncWrite + Unpin),
) -> io::Result<Response> {
    let response = session.process(line);
    if response.action != Action::NoReply {
        writer.write_all(&response.buffer()?).await?;
    }
    Ok(response)
}

/// Makes a bare LF a CRLF, because hand-typed mail has it.
fn end_with_crlf(line: &mut Vec<u8>) {
    line.pop();
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    line.extend_from_slice(b"\r\n");
}

/// Reads one line with its end; false at the end of the input.
async fn read_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> io::Result<bool> {
    line.clear();
    loop {
        let chunk = reader.fill_buf().await?;
        if chunk.is_empty() {
            return Ok(false);
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let take = end.map_or(chunk.len(), |end| end + 1);
        line.extend_from_slice(&chunk[..take]);
        reader.consume(take);
        if line.len() > MAX_LINE_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "line too long"));
        }
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// The lines after DATA as they came over the wire, which mailin does not give.
#[derive(Clone, Default)]
struct RawMessage(Arc<Mutex<Vec<u8>>>);

impl RawMessage {
    fn push(&self, line: &[u8]) {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A larger message is refused at its end.
        if bytes.len() <= MAX_MESSAGE_BYTES {
            bytes.extend_from_slice(line);
        }
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Collects one message at a time for the store.
struct Receiver {
    store: Store,
    raw: RawMessage,
    envelope: Envelope,
    is_8bit: bool,
    bytes: Vec<u8>,
    too_large: bool,
}

impl Receiver {
    fn new(store: Store, raw: RawMessage) -> Self {
        Self {
            store,
            raw,
            envelope: Envelope::default(),
            is_8bit: false,
            bytes: Vec::new(),
            too_large: false,
        }
    }
}

impl Handler for Receiver {
    fn data_start(&mut self, _domain: &str, from: &str, is_8bit: bool, to: &[String]) -> Response {
        self.envelope = Envelope {
            from: from.to_owned(),
            to: to.to_vec(),
        };
        self.is_8bit = is_8bit;
        self.bytes.clear();
        self.raw.take();
        self.too_large = false;
        mailin::response::OK
    }

    /// Reads a message that is too large to its end and refuses it there: clients expect no answer
    /// before.
    fn data(&mut self, line: &[u8]) -> io::Result<()> {
        if self.bytes.len() + line.len() > MAX_MESSAGE_BYTES {
            self.too_large = true;
            self.bytes.clear();
        }
        if !self.too_large {
            self.bytes.extend_from_slice(line);
        }
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        if self.too_large {
            let mut refusal = mailin::response::NO_STORAGE;
            // mailin 0.6 stays in DATA after a refusal here: only a closed
            // connection is a state that the client can tell.
            refusal.action = Action::Close;
            return refusal;
        }
        let raw = self.raw.take();
        let message = raw.strip_suffix(b".\r\n").unwrap_or(&raw);
        let objections = conformance::objections(message, self.is_8bit);
        self.store.receive(&self.envelope, &self.bytes, objections);
        self.bytes.clear();
        mailin::response::OK
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    /// Runs a whole client script and returns what the client saw.
    async fn run(script: &[u8], store: &Store) -> String {
        let mut seen = Vec::new();
        let home = IpAddr::V4(Ipv4Addr::LOCALHOST);
        talk(script, &mut seen, home, store.clone()).await.unwrap();
        String::from_utf8(seen).unwrap()
    }

    fn codes(seen: &str) -> Vec<&str> {
        seen.lines()
            .filter(|line| line.as_bytes()[3] == b' ')
            .map(|line| &line[..3])
            .collect()
    }

    const HEAD: &[u8] = b"EHLO test\r\nMAIL FROM:<a@x.org>\r\nRCPT TO:<b@y.org>\r\nDATA\r\n";

    #[tokio::test]
    async fn a_message_is_taken_with_its_envelope() {
        let store = Store::default();
        let script = [
            HEAD,
            b"Subject: hi\r\n\r\nbody\r\n.\r\nNOOP\r\nRSET\r\nQUIT\r\n",
        ]
        .concat();
        let seen = run(&script, &store).await;
        assert_eq!(
            codes(&seen),
            [
                "220", "250", "250", "250", "354", "250", "250", "250", "221"
            ]
        );
        let messages = store.list(Some("b@y.org"));
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].from, "a@x.org");
        assert_eq!(messages[0].subject, "hi");
        assert!(store.list(Some("c@y.org")).is_empty());
    }

    #[tokio::test]
    async fn what_a_strict_server_would_refuse_is_taken_and_objected_to() {
        let store = Store::default();
        let script = [HEAD, b"Subject: hi\r\n\r\n.body\n\r\n.\r\nQUIT\r\n"].concat();
        assert_eq!(
            codes(&run(&script, &store).await),
            ["220", "250", "250", "250", "354", "250", "221"]
        );
        let objections = &store.list(None)[0].objections;
        for expected in ["CRLF: \".body", "not doubled", "exactly once: \"date\""] {
            assert!(
                objections.iter().any(|found| found.contains(expected)),
                "{expected}: {objections:?}"
            );
        }
    }

    #[tokio::test]
    async fn commands_out_of_order_and_unknown_ones_are_refused() {
        let store = Store::default();
        let seen = run(b"EHLO x\r\nDATA\r\nFROB\r\nQUIT\r\n", &store).await;
        assert_eq!(codes(&seen), ["220", "250", "503", "500", "221"]);
    }

    #[tokio::test]
    async fn a_connection_may_carry_several_messages_newest_first() {
        let store = Store::default();
        let mail = [&HEAD[11..], b"Subject: one\r\n\r\n1\r\n.\r\n"].concat();
        let next = [&HEAD[11..], b"Subject: two\r\n\r\n2\r\n.\r\n"].concat();
        run(&[b"EHLO test\r\n", mail.as_slice(), &next].concat(), &store).await;
        let subjects: Vec<_> = store
            .list(None)
            .into_iter()
            .map(|message| message.subject)
            .collect();
        assert_eq!(subjects, ["two", "one"]);
    }

    #[tokio::test]
    async fn a_message_over_the_limit_is_refused() {
        let store = Store::default();
        let mut script = HEAD.to_vec();
        let line = [vec![b'x'; 998], b"\r\n".to_vec()].concat();
        for _ in 0..=MAX_MESSAGE_BYTES / line.len() {
            script.extend_from_slice(&line);
        }
        script.extend_from_slice(b".\r\nNOOP\r\n");
        let seen = run(&script, &store).await;
        assert_eq!(codes(&seen), ["220", "250", "250", "250", "354", "552"]);
        assert!(store.list(None).is_empty());
    }

    #[tokio::test]
    async fn an_endless_line_ends_the_conversation() {
        let script = vec![b'A'; MAX_LINE_BYTES + 2];
        let home = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let ended = talk(script.as_slice(), Vec::new(), home, Store::default()).await;
        assert!(ended.is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The dots that a correct client stuffs are removed.
        #[test]
        fn dots_are_unstuffed(lines in proptest::collection::vec("[.a-z ]{0,20}", 0..20)) {
            let mut script = HEAD.to_vec();
            script.extend_from_slice(b"Content-Type: text/plain\r\n\r\n");
            for line in &lines {
                if line.starts_with('.') {
                    script.push(b'.');
                }
                script.extend_from_slice(line.as_bytes());
                script.extend_from_slice(b"\r\n");
            }
            script.extend_from_slice(b".\r\n");
            let store = Store::default();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(run(&script, &store));
            let text = store.list(None)[0].text.clone().unwrap_or_default();
            let sent: String = lines.iter().flat_map(|line| [line.as_str(), "\r\n"]).collect();
            prop_assert_eq!(text, sent);
        }

        /// No bytes whatever make the receiver panic.
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let home = IpAddr::V4(Ipv4Addr::LOCALHOST);
            let _ = runtime.block_on(talk(bytes.as_slice(), Vec::new(), home, Store::default()));
        }
    }
}
