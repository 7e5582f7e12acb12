//! Downloads: without their bytes, in several ranges, by time.

use plinth_testkit::Store;
use reqwest::{Method, StatusCode};
use rstest::rstest;

use super::{content, pattern};
use crate::house::{Answer, House, text};

#[tokio::test]
async fn head_tells_what_a_download_would_be() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = text(&person.upload(&house, "data.bin", pattern(1000)).await["id"]);
    let whole = content(&house, &person, &id, &[]).await;
    let path = format!("/v1/files/{id}/content");
    let head = Answer::of(person.request(&house, Method::HEAD, &path)).await;
    assert_eq!((head.status, head.bytes.len()), (StatusCode::OK, 0));
    for name in ["content-length", "content-type", "etag", "last-modified", "repr-digest", "accept-ranges"] {
        assert!(head.header(name).is_some(), "{name}");
        assert_eq!(head.header(name), whole.header(name), "{name}");
    }
    let part = person.request(&house, Method::HEAD, &path).header("range", "bytes=0-9");
    let part = Answer::of(part).await;
    assert_eq!((part.status, part.header("content-length")), (StatusCode::PARTIAL_CONTENT, Some("10")));
}

#[rstest]
#[tokio::test]
async fn several_ranges_come_in_one_answer_in_the_order_asked_for(
    #[values(Store::S3s, Store::Moto)] store: Store,
) {
    let house = House::at(store).await;
    let person = house.person("ada").await;
    let bytes = pattern(200_000);
    let id = text(&person.upload(&house, "data.bin", bytes.clone()).await["id"]);
    let answer = content(&house, &person, &id, &[("range", "bytes=150000-150009, 0-4,-3")]).await;
    assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(answer.header("content-length"), Some(answer.bytes.len().to_string().as_str()));
    assert_eq!(answer.header("content-range"), None, "each part has its own");
    let kind = answer.header("content-type").expect("a type");
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("parts");
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
    assert!(answer.bytes == expected, "{}", String::from_utf8_lossy(&answer.bytes));
}

#[tokio::test]
async fn a_client_that_has_the_bytes_since_a_time_is_sent_none() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = text(&person.upload(&house, "a.txt", b"text".to_vec()).await["id"]);
    let whole = content(&house, &person, &id, &[]).await;
    let modified = whole.header("last-modified").expect("a time").to_owned();
    let known = content(&house, &person, &id, &[("if-modified-since", &modified)]).await;
    assert_eq!((known.status, known.bytes.len()), (StatusCode::NOT_MODIFIED, 0));
    let early = "Mon, 01 Jan 2024 00:00:00 GMT";
    for headers in [
        &[("if-modified-since", early)][..],
        &[("if-modified-since", "nonsense")],
        // A tag is believed before a time.
        &[("if-modified-since", &*modified), ("if-none-match", "\"other\"")],
    ] {
        assert_eq!(content(&house, &person, &id, headers).await.status, StatusCode::OK, "{headers:?}");
    }
}
