//! Direct uploads: the client sends the bytes to S3, and they become a file once they are verified.

mod room;
mod sending;
mod signed;
mod verification;

use plinth_core::cleanup::{self, Kept, Kind};
use plinth_core::files::{DirectVerification, Files, Limits, Purge};
use plinth_domain::id::BlobId;
use plinth_platform::crypto::{hex, sha256};
use plinth_testkit::Stage;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::house::{House, Person, text};

pub(crate) const PART: usize = 16 * 1024 * 1024;
const DIRECT: &str = "/v1/direct-uploads";

async fn open() -> House {
    House::on(
        Stage::open()
            .await
            .with("PLINTH_FILES_DIRECT_UPLOADS", "true"),
    )
    .await
}

fn declaration(name: &str, bytes: &[u8]) -> Value {
    json!({ "filename": name, "size": bytes.len(), "sha256": hex(&sha256(bytes)) })
}

pub(crate) async fn begin(house: &House, person: &Person, name: &str, bytes: &[u8]) -> Value {
    person
        .post(house, DIRECT, &declaration(name, bytes))
        .await
        .expect(StatusCode::CREATED)
}

fn path(begun: &Value) -> String {
    format!("{DIRECT}/{}", text(&begun["upload"]["id"]))
}

/// Sends a signed request like any HTTP client.
pub(crate) async fn send(house: &House, signed: &Value, bytes: Vec<u8>) -> StatusCode {
    let method: Method = text(&signed["method"]).parse().expect("a method");
    let mut request = house
        .client
        .request(method, text(&signed["url"]))
        .body(bytes);
    for (name, value) in signed["headers"].as_object().expect("headers") {
        request = request.header(name, text(value));
    }
    request.send().await.expect("S3 answers").status()
}

/// Runs the enqueued verification jobs like the worker.
async fn verify(house: &House) {
    let settings = house.stage.settings().files;
    let files = Files::new(&house.stores, Limits::of(&settings), &settings.presets);
    let verification = DirectVerification::new(&house.stores, &files);
    for upload in jobs(house, "files.verify", "upload").await {
        if let Some(mut verifying) = verification.begin(upload).await.expect("begins") {
            while verifying.step().await.expect("reads").is_some() {}
            verifying.finish().await.expect("ends");
        }
    }
}

async fn purge(house: &House) {
    for blob in jobs(house, "files.purge", "blob_id").await {
        Purge::new(&house.stores).run(blob).await.expect("removes");
    }
}

async fn jobs(house: &House, kind: &str, field: &str) -> Vec<BlobId> {
    let query = "SELECT (payload->>$2)::uuid FROM jobs WHERE kind = $1 ORDER BY id";
    let found: Vec<Uuid> = sqlx::query_scalar(query)
        .bind(kind)
        .bind(field)
        .fetch_all(&house.stores.db)
        .await
        .expect("reads");
    found.into_iter().map(BlobId).collect()
}

/// Uploads a file directly, and returns its upload.
async fn uploaded(house: &House, person: &Person, name: &str, bytes: &[u8]) -> Value {
    let begun = begin(house, person, name, bytes).await;
    assert_eq!(
        send(house, &begun["put"], bytes.to_vec()).await,
        StatusCode::OK
    );
    let complete = format!("{}/complete", path(&begun));
    person
        .post(house, &complete, &json!({}))
        .await
        .expect(StatusCode::ACCEPTED);
    verify(house).await;
    let upload = person
        .get(house, &path(&begun))
        .await
        .expect(StatusCode::OK);
    assert_eq!(upload["state"], "done", "{upload}");
    upload
}

async fn assert_usage(house: &House, bytes: usize, reserved: usize, files: usize) {
    let query = "SELECT bytes, reserved, files FROM storage_usage";
    let row: (i64, i64, i64) = sqlx::query_as(query)
        .fetch_one(&house.stores.db)
        .await
        .expect("reads");
    let expected = [bytes, reserved, files].map(|number| i64::try_from(number).expect("fits"));
    assert_eq!([row.0, row.1, row.2], expected);
}

/// Returns the number of removed abandoned uploads.
async fn clean_up(house: &House) -> u64 {
    let request = cleanup::Request {
        only: vec![Kind::AbandonedUploads],
        ..cleanup::Request::default()
    };
    let kept = Kept::of(&house.stage.settings());
    let report = cleanup::run(&house.stores, &kept, &request, &CancellationToken::new()).await;
    report.expect("runs").of(Kind::AbandonedUploads)
}
