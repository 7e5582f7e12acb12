//! Signed requests to the object store.

use plinth_platform::crypto::{hex, sha256};
use plinth_testkit::Stage;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::json;

use super::{PART, begin, open, uploaded};
use crate::files::{content, pattern};
use crate::house::{Answer, House, text};

/// Sends a request without following redirects.
async fn ask(request: RequestBuilder) -> Answer {
    let (_, request) = request.build_split();
    let client = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .build()
        .expect("a client");
    Answer::of(RequestBuilder::from_parts(
        client,
        request.expect("a request"),
    ))
    .await
}

#[tokio::test]
async fn downloads_are_redirected_if_the_deployment_enables_it() {
    let stage = Stage::open()
        .await
        .with("PLINTH_FILES_DIRECT_UPLOADS", "true");
    let house = House::on(stage.with("PLINTH_FILES_DIRECT_DOWNLOADS", "true")).await;
    let person = house.person("ada").await;
    let bytes = pattern(5_000);
    let id = text(&uploaded(&house, &person, "Grüße.bin", &bytes).await["file_id"]);
    let content_path = format!("/v1/files/{id}/content");

    let sent_on = ask(person.request(&house, Method::GET, &content_path)).await;
    assert_eq!(
        (sent_on.status, sent_on.bytes.len()),
        (StatusCode::TEMPORARY_REDIRECT, 0)
    );
    assert_eq!(sent_on.header("cache-control"), Some("no-store"));
    let url = sent_on.header("location").expect("an address").to_owned();
    assert!(url.contains("X-Amz-Expires=60"), "{url}");
    let given = Answer::of(house.client.get(&url)).await;
    assert!(given.status == StatusCode::OK && given.bytes == bytes);
    assert_eq!(
        given.header("content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(
        given.header("content-disposition"),
        Some("attachment; filename=\"Gr__e.bin\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe.bin")
    );
    assert_eq!(given.header("cache-control"), Some("private, no-cache"));

    // A client that follows the redirect gets its range from the store.
    let part = content(&house, &person, &id, &[("range", "bytes=100-199")]).await;
    assert_eq!(
        (part.status, &part.bytes[..]),
        (StatusCode::PARTIAL_CONTENT, &bytes[100..200])
    );
    assert_eq!(
        part.header("x-request-id"),
        None,
        "the response does not come from the API"
    );
    let etag = format!("\"{}\"", hex(&sha256(&bytes)));
    let known = content(&house, &person, &id, &[("if-none-match", &etag)]).await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    content(&house, &person, &id, &[("range", "bytes=5000-")])
        .await
        .problem(416, "range_not_satisfiable");
    let head = ask(person.request(&house, Method::HEAD, &content_path)).await;
    assert_eq!(
        (head.status, head.header("content-length")),
        (StatusCode::OK, Some("5000"))
    );
    let version = format!("/v1/files/{id}/versions/1/content");
    let version = ask(person.request(&house, Method::GET, &version)).await;
    assert_eq!(version.status, StatusCode::TEMPORARY_REDIRECT);

    // A download by a link counts as always.
    let link = json!({ "max_downloads": 1 });
    let link = person
        .post(&house, &format!("/v1/files/{id}/links"), &link)
        .await
        .expect(StatusCode::CREATED);
    let token = text(&link["url"])
        .rsplit('/')
        .next()
        .expect("a token")
        .to_owned();
    let shared = format!("/v1/links/{token}/content");
    let first = ask(house.request(Method::GET, &shared)).await;
    assert_eq!(first.status, StatusCode::TEMPORARY_REDIRECT);
    ask(house.request(Method::GET, &shared))
        .await
        .problem(404, "not_found");

    // Encrypted content is served by the API.
    let sealed = text(&person.upload(&house, "b.bin", pattern(10)).await["id"]);
    let served =
        ask(person.request(&house, Method::GET, &format!("/v1/files/{sealed}/content"))).await;
    assert_eq!(served.status, StatusCode::OK);
    // Without redirects, all content is served by the API.
    let twin = house
        .twin_with(&[("PLINTH_FILES_DIRECT_DOWNLOADS", "false")])
        .await;
    let served = ask(person.request(&twin, Method::GET, &content_path)).await;
    assert!(served.status == StatusCode::OK && served.bytes == bytes);
}

#[tokio::test]
async fn requests_are_signed_for_the_endpoint_that_clients_reach() {
    let house = open().await;
    let person = house.person("ada").await;
    let public = [("PLINTH_S3_PUBLIC_ENDPOINT", "https://objects.example.org")];
    let twin = house.twin_with_stores(&public).await;
    let begun = begin(&twin, &person, "a.txt", b"bytes").await;
    assert!(
        text(&begun["put"]["url"]).starts_with("https://objects.example.org/"),
        "{begun}"
    );
    let large = begin(&twin, &person, "a.bin", &pattern(PART + 1)).await;
    assert_eq!(
        large["upload"]["part_count"], 2,
        "the API uses the internal endpoint"
    );
}
