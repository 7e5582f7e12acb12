//! Requests whose session, API key or account ends before their body is complete: they must not
//! change anything.

use plinth_core::Error;
use plinth_core::unit::Unit;
use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::SessionId;
use plinth_testkit::PATIENCE;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::{Answer, House, Person, text};
use crate::mailed::RESET;
use crate::raw;

const FORM: &str = "multipart/form-data; boundary=b";
const JSON: &str = "application/json";
const TUS: &str = "application/offset+octet-stream";

/// A request that changes or reads data of its owner.
struct Request {
    method: &'static str,
    path: String,
    content_type: &'static str,
    body: Vec<u8>,
    /// The scope of an API key that may send it.
    scope: &'static str,
}

/// A request of which half of the body was sent.
struct Half {
    name: String,
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Half {
    /// Returns once the API has admitted the request and reads the body.
    async fn send(house: &House, credential: &str, request: &Request) -> Self {
        let Request {
            method,
            path,
            content_type,
            body,
            ..
        } = request;
        let tus = if *content_type == TUS {
            "tus-resumable: 1.0.0\r\nupload-offset: 0\r\n"
        } else {
            ""
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {credential}\r\ncontent-type: {content_type}\r\n{tus}content-length: {}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
            body.len()
        );
        let name = format!("{method} {path}");
        let mut stream = raw::begin(&house.url, head.as_bytes()).await;
        let mut answer = [0; 25];
        let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await;
        read.unwrap_or_else(|_| panic!("{name}: the body is not read"))
            .expect("an answer");
        assert_eq!(
            &answer,
            b"HTTP/1.1 100 Continue\r\n\r\n",
            "{name}: {}",
            String::from_utf8_lossy(&answer)
        );
        let (first, rest) = body.split_at(body.len() / 2);
        stream.write_all(first).await.expect("the API reads");
        Self {
            name,
            stream,
            rest: rest.to_vec(),
        }
    }

    /// Sends the rest, and expects this error.
    async fn end(mut self, code: &str) {
        // The API may respond and close before it reads this.
        let _ = self.stream.write_all(&self.rest).await;
        let answer = raw::until_ended(&mut self.stream).await;
        let is_refused =
            answer.starts_with("HTTP/1.1 401") && answer.contains(&format!("\"code\":\"{code}\""));
        assert!(is_refused, "{}: {answer}", self.name);
    }
}

fn form() -> Vec<u8> {
    let head = "Content-Disposition: form-data; name=\"file\"; filename=\"b.txt\"";
    // The first half of the form ends within the file.
    let bytes = "of the intruder ".repeat(30);
    format!("--b\r\n{head}\r\n\r\n{bytes}\r\n--b--\r\n").into_bytes()
}

/// Returns requests with bodies about this file of the person.
async fn requests(house: &House, person: &Person, file: &str) -> Vec<Request> {
    let begun = person
        .request(house, Method::POST, "/v1/uploads")
        .header("tus-resumable", "1.0.0");
    let begun = Answer::of(begun.header("upload-length", "100")).await;
    let upload = begun.header("location").expect("a place").to_owned();
    let request = |method, path: String, content_type, body, scope| Request {
        method,
        path,
        content_type,
        body,
        scope,
    };
    let of_file = |rest: &str| format!("/v1/files/{file}{rest}");
    let json = |value: Value| value.to_string().into_bytes();
    vec![
        request("POST", "/v1/files".to_owned(), FORM, form(), "files:write"),
        request("POST", of_file("/versions"), FORM, form(), "files:write"),
        request("PATCH", upload, TUS, vec![7; 100], "files:write"),
        request(
            "PATCH",
            of_file(""),
            JSON,
            json(json!({ "name": "b.txt" })),
            "files:write",
        ),
        request(
            "POST",
            of_file("/links"),
            JSON,
            json(json!({ "max_downloads": 3 })),
            "files:write",
        ),
        request(
            "POST",
            "/v1/files/zip".to_owned(),
            JSON,
            json(json!({ "ids": [file] })),
            "files:read",
        ),
        request(
            "PATCH",
            "/v1/me".to_owned(),
            JSON,
            json(json!({ "display_name": "Eve" })),
            "profile:write",
        ),
    ]
}

/// The kind of credentials that send the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Session,
    ApiKey,
}

