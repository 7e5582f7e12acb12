//! Chromium, driven by the DevTools protocol over its pipe: JSON messages that end with a zero
//! byte.

use std::path::Path;
use std::process::Stdio;

use plinth_testkit::PATIENCE;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Switches off what needs the internet, which tests do not have.
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
];

/// Chromium reads commands from descriptor 3 and writes answers to descriptor 4.
const PIPES: &str = "exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>&1";

/// A browser with one page. Dropping it kills the process.
pub(super) struct Chromium {
    _child: Child,
    _profile: TempDir,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Names of the events that came before an awaited answer.
    events: Vec<String>,
    last_id: u64,
    session: Option<String>,
}

impl Chromium {
    /// Starts a browser with an empty page.
    pub(super) async fn start(program: &Path) -> Self {
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let mut command = Command::new("sh");
        command.args(["-c", PIPES]).arg(program).args(FLAGS);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("a shell starts");
        let commands = child.stdin.take().expect("is piped");
        let answers = BufReader::new(child.stdout.take().expect("is piped"));
        let mut browser = Self {
            _child: child,
            _profile: profile,
            commands,
            answers,
            events: Vec::new(),
            last_id: 0,
            session: None,
        };
        let target = browser
            .ask("Target.createTarget", json!({ "url": "about:blank" }))
            .await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.ask("Target.attachToTarget", attach).await;
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        browser
    }

    /// Gives the page its own authenticator, which verifies its user at once.
    pub(super) async fn add_authenticator(&mut self) {
        self.ask("WebAuthn.enable", json!({})).await;
        let options = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
            "isUserVerified": true, "automaticPresenceSimulation": true,
        });
        self.ask(
            "WebAuthn.addVirtualAuthenticator",
            json!({ "options": options }),
        )
        .await;
    }

    /// Goes to a page and waits until it is loaded.
    pub(super) async fn open(&mut self, url: &str) {
        self.ask("Page.enable", json!({})).await;
        self.events.clear();
        self.ask("Page.navigate", json!({ "url": url })).await;
        self.event("Page.loadEventFired").await;
    }

    /// Returns the value of an expression of the page, or the message of its exception.
    pub(super) async fn evaluate(&mut self, expression: &str) -> Result<Value, String> {
        // A passkey needs a user gesture.
        let options = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true,
        });
        let answer = self.ask("Runtime.evaluate", options).await;
        match answer.get("exceptionDetails") {
            None => Ok(answer["result"]["value"].clone()),
            Some(thrown) => Err(thrown["exception"]["description"].to_string()),
        }
    }

    async fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut text = message.to_string().into_bytes();
        text.push(0);
        self.commands
            .write_all(&text)
            .await
            .expect("Chromium takes commands");
        loop {
            let answer = self.next(method).await;
            if answer["id"] == self.last_id {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.events
                .extend(answer["method"].as_str().map(str::to_owned));
        }
    }

    async fn event(&mut self, method: &str) {
        if !self.events.iter().any(|seen| seen == method) {
            while self.next(method).await["method"] != method {}
        }
    }

    async fn next(&mut self, awaited: &str) -> Value {
        let mut text = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.answers.read_until(0, &mut text)).await;
        let read = read
            .unwrap_or_else(|_| panic!("{awaited} does not come"))
            .expect("a pipe is read");
        assert!(read > 0, "Chromium has ended before {awaited}");
        text.pop();
        serde_json::from_slice(&text).expect("JSON")
    }
}
