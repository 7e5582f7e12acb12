//! The main journey of the product, from the registration to the logout, and its logs.

use std::path::Path;

use plinth_testkit::{Mailbox, Process, Stage, until};
use reqwest::{Method, StatusCode};
use uuid::Uuid;

use crate::house::{Answer, Door, Person, fresh_email, text};
use crate::picture::{UPRIGHT, look, turned_jpeg};

#[tokio::test]
async fn a_user_registers_stores_a_photo_and_deletes_the_account() {
    let logs = tempfile::tempdir().expect("a folder");
    let file = logs.path().join("lines");
    let stage = Stage::open()
        .await
        .with("PLINTH_LOG_FILE", &file.display().to_string())
        .with("PLINTH_LOG_LEVEL", LOGGED);
    let api = Process::api(&stage).await;
    let worker = Process::worker(&stage).await;
    let door = Door::of(&api);

    let person = arrives(&door).await;
    let photo = turned_jpeg(1600, 1200);
    let file = person.upload("holiday.jpg", photo.clone()).await;
    let described = person.until_ready(file).await;
    assert_eq!(described["content_type"], "image/jpeg");
    assert_eq!(described["size"], photo.len());
    assert_eq!(
        (&described["width"], &described["height"]),
        (&1200.into(), &1600.into()),
        "as it is seen: {described}"
    );
    assert!(
        described["blurhash"].is_string() && described["taken_at"].is_null(),
        "{described}"
    );
    downloads(&person, file, &photo).await;
    thumbnails_are_upright(&person, file).await;
    is_told(&person, file).await;
    everything_is_on_record(&door.administrator(&stage).await, &person, file).await;
    deletes(&stage, &person, file).await;
    leaves(&person).await;

    // Both processes write their remaining log lines before they end.
    assert!(api.stop().await.success());
    assert!(worker.stop().await.success());
    nothing_secret_was_logged(logs.path(), &person);
}

/// The log level of an investigation.
const LOGGED: &str = "debug";

/// Asserts that no line contains credentials or personal data.
fn nothing_secret_was_logged(logs: &Path, person: &Person) {
    let files = std::fs::read_dir(logs).expect("reads the folder");
    let texts =
        files.map(|file| std::fs::read_to_string(file.expect("a file").path()).expect("a text"));
    let text: String = texts.collect();
    for process in ["\"readMe\"", "files.thumbnails", "email.verification"] {
        assert!(text.contains(process), "{process} is not in {text}");
    }
    // The refused request is logged.
    for refused in [
        ["\"listAuditEvents\"", "\"status\":403"],
        ["\"login\"", "\"status\":401"],
    ] {
        let is_told = |line: &str| refused.iter().all(|part| line.contains(part));
        assert!(text.lines().any(is_told), "{refused:?} is not in {text}");
    }
    let secrets = [
        crate::house::PASSWORD,
        &person.email,
        &person.access_token,
        &person.refresh_token,
        "holiday.jpg",
        "token=",
        "dGVzdHMgaGF2ZSBhIHJvb3Qga2V5",
    ];
    for secret in secrets {
        let line = text.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} is in a log: {line:?}");
    }
}

async fn arrives(door: &Door) -> Person {
    let email = fresh_email();
    door.register(&email).await;
    let mail = Mailbox::first_to(&email).await;
    assert_eq!(
        (mail.to.as_str(), mail.subject.as_str()),
        (email.as_str(), "Confirm your email address")
    );
    let html = mail.html.as_deref().expect("the mail has an HTML part");
    assert!(
        html.contains(&mail.token()),
        "both parts have the same link"
    );
    assert!(
        mail.text
            .as_deref()
            .is_some_and(|text| !text.contains("Ada")),
        "{mail:?}"
    );

    let credentials = serde_json::json!({ "email": email, "password": crate::house::PASSWORD });
    door.post("/v1/auth/login", &credentials)
        .await
        .problem(401, "invalid_credentials");
    door.verify(&mail.token()).await;
    let person = door.log_in(&email).await;
    let me = person.get("/v1/me").await.expect(StatusCode::OK);
    assert_eq!(
        (&me["email"], &me["display_name"]),
        (&email.as_str().into(), &"Ada".into())
    );
    assert!(me["email_verified_at"].is_string());
    person
}

