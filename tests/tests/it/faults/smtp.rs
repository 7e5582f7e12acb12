//! The mail server refuses, is busy, or says nothing any more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use plinth_testkit::{Process, Stage};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::house::{Door, count, until_none};

/// What the server says to a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Takes,
    /// At first; it takes the next try.
    BusyOnce,
    Refuses,
    Hangs,
}

/// A mail server that knows how to behave to whom.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    tries: HashMap<String, usize>,
    taken: Vec<String>,
}

impl Server {
    /// Starts it; its URL.
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("smtp://{}", listener.local_addr().expect("it is bound"));
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let server = server.clone();
                // A client that goes away in the middle is nothing to tell.
                tokio::spawn(async move { server.converse(socket).await.ok() });
            }
        });
        url
    }

    async fn converse(&self, socket: TcpStream) -> std::io::Result<()> {
        let mut socket = BufReader::new(socket);
        socket.write_all(b"220 test\r\n").await?;
        let mut recipient = String::new();
        let mut line = String::new();
        loop {
            line.clear();
            if socket.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let reply = match line.get(..4).unwrap_or_default() {
                "EHLO" | "MAIL" | "RSET" | "NOOP" => "250 so be it\r\n",
                "RCPT" => {
                    let address = line.split(['<', '>']).nth(1).unwrap_or_default();
                    address.clone_into(&mut recipient);
                    match self.manner_to(address) {
                        Manner::Takes => "250 so be it\r\n",
                        Manner::BusyOnce => "451 later\r\n",
                        Manner::Refuses => "550 nobody of that name\r\n",
                        Manner::Hangs => std::future::pending().await,
                    }
                }
                "DATA" => {
                    socket.write_all(b"354 go on\r\n").await?;
                    while line != ".\r\n" {
                        line.clear();
                        socket.read_line(&mut line).await?;
                    }
                    self.0.lock().expect("no holder panics").taken.push(recipient.clone());
                    "250 taken\r\n"
                }
                _ => return socket.write_all(b"221 bye\r\n").await,
            };
            socket.write_all(reply.as_bytes()).await?;
        }
    }

    /// The domain says it.
    fn manner_to(&self, address: &str) -> Manner {
        let mut seen = self.0.lock().expect("no holder panics");
        let tries = seen.tries.entry(address.to_owned()).or_default();
        *tries += 1;
        match address.rsplit('@').next() {
            Some("busy.example") if *tries == 1 => Manner::BusyOnce,
            Some("refused.example") => Manner::Refuses,
            Some("hangs.example") => Manner::Hangs,
            _ => Manner::Takes,
        }
    }

    fn taken(&self, address: &str) -> usize {
        let seen = self.0.lock().expect("no holder panics");
        seen.taken.iter().filter(|taken| *taken == address).count()
    }
}

#[tokio::test]
async fn a_busy_server_gets_the_mail_once_and_a_refusal_is_a_dead_letter() {
    let server = Server::default();
    let stage = Stage::open().await.with("PLINTH_SMTP_URL", &server.start().await);
    let api = Process::api(&stage).await;
    let worker = Process::worker_with(&stage, &["--queues", "email"]).await;
    let door = Door::of(&api);
    door.register("ada@busy.example").await;
    door.register("bob@refused.example").await;
    let stores = stage.stores();
    let unfinished = "SELECT count(*) FROM jobs WHERE state NOT IN ('done', 'dead')";
    until_none(&stores, "both have ended", unfinished).await;
    assert_eq!(server.taken("ada@busy.example"), 1);
    assert_eq!(count(&stores, "SELECT count(*) FROM jobs WHERE state = 'done' AND attempt = 2").await, 1);
    let refused =
        "SELECT count(*) FROM jobs WHERE state = 'dead' AND attempt = 1 AND last_error LIKE '%550%'";
    assert_eq!(count(&stores, refused).await, 1);
    let accepted = "SELECT count(*) FROM sent_mails WHERE accepted_at IS NOT NULL";
    assert_eq!(count(&stores, accepted).await, 1);
    assert!(worker.stop().await.success());
}

#[tokio::test]
async fn a_domain_that_says_nothing_holds_up_its_own_mails_only() {
    let server = Server::default();
    let stage = Stage::open()
        .await
        .with("PLINTH_SMTP_URL", &server.start().await)
        .with("PLINTH_SMTP_PER_DOMAIN", "1")
        .with("PLINTH_WORKER_CONCURRENCY", "2");
    let api = Process::api(&stage).await;
    let worker = Process::worker_with(&stage, &["--queues", "email"]).await;
    let door = Door::of(&api);
    for name in ["one", "two", "three", "four"] {
        door.register(&format!("{name}@hangs.example")).await;
    }
    for name in ["one", "two", "three", "four"] {
        door.register(&format!("{name}@quick.example")).await;
    }
    let stores = stage.stores();
    let quick = "SELECT 4 - count(*) FROM sent_mails WHERE accepted_at IS NOT NULL";
    until_none(&stores, "the others have their mails", quick).await;
    // Of four one is held, and none of the others has a slot.
    assert_eq!(count(&stores, "SELECT count(*) FROM jobs WHERE state = 'running'").await, 1);
    assert_eq!(count(&stores, "SELECT count(*) FROM jobs WHERE parked").await, 3);
    worker.kill().await;
}
