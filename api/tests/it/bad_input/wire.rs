//! Input that is not HTTP, and requests that end early.

use crate::house::House;
use crate::raw;

#[tokio::test]
async fn input_that_is_not_http_closes_only_its_connection() {
    let house = House::open().await;
    let huge = format!(
        "GET /v1/me HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "a".repeat(10 * 1024 * 1024)
    );
    let many = format!(
        "GET /v1/me HTTP/1.1\r\nhost: x\r\n{}\r\n",
        "x: y\r\n".repeat(5_000)
    );
    for (name, bytes, expected) in [
        ("10 MB of headers", huge.into_bytes(), "HTTP/1.1 431"),
        ("5,000 headers", many.into_bytes(), "HTTP/1.1 431"),
        ("no request line", b"\0\0\0\0\r\n\r\n".to_vec(), "HTTP/1.1 400"),
        (
            "two lengths",
            b"POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}"
                .to_vec(),
            "HTTP/1.1 400",
        ),
    ] {
        let answer = raw::talk(&house.url, &bytes).await;
        assert!(answer.starts_with(expected), "{name}: {answer}");
    }
    house.person("ada").await;
}

#[tokio::test]
async fn a_content_length_beside_a_transfer_encoding_is_ignored() {
    let house = House::open().await;
    let body = "{\"email\":\"nobody@example.org\",\"password\":\"a wrong guess\"}";
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    for length in ["4".to_owned(), chunks.len().to_string(), "99999".to_owned()] {
        // With the length, the rest would be taken for the next request (request smuggling).
        let request = format!(
            "POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n{chunks}"
        );
        let answer = raw::talk(&house.url, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{length}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{length}: {answer}");
    }
}

#[tokio::test]
async fn a_body_that_stalls_is_aborted() {
    let stage = plinth_testkit::Stage::open()
        .await
        .with("PLINTH_API_REQUEST_TIMEOUT", "500ms");
    let house = House::on(stage).await;
    let stopped = b"POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"em";
    let answer = raw::talk(&house.url, stopped).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("\"code\":\"timeout\""), "{answer}");

    let person = house.person("ada").await;
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 9999\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nsome",
        person.access_token
    );
    let answer = raw::talk(&house.url, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(house.count("files").await, 0);
}