async fn downloads(person: &Person, file: Uuid, photo: &[u8]) {
    let content = format!("/v1/files/{file}/content");
    let whole = person.get(&content).await;
    assert_eq!(
        (whole.status, whole.header("content-type")),
        (StatusCode::OK, Some("image/jpeg"))
    );
    assert!(whole.bytes == photo, "the bytes come back as they went");
    let part = Answer::of(
        person
            .request(Method::GET, &content)
            .header("range", "bytes=100-199"),
    )
    .await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(
        part.header("content-range"),
        Some(format!("bytes 100-199/{}", photo.len()).as_str())
    );
    assert_eq!(part.bytes, photo[100..200]);
}

async fn thumbnails_are_upright(person: &Person, file: Uuid) {
    for (preset, size, kind) in [
        ("small", (192, 256), "image/webp"),
        ("large", (768, 1024), "image/jpeg"),
    ] {
        let variant = person
            .get(&format!("/v1/files/{file}/variants/{preset}"))
            .await;
        assert_eq!(
            (variant.status, variant.header("content-type")),
            (StatusCode::OK, Some(kind))
        );
        assert_eq!(look(&variant.bytes), (size, UPRIGHT.to_owned()), "{preset}");
    }
}

async fn is_told(person: &Person, file: Uuid) {
    let message = until("the notification is delivered", async || {
        let inbox = person
            .get("/v1/me/notifications")
            .await
            .expect(StatusCode::OK);
        inbox["items"].as_array().expect("a list").first().cloned()
    })
    .await;
    assert_eq!(message["kind"], "file.processed");
    assert_eq!(message["subject"], file.to_string());
}

async fn everything_is_on_record(admin: &Person, person: &Person, file: Uuid) {
    let me = text(&person.get("/v1/me").await.expect(StatusCode::OK)["id"]);
    let log = admin
        .get("/v1/audit-events?limit=200")
        .await
        .expect(StatusCode::OK);
    let events = log["items"].as_array().expect("a list");
    let happened = |action: &str, actor: Option<&str>| {
        events
            .iter()
            .any(|event| event["action"] == action && event["actor_id"].as_str() == actor)
    };
    for action in [
        "account.registered",
        "account.email_verified",
        "session.created",
        "file.uploaded",
    ] {
        assert!(
            happened(action, Some(&me)),
            "{action} is missing in {log:#}"
        );
    }
    for action in [
        "account.verification_sent",
        "session.refused",
        "file.processed",
        "notification.delivered",
    ] {
        assert!(happened(action, None), "{action} is missing in {log:#}");
    }
    assert!(happened("account.administrator_created", None), "{log:#}");
    let upload = events
        .iter()
        .find(|event| event["action"] == "file.uploaded")
        .expect("just found");
    assert_eq!(
        (&upload["target_id"], &upload["ip"]),
        (&file.to_string().into(), &"127.0.0.1".into())
    );
    assert_eq!(upload["user_agent"], "plinth-tests");
    person
        .get("/v1/audit-events")
        .await
        .problem(403, "permission_denied");
}

async fn deletes(stage: &Stage, person: &Person, file: Uuid) {
    let stores = stage.stores();
    let blob: Uuid = sqlx::query_scalar("SELECT blob_id FROM files WHERE id = $1")
        .bind(file)
        .fetch_one(&stores.db)
        .await
        .expect("reads");
    let folder = format!("blobs/{blob}/");
    let objects = stores
        .objects
        .list(&folder, None)
        .await
        .expect("lists")
        .objects;
    assert_eq!(objects.len(), 3, "the bytes and two variants: {objects:?}");
    let path = format!("/v1/files/{file}");
    let permanently = format!("{path}?permanently=true");
    Answer::of(person.request(Method::DELETE, &permanently))
        .await
        .expect(StatusCode::NO_CONTENT);
    person.get(&path).await.problem(404, "not_found");
    until("the file is purged", async || {
        let row = sqlx::query("SELECT FROM blobs WHERE id = $1")
            .bind(blob)
            .fetch_optional(&stores.db)
            .await;
        row.expect("answers").is_none().then_some(())
    })
    .await;
    let left = stores
        .objects
        .list(&folder, None)
        .await
        .expect("lists")
        .objects;
    assert_eq!(left, [], "the objects go before the row");
}

async fn leaves(person: &Person) {
    person.log_out().await;
    person.get("/v1/me").await.problem(401, "session_ended");
    let refresh = serde_json::json!({ "refresh_token": person.refresh_token });
    let refused = person.door.post("/v1/auth/refresh", &refresh).await;
    refused.problem(401, "invalid_refresh_token");
}
