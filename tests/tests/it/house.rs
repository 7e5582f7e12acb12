//! The API as its clients see it, and its users.

use plinth_core::Stores;
pub(crate) use plinth_testkit::{Answer, text};
use plinth_testkit::{Mailbox, Process, Stage, until};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A client of one API process. It keeps no connections, so none is broken after a `kill -9`.
#[derive(Clone)]
pub(crate) struct Door {
    url: String,
    client: Client,
}

impl Door {
    pub(crate) fn of(api: &Process) -> Self {
        let client = Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .user_agent("plinth-tests")
            .build();
        Self {
            url: api.url.clone(),
            client: client.expect("a client"),
        }
    }

    /// Uses another URL and another HTTP client.
    pub(crate) fn at(url: &str, client: Client) -> Self {
        Self {
            url: url.to_owned(),
            client,
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }

    /// Sends a registration and returns the answer.
    pub(crate) async fn try_register(&self, email: &str) -> reqwest::Result<Answer> {
        let body = json!({ "email": email, "password": PASSWORD, "display_name": "Ada" });
        Answer::try_of(self.request(Method::POST, "/v1/auth/register").json(&body)).await
    }

    pub(crate) async fn register(&self, email: &str) {
        self.try_register(email)
            .await
            .expect("the API answers")
            .expect(StatusCode::ACCEPTED);
    }

    pub(crate) async fn verify(&self, token: &str) {
        let proof = json!({ "token": token, "password": PASSWORD });
        self.post("/v1/auth/verify-email", &proof)
            .await
            .expect(StatusCode::NO_CONTENT);
    }

    pub(crate) async fn log_in(&self, email: &str) -> Person {
        let credentials = json!({ "email": email, "password": PASSWORD });
        let tokens = self
            .post("/v1/auth/login", &credentials)
            .await
            .expect(StatusCode::OK);
        Person {
            door: self.clone(),
            email: email.to_owned(),
            access_token: text(&tokens["access_token"]),
            refresh_token: text(&tokens["refresh_token"]),
        }
    }

    /// Registers a user, verifies the address with the mail of a worker, and logs in.
    pub(crate) async fn person(&self) -> Person {
        let email = fresh_email();
        self.register(&email).await;
        self.verify(&Mailbox::first_to(&email).await.token()).await;
        self.log_in(&email).await
    }

    /// Creates an administrator with the command line, and logs in.
    pub(crate) async fn administrator(&self, stage: &Stage) -> Person {
        let email = fresh_email();
        let arguments = ["admin", "create", "--email", &email, "--password-stdin"];
        let made = Process::run_reading("plinth-api", &arguments, stage, PASSWORD).await;
        assert!(made.status.success(), "{made:?}");
        self.log_in(&email).await
    }
}

/// Returns an unused address.
pub(crate) fn fresh_email() -> String {
    format!("ada-{}@example.org", Uuid::new_v4().simple())
}

/// A user who is logged in.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) door: Door,
    pub(crate) email: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

impl Person {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.door
            .request(method, path)
            .bearer_auth(&self.access_token)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub(crate) async fn log_out(&self) {
        Answer::of(self.request(Method::POST, "/v1/auth/logout"))
            .await
            .expect(StatusCode::NO_CONTENT);
    }

    pub(crate) fn uploading(&self, name: &str, bytes: Vec<u8>) -> RequestBuilder {
        let form = Form::new().part("file", Part::bytes(bytes).file_name(name.to_owned()));
        self.request(Method::POST, "/v1/files").multipart(form)
    }

    /// Uploads a file and returns its id.
    pub(crate) async fn upload(&self, name: &str, bytes: Vec<u8>) -> Uuid {
        let file = Answer::of(self.uploading(name, bytes))
            .await
            .expect(StatusCode::CREATED);
        text(&file["id"]).parse().expect("an id")
    }

    /// Uploads by tus in the request that creates the upload, and returns the id of the file.
    pub(crate) async fn upload_by_tus(&self, bytes: Vec<u8>) -> Uuid {
        let upload = self
            .request(Method::POST, "/v1/uploads")
            .header("tus-resumable", "1.0.0")
            .header("upload-length", bytes.len().to_string())
            .header("content-type", "application/offset+octet-stream")
            .body(bytes);
        let answer = Answer::of(upload).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer
            .header("plinth-file-id")
            .expect("it is whole")
            .parse()
            .expect("an id")
    }

    /// Waits until all variants of a file are ready, and returns the file.
    pub(crate) async fn until_ready(&self, file: Uuid) -> Value {
        until("the thumbnails are ready", async || {
            let file = self
                .get(&format!("/v1/files/{file}"))
                .await
                .expect(StatusCode::OK);
            let variants = file["variants"].as_array().expect("a list");
            assert_eq!(variants.len(), 2, "{file}");
            assert!(
                variants.iter().all(|variant| variant["state"] != "failed"),
                "{file}"
            );
            variants
                .iter()
                .all(|variant| variant["state"] == "ready")
                .then_some(file)
        })
        .await
    }
}

/// Returns the HTTP status of `/readyz`, its status field, and the failed checks.
pub(crate) async fn readiness(internal_url: &str) -> (StatusCode, String, Vec<String>) {
    let answer = reqwest::get(format!("{internal_url}/readyz"))
        .await
        .expect("the internal port answers");
    let status = answer.status();
    let report: Value = answer.json().await.expect("valid JSON");
    let failed = report["checks"]
        .as_array()
        .expect("a list of checks")
        .iter()
        .filter(|check| check["ok"] == false);
    (
        status,
        text(&report["status"]),
        failed.map(|check| text(&check["name"])).collect(),
    )
}

/// Waits until a process is ready.
pub(crate) async fn until_ready(internal_url: &str) {
    until("the process is ready", async || {
        (readiness(internal_url).await.0 == StatusCode::OK).then_some(())
    })
    .await;
}

/// Asserts that a process is unready because of this check alone.
pub(crate) async fn assert_unready(internal_url: &str, check: &str) {
    let unready = (
        StatusCode::SERVICE_UNAVAILABLE,
        "unready".to_owned(),
        vec![check.to_owned()],
    );
    assert_eq!(readiness(internal_url).await, unready);
}

/// Returns the state of an optional store in the report of a ready process.
pub(crate) async fn store_state(internal_url: &str, store: &str) -> String {
    let answer = reqwest::get(format!("{internal_url}/readyz"))
        .await
        .expect("the internal port answers");
    assert_eq!(answer.status(), StatusCode::OK);
    let report: Value = answer.json().await.expect("valid JSON");
    text(&report[store])
}

/// Lets a transaction hold its locks for longer than the idle timeout.
pub(crate) async fn lift_idle_timeout(transaction: &mut PgConnection) {
    let patient = sqlx::query("SET LOCAL idle_in_transaction_session_timeout = 0");
    patient.execute(transaction).await.expect("sets");
}

/// Returns the result of a counting query.
pub(crate) async fn count(stores: &Stores, query: &'static str) -> i64 {
    sqlx::query_scalar(query)
        .fetch_one(&stores.db)
        .await
        .expect("counts")
}

/// Waits until the count of a query is zero.
pub(crate) async fn until_none(stores: &Stores, what: &str, query: &'static str) {
    until(what, async || {
        (count(stores, query).await == 0).then_some(())
    })
    .await;
}
