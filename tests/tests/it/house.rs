//! The API as its clients see it, and people who use it.

use plinth_core::Stores;
pub(crate) use plinth_testkit::{Answer, text};
use plinth_testkit::{Mailbox, Process, Stage, until};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// The way to one API process. It keeps no connection: after a `kill -9` there is none left to stumble over.
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

    /// By another way and with a client of its own.
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

    /// Asks to register; whatever comes of it.
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

    /// Registered, verified by the mail that a worker has sent, and logged in.
    pub(crate) async fn person(&self) -> Person {
        let email = fresh_email();
        self.register(&email).await;
        self.verify(&Mailbox::first_to(&email).await.token()).await;
        self.log_in(&email).await
    }

    /// An administrator, made by the command line, who is logged in.
    pub(crate) async fn administrator(&self, stage: &Stage) -> Person {
        let email = fresh_email();
        let arguments = ["admin", "create", "--email", &email, "--password-stdin"];
        let made = Process::run_reading("plinth-api", &arguments, stage, PASSWORD).await;
        assert!(made.status.success(), "{made:?}");
        self.log_in(&email).await
    }
}

/// An address that nobody else has.
pub(crate) fn fresh_email() -> String {
    format!("ada-{}@example.org", Uuid::new_v4().simple())
}

/// Somebody who is logged in.
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

    /// Uploads; the file's id.
    pub(crate) async fn upload(&self, name: &str, bytes: Vec<u8>) -> Uuid {
        let file = Answer::of(self.uploading(name, bytes))
            .await
            .expect(StatusCode::CREATED);
        text(&file["id"]).parse().expect("an id")
    }

    /// Uploads by tus, with the request that begins the upload; the file's id.
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

    /// The file, once all of its variants are ready.
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

/// What `/readyz` of a process says: its status, and the stores that do not answer.
pub(crate) async fn readiness(internal_url: &str) -> (StatusCode, String, Vec<String>) {
    let answer = reqwest::get(format!("{internal_url}/readyz"))
        .await
        .expect("the internal port answers");
    let status = answer.status();
    let report: Value = answer.json().await.expect("it is JSON");
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

/// Waits until a process says that it can serve.
pub(crate) async fn until_ready(internal_url: &str) {
    until("it is ready", async || {
        (readiness(internal_url).await.0 == StatusCode::OK).then_some(())
    })
    .await;
}

/// It cannot serve, and says what is to blame.
pub(crate) async fn blames(internal_url: &str, check: &str) {
    let unready = (
        StatusCode::SERVICE_UNAVAILABLE,
        "unready".to_owned(),
        vec![check.to_owned()],
    );
    assert_eq!(readiness(internal_url).await, unready);
}

/// What a process that is ready says of a store that it can serve without.
pub(crate) async fn standing(internal_url: &str, store: &str) -> String {
    let answer = reqwest::get(format!("{internal_url}/readyz"))
        .await
        .expect("the internal port answers");
    assert_eq!(answer.status(), StatusCode::OK);
    let report: Value = answer.json().await.expect("it is JSON");
    text(&report[store])
}

/// Lets a transaction hold its locks for longer than a client that is gone may.
pub(crate) async fn lift_idle_timeout(transaction: &mut PgConnection) {
    let patient = sqlx::query("SET LOCAL idle_in_transaction_session_timeout = 0");
    patient.execute(transaction).await.expect("sets");
}

/// One number that the database knows.
pub(crate) async fn count(stores: &Stores, query: &'static str) -> i64 {
    sqlx::query_scalar(query)
        .fetch_one(&stores.db)
        .await
        .expect("counts")
}

/// Waits until the database counts nothing.
pub(crate) async fn until_none(stores: &Stores, what: &str, query: &'static str) {
    until(what, async || {
        (count(stores, query).await == 0).then_some(())
    })
    .await;
}
