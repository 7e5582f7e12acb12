//! Users of the API. They register, upload and remove files whatever fails, and keep the answers:
//! only an answer is a promise.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::random;

/// A request without an answer after this time may have succeeded, and is not judged.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// The mailbox keeps the latest 2,000 mails.
const MAX_REGISTRATIONS: usize = 1_500;

const FILE_BYTES: usize = 2_048;

/// The promises of the API.
#[derive(Debug, Default)]
pub(super) struct Promises {
    /// Accepted registrations: each address gets a mail.
    pub(super) registered: Vec<String>,
    /// The content of each stored file by its id.
    pub(super) stored: BTreeMap<String, Vec<u8>>,
    /// Files whose removal was accepted.
    pub(super) removed: Vec<String>,
}

/// The account that uploads.
#[derive(Debug, Clone)]
pub(super) struct Uploader {
    pub(super) email: String,
    pub(super) password: String,
}

#[derive(Debug)]
pub(super) struct Users {
    api: Api,
    uploader: Uploader,
    promises: Arc<Mutex<Promises>>,
    tasks: JoinSet<()>,
}

#[derive(Debug, Clone)]
struct Api {
    http: Client,
    url: String,
}

impl Users {
    pub(super) fn start(api_url: String, uploader: Uploader) -> Result<Self> {
        let http = Client::builder()
            .no_proxy()
            .timeout(REQUEST_TIMEOUT)
            .build()?;
        let api = Api { http, url: api_url };
        let promises = Arc::new(Mutex::new(Promises::default()));
        let mut tasks = JoinSet::new();
        tasks.spawn(register(api.clone(), promises.clone()));
        tasks.spawn(upload_and_remove(
            api.clone(),
            uploader.clone(),
            promises.clone(),
        ));
        Ok(Self {
            api,
            uploader,
            promises,
            tasks,
        })
    }

    /// Stops all requests. A removal under way is not judged: its file was taken out before.
    pub(super) async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    pub(super) fn promises(&self) -> MutexGuard<'_, Promises> {
        lock(&self.promises)
    }

    /// Counts the registered addresses that no mail has reached.
    pub(super) async fn without_mail(&self, mailbox_url: &str) -> Result<u64> {
        let mails = self
            .api
            .http
            .get(format!("{mailbox_url}/messages"))
            .send()
            .await?
            .error_for_status()?;
        let mails: Vec<CaughtMail> = mails.json().await.context("the mails of the mailbox")?;
        let reached: HashSet<&str> = mails.iter().flat_map(|mail| mail.to.split(", ")).collect();
        let promises = self.promises();
        let missing = promises
            .registered
            .iter()
            .filter(|address| !reached.contains(address.as_str()));
        Ok(u64::try_from(missing.count())?)
    }

    /// Counts the stored files with other content, and the removed files that still exist. Waits
    /// until the API has recovered.
    pub(super) async fn broken_files(&self, until: Instant) -> Result<(u64, u64)> {
        let token = loop {
            match self.api.log_in(&self.uploader).await {
                Ok(token) => break token,
                Err(error) if Instant::now() >= until => {
                    return Err(error.context("the API did not recover"));
                }
                Err(_) => sleep(Duration::from_millis(500)).await,
            }
        };
        let (stored, removed) = {
            let promises = self.promises();
            (promises.stored.clone(), promises.removed.clone())
        };
        let (mut lost, mut left) = (0, 0);
        for (id, content) in stored {
            let answer = self
                .api
                .file(Method::GET, &format!("{id}/content"), &token)
                .send()
                .await?;
            let is_whole = answer.status() == StatusCode::OK
                && answer.bytes().await.is_ok_and(|bytes| bytes == content);
            lost += u64::from(!is_whole);
        }
        for id in removed {
            let answer = self.api.file(Method::GET, &id, &token).send().await?;
            left += u64::from(answer.status() != StatusCode::NOT_FOUND);
        }
        Ok((lost, left))
    }
}

/// A mail as the mailbox lists it.
#[derive(Deserialize)]
struct CaughtMail {
    to: String,
}

impl Api {
    fn file(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}/v1/files/{path}", self.url))
            .bearer_auth(token)
    }

    async fn log_in(&self, uploader: &Uploader) -> Result<String> {
        let body = json!({ "email": uploader.email, "password": uploader.password });
        let answer = self
            .http
            .post(format!("{}/v1/auth/login", self.url))
            .json(&body)
            .send()
            .await?;
        let tokens: Value = answer.error_for_status()?.json().await?;
        Ok(tokens["access_token"]
            .as_str()
            .context("a login gives an access token")?
            .to_owned())
    }

    /// Returns the id of the new file, or the status of the refusal.
    async fn upload(&self, token: &str, content: Vec<u8>) -> Result<String, Option<StatusCode>> {
        let form = Form::new().part("file", Part::bytes(content).file_name("chaos.bin"));
        let request = self
            .http
            .post(format!("{}/v1/files", self.url))
            .bearer_auth(token)
            .multipart(form);
        let answer = request.send().await.map_err(|_| None)?;
        if answer.status() != StatusCode::CREATED {
            return Err(Some(answer.status()));
        }
        let file: Value = answer.json().await.map_err(|_| None)?;
        file["id"].as_str().map(str::to_owned).ok_or(None)
    }
}

fn lock(promises: &Mutex<Promises>) -> MutexGuard<'_, Promises> {
    promises.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn register(api: Api, promises: Arc<Mutex<Promises>>) {
    for number in 0..MAX_REGISTRATIONS {
        let email = format!("chaos-{number}@example.org");
        let Ok(password) = random::token(18) else {
            return;
        };
        let body = json!({ "email": email, "password": password });
        let answer = api
            .http
            .post(format!("{}/v1/auth/register", api.url))
            .json(&body)
            .send()
            .await;
        if answer.is_ok_and(|answer| answer.status() == StatusCode::ACCEPTED) {
            lock(&promises).registered.push(email);
        }
        sleep(Duration::from_millis(200)).await;
    }
}

async fn upload_and_remove(api: Api, uploader: Uploader, promises: Arc<Mutex<Promises>>) {
    let mut token = String::new();
    for number in 0_usize.. {
        sleep(Duration::from_millis(100)).await;
        let Ok(content) = random::bytes(FILE_BYTES) else {
            return;
        };
        match api.upload(&token, content.clone()).await {
            Ok(id) => {
                lock(&promises).stored.insert(id, content);
            }
            Err(Some(StatusCode::UNAUTHORIZED)) => {
                token = api.log_in(&uploader).await.unwrap_or(token);
            }
            Err(_) => {}
        }
        if number.is_multiple_of(3) {
            // Taken out first: without an answer its state is unknown.
            let oldest = lock(&promises).stored.pop_first();
            if let Some((id, _)) = oldest {
                let request = api.file(Method::DELETE, &format!("{id}?permanently=true"), &token);
                if request
                    .send()
                    .await
                    .is_ok_and(|answer| answer.status() == StatusCode::NO_CONTENT)
                {
                    lock(&promises).removed.push(id);
                }
            }
        }
    }
}
