//! Downloads: HEAD, ranges, dates, and preconditions on the version.

use plinth_testkit::Store;
use reqwest::{Method, StatusCode};
use rstest::rstest;
use serde_json::json;

use super::{content, pattern};
use crate::house::{Answer, House, text};

#[tokio::test]
async fn head_has_the_headers_of_a_download() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = text(&person.upload(&house, "data.bin", pattern(1000)).await["id"]);
    let whole = content(&house, &person, &id, &[]).await;
    let path = format!("/v1/files/{id}/content");
    let head = Answer::of(person.request(&house, Method::HEAD, &path)).await;
    assert_eq!((head.status, head.bytes.len()), (StatusCode::OK, 0));
    for name in [
        "content-length",
        "content-type",
        "etag",
        "last-modified",
        "repr-digest",
        "accept-ranges",
    ] {
        assert!(head.header(name).is_some(), "{name}");
        assert_eq!(head.header(name), whole.header(name), "{name}");
    }
    let part = person
        .request(&house, Method::HEAD, &path)
        .header("range", "bytes=0-9");
    let part = Answer::of(part).await;
    assert_eq!(
        (part.status, part.header("content-length")),
        (StatusCode::PARTIAL_CONTENT, Some("10"))
    );
}

#[rstest]
#[tokio::test]
async fn several_ranges_are_sent_in_one_response_in_the_requested_order(
    #[values(Store::S3s, Store::Moto)] store: Store,
) {
    let house = House::at(store).await;
    let person = house.person("ada").await;
    let bytes = pattern(200_000);
    let id = text(&person.upload(&house, "data.bin", bytes.clone()).await["id"]);
    let answer = content(
        &house,
        &person,
        &id,
        &[("range", "bytes=150000-150009, 0-4,-3")],
    )
    .await;
    assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(
        answer.header("content-length"),
        Some(answer.bytes.len().to_string().as_str())
    );
    assert_eq!(
        answer.header("content-range"),
        None,
        "each part has a type of its own"
    );
    let kind = answer.header("content-type").expect("a type");
    let boundary = kind
        .strip_prefix("multipart/byteranges; boundary=")
        .expect("parts");
    let part = |range: &str, bytes: &[u8]| {
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {range}/200000\r\n\r\n"
        );
        [head.as_bytes(), bytes].concat()
    };
    let expected = [
        part("150000-150009", &bytes[150_000..150_010]),
        part("0-4", &bytes[..5]),
        part("199997-199999", &bytes[199_997..]),
        format!("\r\n--{boundary}--\r\n").into_bytes(),
    ]
    .concat();
    assert!(
        answer.bytes == expected,
        "{}",
        String::from_utf8_lossy(&answer.bytes)
    );
}

#[tokio::test]
async fn an_unmodified_file_is_not_sent_again() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = text(&person.upload(&house, "a.txt", b"text".to_vec()).await["id"]);
    let whole = content(&house, &person, &id, &[]).await;
    let modified = whole.header("last-modified").expect("a time").to_owned();
    let known = content(&house, &person, &id, &[("if-modified-since", &modified)]).await;
    assert_eq!(
        (known.status, known.bytes.len()),
        (StatusCode::NOT_MODIFIED, 0)
    );
    let early = "Mon, 01 Jan 2024 00:00:00 GMT";
    for headers in [
        &[("if-modified-since", early)][..],
        &[("if-modified-since", "nonsense")],
        // A tag takes precedence over a date.
        &[
            ("if-modified-since", &*modified),
            ("if-none-match", "\"other\""),
        ],
    ] {
        assert_eq!(
            content(&house, &person, &id, headers).await.status,
            StatusCode::OK,
            "{headers:?}"
        );
    }
}

/// A client that resumes a download after a new version must not mix the two.
#[tokio::test]
async fn a_precondition_on_another_version_gets_no_bytes() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = text(&person.upload(&house, "data.bin", pattern(1000)).await["id"]);
    let first = content(&house, &person, &id, &[])
        .await
        .header("etag")
        .expect("a tag")
        .to_owned();
    let part = reqwest::multipart::Part::bytes(pattern(2000)).file_name("data.bin");
    let form = reqwest::multipart::Form::new().part("file", part);
    let versions = format!("/v1/files/{id}/versions");
    let request = person
        .request(&house, Method::POST, &versions)
        .multipart(form);
    Answer::of(request).await.expect(StatusCode::CREATED);
    let link = person
        .post(
            &house,
            &format!("/v1/files/{id}/links"),
            &json!({ "max_downloads": 1 }),
        )
        .await;
    let link = text(&link.expect(StatusCode::CREATED)["url"]);
    let shared = format!(
        "/v1/links/{}/content",
        link.rsplit('/').next().expect("a token")
    );
    let whole = content(&house, &person, &id, &[]).await;
    let second = whole.header("etag").expect("a tag").to_owned();
    let early = "Mon, 01 Jan 2024 00:00:00 GMT";

    let ask = async |method: &Method, path: &str, headers: &[(&str, &str)]| {
        let request = person
            .request(&house, method.clone(), path)
            .header("range", "bytes=10-19");
        Answer::of(headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        }))
        .await
    };
    let current = format!("/v1/files/{id}/content");
    for (path, tag, other) in [
        (&current, &second, &first),
        (&format!("{versions}/1/content"), &first, &second),
        // The link is valid for one download: an error does not count.
        (&shared, &second, &first),
    ] {
        for condition in [("if-match", other.as_str()), ("if-unmodified-since", early)] {
            ask(&Method::GET, path, &[condition])
                .await
                .problem(412, "precondition_failed");
        }
        let given = ask(
            &Method::GET,
            path,
            &[("if-match", tag), ("if-unmodified-since", early)],
        )
        .await;
        assert_eq!(
            (given.status, given.bytes.len()),
            (StatusCode::PARTIAL_CONTENT, 10),
            "{path}"
        );
    }
    let head = ask(&Method::HEAD, &current, &[("if-match", &first)]).await;
    assert_eq!(head.status, StatusCode::PRECONDITION_FAILED);
    let beyond = [("if-match", first.as_str()), ("range", "bytes=5000-")];
    content(&house, &person, &id, &beyond)
        .await
        .problem(412, "precondition_failed");
    let twice = ask(&Method::GET, &current, &[("if-unmodified-since", early); 2]).await;
    twice.problem(400, "repeated_field");
}