/// Sends half of each request, ends their credentials, and sends the rest. None may have an effect.
async fn end_before_the_bodies(house: &House, by: By, code: &str, end: impl AsyncFn(&Person)) {
    let person = house.person("ada").await;
    let file = text(
        &person
            .upload(house, "a.txt", b"of the owner".to_vec())
            .await["id"],
    );
    let name = house.user(person.id).await.display_name;
    let mut halves = Vec::new();
    for request in requests(house, &person, &file).await {
        let credential = match by {
            By::Session => person.access_token.clone(),
            By::ApiKey => house.api_key(person.id, request.scope).await,
        };
        halves.push(Half::send(house, &credential, &request).await);
    }
    end(&person).await;
    for half in halves {
        half.end(code).await;
    }
    assert_eq!(
        house
            .count("files WHERE name = 'a.txt' AND version = 1")
            .await,
        1
    );
    assert_eq!(house.count("files").await, 1);
    assert_eq!(house.count("file_versions").await, 1);
    assert_eq!(house.count("share_links").await, 0);
    assert_eq!(
        house.count("blobs WHERE state = 'receiving'").await,
        0,
        "received bytes are discarded"
    );
    assert_eq!(
        house.count("jobs WHERE kind = 'files.finish_upload'").await,
        0
    );
    assert_eq!(house.user(person.id).await.display_name, name);
}

async fn reset(house: &House, person: &Person) {
    let token = house.reset_token(&person.email).await;
    let body = json!({ "token": token, "password": "quite another battery" });
    house.post(RESET, &body).await.expect(StatusCode::OK);
}

async fn suspend(house: &House, person: &Person) {
    let administrator = house.administrator().await;
    let path = format!("/v1/users/{}/suspend", person.id);
    administrator
        .post(house, &path, &json!({ "reason": "an intruder" }))
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn no_request_admitted_before_a_reset_has_an_effect_after_it() {
    for (by, code) in [
        (By::Session, "session_ended"),
        (By::ApiKey, "invalid_token"),
    ] {
        let house = House::open().await;
        end_before_the_bodies(&house, by, code, async |person| reset(&house, person).await).await;
    }
}

#[tokio::test]
async fn no_request_admitted_before_a_suspension_has_an_effect_after_it() {
    for (by, code) in [
        (By::Session, "session_ended"),
        (By::ApiKey, "account_suspended"),
    ] {
        let house = House::open().await;
        end_before_the_bodies(&house, by, code, async |person| {
            suspend(&house, person).await;
        })
        .await;
    }
}

#[tokio::test]
async fn no_request_admitted_before_a_logout_has_an_effect_after_it() {
    let house = House::open().await;
    end_before_the_bodies(&house, By::Session, "session_ended", async |person| {
        person
            .post(&house, "/v1/auth/logout", &json!({}))
            .await
            .expect(StatusCode::NO_CONTENT);
    })
    .await;
}

#[tokio::test]
async fn no_request_admitted_in_an_impersonation_has_an_effect_after_its_end() {
    let house = House::open().await;
    let (administrator, person) = (house.administrator().await, house.person("ada").await);
    let file = text(
        &person
            .upload(&house, "a.txt", b"of the owner".to_vec())
            .await["id"],
    );
    let path = format!("/v1/users/{}/impersonate", person.id);
    let acting = administrator
        .post(&house, &path, &json!({ "reason": "a look" }))
        .await;
    let acting = text(&acting.expect(StatusCode::OK)["access_token"]);
    let request = Request {
        method: "PATCH",
        path: format!("/v1/files/{file}"),
        content_type: JSON,
        body: json!({ "name": "b.txt" }).to_string().into_bytes(),
        scope: "files:write",
    };
    let half = Half::send(&house, &acting, &request).await;
    let logout = house
        .request(Method::POST, "/v1/auth/logout")
        .bearer_auth(&acting);
    Answer::of(logout).await.expect(StatusCode::NO_CONTENT);
    half.end("session_ended").await;
    assert_eq!(house.count("files WHERE name = 'a.txt'").await, 1);
}

#[tokio::test]
async fn no_change_is_committed_in_an_ended_session_unless_it_ended_the_session() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let session = SessionId(person.session_id);
    let origin = Origin {
        session: Some(session),
        ..Origin::system().by(person.id)
    };
    let begin = async || {
        let mut unit = Unit::begin(&house.stores, &origin).await.expect("begins");
        let audited = unit
            .audit(
                Action::AccountUpdated,
                Target::User(person.id),
                Outcome::Success,
            )
            .await;
        audited.expect("writes");
        unit
    };
    begin().await.commit().await.expect("the session is alive");
    let (open, mut end) = (begin().await, begin().await);
    let revoke =
        sqlx::query("UPDATE sessions SET revoked_at = now() WHERE id = $1").bind(person.session_id);
    end.changes_session(session).await;
    revoke.execute(end.connection()).await.expect("updates");
    end.commit()
        .await
        .expect("the change ends the session itself");
    let refused = open.commit().await;
    assert!(
        matches!(
            refused,
            Err(Error::Unauthenticated {
                code: ErrorCode::SessionEnded,
                ..
            })
        ),
        "{refused:?}"
    );
    assert_eq!(
        house
            .count("audit_events WHERE action = 'account.updated'")
            .await,
        2
    );
}
