//! A mail server of the test. The domain of a recipient decides its behaviour, and it records
//! accepted mails.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The behaviour for a recipient, by the domain of the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    Takes,
    /// Busy at the first try; accepts the second one.
    BusyOnce,
    /// Replies at the first try as if the service closed for everyone; accepts the second one.
    ClosesOnce,
    UnreadyOnce,
    Refuses,
    Hangs,
}

/// The server. Clones share its state.
#[derive(Clone)]
pub(super) struct MailServer {
    seen: Arc<Mutex<Seen>>,
    /// Whether it replies after it has accepted a mail.
    answers: Arc<watch::Sender<bool>>,
    /// Whether it replies at all.
    speaks: Arc<watch::Sender<bool>>,
}

#[derive(Default)]
struct Seen {
    tries: HashMap<String, usize>,
    taken: Vec<Taken>,
}

struct Taken {
    to: String,
    message_id: String,
}

impl MailServer {
    /// Starts a server and returns it with its URL.
    pub(super) async fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("smtp://{}", listener.local_addr().expect("it is bound"));
        let server = Self {
            seen: Arc::default(),
            answers: Arc::new(watch::Sender::new(true)),
            speaks: Arc::new(watch::Sender::new(true)),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let server = serving.clone();
                // A client that disconnects is no error.
                tokio::spawn(async move { server.converse(socket).await.ok() });
            }
        });
        (server, url)
    }

    /// Accepts mails without a reply until [`MailServer::answer`].
    pub(super) fn withhold_replies(&self) {
        self.answers.send_replace(false);
    }

    /// Sends the replies that it has held back.
    pub(super) fn answer(&self) {
        self.answers.send_replace(true);
    }

    /// Accepts connections without any reply until [`MailServer::resume_replying`].
    pub(super) fn stop_replying(&self) {
        self.speaks.send_replace(false);
    }

    pub(super) fn resume_replying(&self) {
        self.speaks.send_replace(true);
    }

    /// The server and its conversations end with the test.
    async fn until_it_speaks(&self) {
        let _ = self.speaks.subscribe().wait_for(|speaks| *speaks).await;
    }

    /// Returns the Message-IDs of the accepted mails to this address.
    pub(super) fn taken_for(&self, address: &str) -> Vec<String> {
        let seen = self.seen();
        seen.taken
            .iter()
            .filter(|mail| mail.to == address)
            .map(|mail| mail.message_id.clone())
            .collect()
    }

    /// Returns the number of accepted mails.
    pub(super) fn taken(&self) -> usize {
        self.seen().taken.len()
    }

    async fn converse(&self, socket: TcpStream) -> std::io::Result<()> {
        let mut socket = BufReader::new(socket);
        self.until_it_speaks().await;
        socket.write_all(b"220 test\r\n").await?;
        let mut recipient = String::new();
        let mut line = String::new();
        loop {
            line.clear();
            if socket.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            self.until_it_speaks().await;
            let reply = match line.get(..4).unwrap_or_default() {
                "EHLO" | "MAIL" | "RSET" | "NOOP" => "250 so be it\r\n",
                "RCPT" => {
                    let address = line.split(['<', '>']).nth(1).unwrap_or_default();
                    address.clone_into(&mut recipient);
                    match self.manner_to(address) {
                        Behaviour::Takes => "250 so be it\r\n",
                        Behaviour::BusyOnce => "451 later\r\n",
                        Behaviour::ClosesOnce => "421 too many mails for this recipient\r\n",
                        Behaviour::UnreadyOnce => "454 not ready for this recipient\r\n",
                        Behaviour::Refuses => "550 no such user\r\n",
                        Behaviour::Hangs => std::future::pending().await,
                    }
                }
                "DATA" => {
                    socket.write_all(b"354 send the message\r\n").await?;
                    let message_id = read_mail(&mut socket).await?;
                    self.seen().taken.push(Taken {
                        to: recipient.clone(),
                        message_id,
                    });
                    // The server and this conversation end with the test.
                    let _ = self.answers.subscribe().wait_for(|answers| *answers).await;
                    "250 taken\r\n"
                }
                _ => return socket.write_all(b"221 bye\r\n").await,
            };
            socket.write_all(reply.as_bytes()).await?;
        }
    }

    fn manner_to(&self, address: &str) -> Behaviour {
        let mut seen = self.seen();
        let tries = seen.tries.entry(address.to_owned()).or_default();
        *tries += 1;
        match address.rsplit('@').next() {
            Some("busy.example") if *tries == 1 => Behaviour::BusyOnce,
            Some("closing.example") if *tries == 1 => Behaviour::ClosesOnce,
            Some("unready.example") if *tries == 1 => Behaviour::UnreadyOnce,
            Some("refused.example") => Behaviour::Refuses,
            Some("hangs.example") => Behaviour::Hangs,
            _ => Behaviour::Takes,
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no holder panics")
    }
}

/// Reads a mail to its end and returns its Message-ID.
async fn read_mail(socket: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut message_id = String::new();
    let mut line = String::new();
    while line != ".\r\n" {
        line.clear();
        if socket.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(id) = line.strip_prefix("Message-ID: ") {
            id.trim().clone_into(&mut message_id);
        }
    }
    Ok(message_id)
}
