//! Digests (RFC 9530): verified for uploads, sent with downloads.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};

use super::content;
use crate::house::{Answer, House, Person, text};

fn digest(bytes: &[u8]) -> String {
    format!(
        "sha-256=:{}:",
        STANDARD.encode(plinth_platform::crypto::sha256(bytes))
    )
}

/// Uploads a form with one file. `part` is a header of the part, `header` one of the request.
async fn upload(
    house: &House,
    person: &Person,
    bytes: &str,
    part: &str,
    header: Option<&str>,
) -> Answer {
    let form = form(bytes, part);
    let mut request = person.request(house, Method::POST, "/v1/files");
    if let Some(header) = header {
        request = request.header("content-digest", header);
    }
    Answer::of(
        request
            .header("content-type", "multipart/form-data; boundary=x")
            .body(form),
    )
    .await
}

fn form(bytes: &str, part: &str) -> String {
    format!(
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n{part}\r\n{bytes}\r\n--x--\r\nand an end"
    )
}

#[tokio::test]
async fn a_file_is_stored_only_if_its_digest_matches() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let right = format!("Repr-Digest: {}\r\n", digest(b"text"));
    let file = upload(&house, &person, "text", &right, None)
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(file["size"], 4);
    upload(&house, &person, "TEXT", &right, None)
        .await
        .problem(422, "digest_mismatch");
    upload(
        &house,
        &person,
        "text",
        "Content-Digest: sha-256=:AAAA:\r\n",
        None,
    )
    .await
    .problem(422, "validation_failed");
    assert_eq!(
        house.count("blobs").await,
        1,
        "the other files leave nothing"
    );
}

#[tokio::test]
async fn the_digest_of_the_whole_form_is_verified_too() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let whole = digest(form("text", "").as_bytes());
    upload(&house, &person, "text", "", Some(&whole))
        .await
        .expect(StatusCode::CREATED);
    upload(&house, &person, "TEXT", "", Some(&whole))
        .await
        .problem(422, "digest_mismatch");
    upload(&house, &person, "text", "", Some("nonsense"))
        .await
        .problem(422, "validation_failed");
    assert_eq!(house.count("files").await, 1);
}

#[tokio::test]
async fn a_download_has_its_digest() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = text(&person.upload(&house, "a.txt", b"text".to_vec()).await["id"]);
    let answer = content(&house, &person, &id, &[]).await;
    assert_eq!(answer.header("repr-digest"), Some(digest(b"text").as_str()));
}
