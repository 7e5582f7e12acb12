//! Resumable uploads by the tus protocol, and direct uploads to the object store.

use reqwest::StatusCode;
use serde_json::json;

use super::{Request, missing_request};
use crate::direct_uploads::{PART, begin, send};
use crate::house::{Answer, House, Person, text};

/// The version of the tus protocol.
const VERSION: (&str, &str) = ("tus-resumable", "1.0.0");
/// `filename notes.txt`, as tus encodes metadata.
const METADATA: (&str, &str) = ("upload-metadata", "filename bm90ZXMudHh0");

pub(super) async fn prepare(house: &House, operation: &str, caller: &Person) -> Request {
    match operation {
        "tellUploadOptions" => Request::new(),
        "createUpload" => tus()
            .header("upload-length", "4")
            .header(METADATA.0, METADATA.1),
        "terminateUpload" | "tellUpload" => tus().at("id", &resumable(house, caller).await),
        "appendToUpload" => {
            let request = tus()
                .at("id", &resumable(house, caller).await)
                .header("upload-offset", "0");
            request
                .header("content-type", "application/offset+octet-stream")
                .bytes(b"text")
        }
        "createDirectUpload" => {
            Request::json(json!({ "filename": "notes.txt", "size": 4, "sha256": "0".repeat(64) }))
        }
        "readDirectUpload" | "abandonDirectUpload" => {
            let begun = begin(house, caller, "notes.txt", b"text").await;
            Request::new().at("id", &text(&begun["upload"]["id"]))
        }
        "completeDirectUpload" => {
            let begun = begin(house, caller, "notes.txt", b"text").await;
            assert_eq!(
                send(house, &begun["put"], b"text".to_vec()).await,
                StatusCode::OK
            );
            Request::new().at("id", &text(&begun["upload"]["id"]))
        }
        "signDirectUploadParts" => {
            let large =
                json!({ "filename": "large.bin", "size": 8 * PART, "sha256": "0".repeat(64) });
            let begun = caller
                .post(house, "/v1/direct-uploads", &large)
                .await
                .expect(StatusCode::CREATED);
            Request::json(json!({ "numbers": [1, 2] })).at("id", &text(&begun["upload"]["id"]))
        }
        other => missing_request(other),
    }
}

fn tus() -> Request {
    Request::new().header(VERSION.0, VERSION.1)
}

/// Starts a resumable upload of four bytes and returns its id.
async fn resumable(house: &House, caller: &Person) -> String {
    let request = caller
        .request(house, reqwest::Method::POST, "/v1/uploads")
        .header(VERSION.0, VERSION.1);
    let begun = Answer::of(
        request
            .header("upload-length", "4")
            .header(METADATA.0, METADATA.1),
    )
    .await;
    let location = begun.header("location").expect("the upload has a location");
    location
        .rsplit('/')
        .next()
        .expect("the location ends with the id")
        .to_owned()
}
