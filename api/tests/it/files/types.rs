//! Content types: detected from the bytes and, for text, from the name; and how they are served.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plinth_testkit::Stage;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{content, png};
use crate::house::{Answer, House, text};

const SVG: &[u8] = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";

#[tokio::test]
async fn text_that_starts_like_an_image_is_text_and_notifies_nobody() {
    let house = House::open().await;
    let person = house.person("ada").await;
    for words in ["BMW is a car", "MZ is a postcode", "GIF is a format"] {
        let file = person.upload(&house, "note.bmp", words.into()).await;
        assert_eq!(
            (&file["content_type"], &file["variants"]),
            (&json!("text/plain"), &json!([])),
            "{words}"
        );
    }
    assert_eq!(
        house.count("jobs WHERE queue = 'files'").await,
        0,
        "no image is derived"
    );
    assert_eq!(house.count("notifications").await, 0);
}

/// Only images that cannot run scripts are displayed inline, and no stylesheet can be applied.
#[tokio::test]
async fn text_has_the_type_of_its_name_and_is_an_attachment() {
    let house = House::open().await;
    let person = house.person("ada").await;
    for (name, bytes, content_type, served) in [
        (
            "a.csv",
            &b"a,b\n1,2\n"[..],
            "text/csv",
            "text/csv; charset=utf-8",
        ),
        (
            "a.md",
            b"# Title\n",
            "text/markdown",
            "text/markdown; charset=utf-8",
        ),
        ("a.json", b"{}", "application/json", "application/json"),
        (
            "a.css",
            b"p { color: red }",
            "text/css",
            "text/plain; charset=utf-8",
        ),
        ("a.svg", SVG, "image/svg+xml", "image/svg+xml"),
        (
            "a.html",
            b"<script>alert(1)</script>",
            "text/plain",
            "text/plain; charset=utf-8",
        ),
        (
            "a.js",
            b"alert(1)",
            "text/plain",
            "text/plain; charset=utf-8",
        ),
    ] {
        let file = person.upload(&house, name, bytes.to_vec()).await;
        assert_eq!(
            (&file["content_type"], &file["variants"]),
            (&json!(content_type), &json!([])),
            "{name}"
        );
        let answer = content(&house, &person, &text(&file["id"]), &[]).await;
        assert_eq!(answer.header("content-type"), Some(served), "{name}");
        assert!(
            answer
                .header("content-disposition")
                .is_some_and(|how| how.starts_with("attachment;")),
            "{name}"
        );
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{name}"
        );
        assert!(
            answer
                .header("content-security-policy")
                .is_some_and(|policy| policy.contains("sandbox")),
            "{name}"
        );
    }
    for (filter, expected) in [
        ("text/csv", "a.csv"),
        ("application/json", "a.json"),
        ("image/svg%2Bxml", "a.svg"),
    ] {
        let list = person
            .get(&house, &format!("/v1/files?type={filter}"))
            .await
            .expect(StatusCode::OK);
        let names: Vec<_> = list["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|file| &file["name"])
            .collect();
        assert_eq!(names, [expected], "{filter}");
    }
    // No image is derived, and the owner is not notified.
    assert_eq!(house.count("jobs WHERE queue = 'files'").await, 0);
    assert_eq!(house.count("notifications").await, 0);
}

#[tokio::test]
async fn equal_bytes_have_the_type_of_each_name() {
    let house = House::open().await;
    let person = house.person("ada").await;
    for (name, expected) in [
        ("a.csv", "text/csv"),
        ("b.md", "text/markdown"),
        ("c", "text/plain"),
    ] {
        assert_eq!(
            person.upload(&house, name, b"the same".to_vec()).await["content_type"],
            expected
        );
    }
    assert_eq!(house.count("blobs WHERE state = 'stored'").await, 1);
}

/// The bytes of a version are served under the name of the file, whatever the part is called.
#[tokio::test]
async fn a_version_has_the_type_of_the_files_name() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = text(
        &person
            .upload(&house, "data.json", b"{\"a\": 1}".to_vec())
            .await["id"],
    );
    for (bytes, expected) in [
        (b"{}".to_vec(), "application/json"),
        (b"{".to_vec(), "text/plain"),
        (png(), "image/png"),
    ] {
        let part = reqwest::multipart::Part::bytes(bytes).file_name("other.csv");
        let form = reqwest::multipart::Form::new().part("file", part);
        let request = person.request(&house, Method::POST, &format!("/v1/files/{id}/versions"));
        let file = Answer::of(request.multipart(form))
            .await
            .expect(StatusCode::CREATED);
        assert_eq!(file["content_type"], expected);
    }
}

#[tokio::test]
async fn allowed_types_apply_to_types_by_name_too() {
    let stage = Stage::open()
        .await
        .with("PLINTH_FILES_ALLOWED_TYPES", "text/csv,image/svg+xml");
    let house = House::on(stage).await;
    let person = house.person("ada").await;
    let csv = b"a,b\n".repeat(9 * 1024 * 1024 / 4);
    person.upload(&house, "a.csv", csv.clone()).await;
    person.upload(&house, "a.svg", SVG.to_vec()).await;
    // The first one is refused before its second part is received.
    for (name, bytes) in [
        ("a.txt", csv),
        ("b.csv", png()),
        ("b.svg", b"text".to_vec()),
    ] {
        person
            .try_upload(&house, name, bytes)
            .await
            .problem(415, "type_not_allowed");
    }
}

#[tokio::test]
async fn a_resumable_upload_has_the_type_of_its_name() {
    let house = House::on(
        Stage::open()
            .await
            .with("PLINTH_FILES_ALLOWED_TYPES", "text/csv"),
    )
    .await;
    let person = house.person("ada").await;
    let bytes = b"a,b\n".repeat(9 * 1024 * 1024 / 4);
    for (name, expected) in [
        ("a.csv", StatusCode::CREATED),
        ("a.txt", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let request = person
            .request(&house, Method::POST, "/v1/uploads")
            .header("tus-resumable", "1.0.0")
            .header("upload-length", bytes.len())
            .header(
                "upload-metadata",
                format!("filename {}", STANDARD.encode(name)),
            )
            .header("content-type", "application/offset+octet-stream");
        assert_eq!(
            Answer::of(request.body(bytes.clone())).await.status,
            expected,
            "{name}"
        );
    }
    let list = person
        .get(&house, "/v1/files?type=text/csv")
        .await
        .expect(StatusCode::OK);
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
}
