//! A mail server of the test's own: it knows how to behave to whom, and remembers what it took.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the server says to a recipient; the domain of the address decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Takes,
    /// At first; it takes the next try.
    BusyOnce,
    /// At first, as if it closed for everyone; it takes the next try.
    ClosesOnce,
    UnreadyOnce,
    Refuses,
    Hangs,
}

/// The server. Clones are the same one.
#[derive(Clone)]
pub(super) struct MailServer {
    seen: Arc<Mutex<Seen>>,
    /// Whether it says that it has taken a mail.
    answers: Arc<watch::Sender<bool>>,
    /// Whether it says anything at all.
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
    /// Starts it; it and its URL.
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
                // A client that goes away in the middle is nothing to tell.
                tokio::spawn(async move { server.converse(socket).await.ok() });
            }
        });
        (server, url)
    }

    /// From now on it takes mails and does not say so, until [`MailServer::answer`].
    pub(super) fn keep_silent(&self) {
        self.answers.send_replace(false);
    }

    /// Says what it has kept to itself.
    pub(super) fn answer(&self) {
        self.answers.send_replace(true);
    }

    /// From now on it takes connections and says nothing, until [`MailServer::speak`].
    pub(super) fn fall_silent(&self) {
        self.speaks.send_replace(false);
    }

    pub(super) fn speak(&self) {
        self.speaks.send_replace(true);
    }

    /// The server goes with the test, and its conversations with it.
    async fn until_it_speaks(&self) {
        let _ = self.speaks.subscribe().wait_for(|speaks| *speaks).await;
    }

    /// The Message-IDs of the mails to this address that it took.
    pub(super) fn taken_for(&self, address: &str) -> Vec<String> {
        let seen = self.seen();
        seen.taken
            .iter()
            .filter(|mail| mail.to == address)
            .map(|mail| mail.message_id.clone())
            .collect()
    }

    /// How many mails it took.
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
                        Manner::Takes => "250 so be it\r\n",
                        Manner::BusyOnce => "451 later\r\n",
                        Manner::ClosesOnce => "421 too many mails for this recipient\r\n",
                        Manner::UnreadyOnce => "454 not ready for this recipient\r\n",
                        Manner::Refuses => "550 nobody of that name\r\n",
                        Manner::Hangs => std::future::pending().await,
                    }
                }
                "DATA" => {
                    socket.write_all(b"354 go on\r\n").await?;
                    let message_id = read_mail(&mut socket).await?;
                    self.seen().taken.push(Taken {
                        to: recipient.clone(),
                        message_id,
                    });
                    // The server goes with the test, and this conversation with it.
                    let _ = self.answers.subscribe().wait_for(|answers| *answers).await;
                    "250 taken\r\n"
                }
                _ => return socket.write_all(b"221 bye\r\n").await,
            };
            socket.write_all(reply.as_bytes()).await?;
        }
    }

    fn manner_to(&self, address: &str) -> Manner {
        let mut seen = self.seen();
        let tries = seen.tries.entry(address.to_owned()).or_default();
        *tries += 1;
        match address.rsplit('@').next() {
            Some("busy.example") if *tries == 1 => Manner::BusyOnce,
            Some("closing.example") if *tries == 1 => Manner::ClosesOnce,
            Some("unready.example") if *tries == 1 => Manner::UnreadyOnce,
            Some("refused.example") => Manner::Refuses,
            Some("hangs.example") => Manner::Hangs,
            _ => Manner::Takes,
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no holder panics")
    }
}

/// Reads a mail to its end; its Message-ID.
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
