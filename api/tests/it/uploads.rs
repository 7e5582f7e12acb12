//! Resumable uploads by the tus protocol: interrupted, and continued on any replica.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plinth_core::files::{Files, Limits, Resumables};
use plinth_domain::id::BlobId;
use plinth_testkit::{Stage, Store, until};
use reqwest::{Method, RequestBuilder, StatusCode};
use rstest::rstest;
use serde_json::json;

use crate::files::{content, pattern};
use crate::house::{Answer, House, PASSWORD, Person, text};

const MIB: usize = 1024 * 1024;

/// Returns a request of the protocol.
fn tus(house: &House, person: &Person, method: Method, path: &str) -> RequestBuilder {
    person
        .request(house, method, path)
        .header("tus-resumable", "1.0.0")
}

/// Starts an upload of this length. Returns its path.
async fn create(house: &House, person: &Person, length: usize) -> String {
    let answer = try_create(
        house,
        person,
        &[("upload-length", &length.to_string())],
        None,
    )
    .await;
    assert_eq!(
        answer.status,
        StatusCode::CREATED,
        "{}",
        String::from_utf8_lossy(&answer.bytes)
    );
    answer.header("location").expect("a place").to_owned()
}

async fn try_create(
    house: &House,
    person: &Person,
    headers: &[(&str, &str)],
    body: Option<Vec<u8>>,
) -> Answer {
    let mut request = tus(house, person, Method::POST, "/v1/uploads");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request
            .header("content-type", "application/offset+octet-stream")
            .body(body);
    }
    Answer::of(request).await
}

async fn append(
    house: &House,
    person: &Person,
    path: &str,
    offset: usize,
    bytes: Vec<u8>,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = tus(house, person, Method::PATCH, path)
        .header("upload-offset", offset)
        .header("content-type", "application/offset+octet-stream");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request.body(bytes)).await
}

async fn head(house: &House, person: &Person, path: &str) -> Answer {
    Answer::of(tus(house, person, Method::HEAD, path)).await
}

async fn terminate(house: &House, person: &Person, path: &str) -> Answer {
    Answer::of(tus(house, person, Method::DELETE, path)).await
}

async fn offset(house: &House, person: &Person, path: &str) -> usize {
    let answer = head(house, person, path).await;
    assert_eq!(answer.status, StatusCode::OK);
    answer
        .header("upload-offset")
        .expect("an offset")
        .parse()
        .expect("a number")
}

#[tokio::test]
async fn the_supported_protocol_is_open_to_everyone() {
    let house = House::on(Stage::open().await.with("PLINTH_FILES_MAX_SIZE", "1GiB")).await;
    let answer = Answer::of(house.request(Method::OPTIONS, "/v1/uploads")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("tus-version"), Some("1.0.0"));
    assert_eq!(answer.header("tus-max-size"), Some("1073741824"));
    assert!(
        answer
            .header("tus-extension")
            .is_some_and(|all| all.contains("creation-with-upload"))
    );
    assert_eq!(answer.header("tus-checksum-algorithm"), Some("sha256,sha1"));
}

#[rstest]
#[tokio::test]
async fn chunks_of_any_size_make_the_file(#[values(Store::S3s, Store::Moto)] store: Store) {
    let house = House::at(store).await;
    let twin = house.twin().await;
    let person = house.person("ada").await;
    // Within a part, to its end, beyond it, over two.
    for (size, pieces) in [
        (0, &[][..]),
        (10, &[3, 7]),
        (8 * MIB, &[8 * MIB]),
        (8 * MIB, &[MIB, 7 * MIB]),
        (8 * MIB + 1, &[8 * MIB, 1]),
        (20 * MIB + 5, &[100, 9 * MIB, 65_536, 11 * MIB - 65_631]),
    ] {
        let bytes: Vec<u8> = pattern(size + pieces.len()).split_off(pieces.len());
        let metadata = format!("filename {}", STANDARD.encode("Grüße.bin"));
        let headers = [
            ("upload-length", &*size.to_string()),
            ("upload-metadata", &*metadata),
        ];
        let created = try_create(&house, &person, &headers, None).await;
        assert_eq!(created.status, StatusCode::CREATED);
        let path = created.header("location").expect("a place").to_owned();
        let mut at = 0;
        for (number, piece) in pieces.iter().enumerate() {
            // Each on another replica.
            let replica = if number % 2 == 0 { &house } else { &twin };
            assert_eq!(offset(replica, &person, &path).await, at);
            let answer = append(
                replica,
                &person,
                &path,
                at,
                bytes[at..at + piece].to_vec(),
                &[],
            )
            .await;
            assert_eq!(
                answer.status,
                StatusCode::NO_CONTENT,
                "{}",
                String::from_utf8_lossy(&answer.bytes)
            );
            at += piece;
            assert_eq!(
                answer.header("upload-offset"),
                Some(at.to_string().as_str())
            );
            assert_eq!(
                answer.header("upload-expires").is_some(),
                at < size,
                "the offset before the file exists"
            );
        }
        assert_eq!(at, size);
        let done = head(&house, &person, &path).await;
        assert_eq!(
            done.header("upload-offset"),
            Some(size.to_string().as_str()),
            "the offset after the file exists"
        );
        assert_eq!(
            done.header("upload-metadata"),
            Some(&*metadata),
            "the metadata is returned unchanged"
        );
        let id = done.header("plinth-file-id").expect("a file").to_owned();
        let file = person
            .get(&house, &format!("/v1/files/{id}"))
            .await
            .expect(StatusCode::OK);
        assert_eq!(
            (&file["name"], &file["size"]),
            (&json!("Grüße.bin"), &json!(size))
        );
        let sha256 = plinth_platform::crypto::sha256(&bytes);
        assert_eq!(
            text(&file["sha256"]),
            sha256.map(|byte| format!("{byte:02x}")).concat()
        );
        assert!(
            content(&house, &person, &id, &[]).await.bytes == bytes,
            "{size} in {pieces:?}"
        );
    }
    assert_eq!(
        house.count("storage_usage WHERE reserved = 0").await,
        1,
        "no bytes stay reserved"
    );
    let stray = "uploads WHERE made_file IS NULL";
    assert_eq!(house.count(stray).await, 0);
}

#[tokio::test]
async fn the_first_bytes_can_come_with_the_creation_and_the_length_last() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let whole = try_create(
        &house,
        &person,
        &[("upload-length", "4")],
        Some(b"text".to_vec()),
    )
    .await;
    assert_eq!(
        (whole.status, whole.header("upload-offset")),
        (StatusCode::CREATED, Some("4"))
    );
    let id = whole.header("plinth-file-id").expect("a file").to_owned();
    assert_eq!(content(&house, &person, &id, &[]).await.bytes, b"text");

    let begun = try_create(
        &house,
        &person,
        &[("upload-defer-length", "1")],
        Some(b"abc".to_vec()),
    )
    .await;
    assert_eq!(
        (begun.status, begun.header("upload-defer-length")),
        (StatusCode::CREATED, Some("1"))
    );
    let path = begun.header("location").expect("a place").to_owned();
    append(&house, &person, &path, 3, b"def".to_vec(), &[])
        .await
        .expect(StatusCode::NO_CONTENT);
    append(&house, &person, &path, 6, vec![], &[("upload-length", "5")])
        .await
        .problem(409, "upload_length");
    let last = append(
        &house,
        &person,
        &path,
        6,
        b"g".to_vec(),
        &[("upload-length", "7")],
    )
    .await;
    let id = last.header("plinth-file-id").expect("a file").to_owned();
    assert_eq!(content(&house, &person, &id, &[]).await.bytes, b"abcdefg");
}

#[rstest]
#[tokio::test]
async fn a_request_with_another_version_or_none_changes_nothing(
    #[values(None, Some("0.2.2"))] version: Option<&str>,
) {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let path = create(&house, &ada, 10).await;
    for (method, path) in [
        (Method::POST, "/v1/uploads"),
        (Method::HEAD, &*path),
        (Method::PATCH, &path),
        (Method::DELETE, &path),
    ] {
        let mut request = ada.request(&house, method.clone(), path);
        if let Some(version) = version {
            request = request.header("tus-resumable", version);
        }
        let request = request
            .header("upload-offset", 0)
            .header("upload-length", 10);
        let refused = Answer::of(request).await;
        assert_eq!(refused.status, StatusCode::PRECONDITION_FAILED, "{method}");
        assert_eq!(refused.header("tus-version"), Some("1.0.0"), "{method}");
        assert_eq!(refused.header("tus-resumable"), Some("1.0.0"), "{method}");
    }
    assert_eq!(
        (
            offset(&house, &ada, &path).await,
            house.count("uploads").await
        ),
        (0, 1)
    );
}

#[tokio::test]
async fn an_invalid_request_is_refused_and_changes_nothing() {
    let house = House::on(
        Stage::open()
            .await
            .with("PLINTH_FILES_MAX_SIZE", "1MiB")
            .with("PLINTH_FILES_QUOTA", "1000KiB"),
    )
    .await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let path = create(&house, &ada, 10).await;
    append(&house, &ada, &path, 0, b"12345".to_vec(), &[])
        .await
        .expect(StatusCode::NO_CONTENT);
    let elsewhere = append(&house, &ada, &path, 3, b"45".to_vec(), &[]).await;
    elsewhere.problem(409, "upload_offset");
    assert_eq!(elsewhere.header("upload-offset"), Some("5"));
    append(&house, &ada, &path, 5, b"678901".to_vec(), &[])
        .await
        .problem(413, "too_large");
    append(&house, &bob, &path, 5, b"6".to_vec(), &[])
        .await
        .problem(404, "not_found");
    append(
        &house,
        &ada,
        &path,
        5,
        b"6".to_vec(),
        &[("upload-checksum", "md5 AAAA")],
    )
    .await
    .problem(422, "validation_failed");
    let wrong = [("upload-checksum", "sha1 AAAA")];
    append(&house, &ada, &path, 5, b"6".to_vec(), &wrong)
        .await
        .problem(460, "checksum_mismatch");
    let untyped = tus(&house, &ada, Method::PATCH, &path)
        .header("upload-offset", 5)
        .body("6");
    Answer::of(untyped)
        .await
        .problem(415, "unsupported_media_type");
    let untyped = tus(&house, &ada, Method::POST, "/v1/uploads")
        .header("upload-length", 1)
        .body("6");
    Answer::of(untyped)
        .await
        .problem(415, "unsupported_media_type");
    assert_eq!(offset(&house, &ada, &path).await, 5);
    let right = STANDARD.encode(plinth_platform::crypto::sha256(b"6789"));
    let right = format!("sha256 {right}");
    let met = append(
        &house,
        &ada,
        &path,
        5,
        b"6789".to_vec(),
        &[("upload-checksum", &right)],
    )
    .await;
    assert_eq!(
        (met.status, met.header("upload-offset")),
        (StatusCode::NO_CONTENT, Some("9"))
    );

    for (headers, status, code) in [
        (&[("upload-length", "1048577")][..], 413, "too_large"),
        (&[("upload-length", "1024001")], 409, "quota_exceeded"),
        (&[("upload-length", "-1")], 422, "validation_failed"),
        (&[], 422, "validation_failed"),
        (
            &[("upload-length", "1"), ("upload-defer-length", "1")],
            422,
            "validation_failed",
        ),
        (
            &[("upload-length", "1"), ("upload-metadata", "filename Li4=")],
            422,
            "validation_failed",
        ),
        (
            &[
                ("upload-length", "1"),
                ("upload-metadata", &*"x".repeat(4097)),
            ],
            422,
            "validation_failed",
        ),
        (
            &[("upload-length", "1"), ("upload-concat", "partial")],
            422,
            "validation_failed",
        ),
        (
            &[("upload-concat", "final;/v1/uploads/a /v1/uploads/b")],
            422,
            "validation_failed",
        ),
    ] {
        let refused = try_create(&house, &ada, headers, None).await;
        let problem = refused.problem(status, code);
        assert_eq!(
            refused.header("tus-resumable"),
            Some("1.0.0"),
            "{headers:?}"
        );
        if headers.iter().any(|(name, _)| *name == "upload-concat") {
            assert!(
                text(&problem["errors"][0]["detail"]).contains("encrypted with its own key"),
                "{problem}"
            );
        }
    }
    // Also if no operation was reached.
    for (request, status) in [
        (
            house.request(Method::POST, "/v1/uploads"),
            StatusCode::UNAUTHORIZED,
        ),
        (
            ada.request(&house, Method::PUT, &path),
            StatusCode::METHOD_NOT_ALLOWED,
        ),
    ] {
        let refused = Answer::of(request).await;
        assert_eq!(
            (refused.status, refused.header("tus-resumable")),
            (status, Some("1.0.0"))
        );
    }
    assert_eq!(
        house.count("blobs").await,
        1,
        "refused requests leave nothing"
    );
}

#[rstest]
#[tokio::test]
async fn bytes_before_a_broken_connection_are_kept_and_continued_on_another_replica(
    #[values(Store::S3s, Store::Moto)] store: Store,
) {
    let house = House::at(store).await;
    let twin = house.twin().await;
    let person = house.person("ada").await;
    let bytes = pattern(20 * MIB);
    let path = create(&house, &person, bytes.len()).await;
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<std::io::Result<Vec<u8>>>(1);
    let stream = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
    let request = tus(&house, &person, Method::PATCH, &path)
        .header("upload-offset", 0)
        .header("content-type", "application/offset+octet-stream")
        .body(reqwest::Body::wrap_stream(stream));
    let sending = tokio::spawn(request.send());
    for piece in bytes[..18 * MIB].chunks(MIB) {
        sender
            .send(Ok(piece.to_vec()))
            .await
            .expect("the client sends");
    }
    until("S3 has some of it", async || {
        (house.count("blobs WHERE reserved > 8388608").await == 1).then_some(())
    })
    .await;
    sending.abort();
    assert!(sending.await.is_err_and(|error| error.is_cancelled()));
    drop(sender);
    // Parts are recorded as they arrive, the rest when the broken connection is noticed.
    until("what came is kept", async || {
        (house.count("uploads WHERE tail_writer > 0").await == 1).then_some(())
    })
    .await;
    let kept = offset(&twin, &person, &path).await;
    assert!((16 * MIB..=18 * MIB).contains(&kept), "{kept}");
    let last = append(&twin, &person, &path, kept, bytes[kept..].to_vec(), &[]).await;
    let id = last.header("plinth-file-id").expect("a file").to_owned();
    assert!(content(&house, &person, &id, &[]).await.bytes == bytes);
}

#[rstest]
#[tokio::test]
async fn a_new_request_takes_over_from_a_stalled_one(
    #[values(Store::S3s, Store::Moto)] store: Store,
) {
    let house = House::at(store).await;
    let person = house.person("ada").await;
    let bytes = pattern(10 * MIB);
    let path = create(&house, &person, bytes.len()).await;
    append(&house, &person, &path, 0, bytes[..100].to_vec(), &[])
        .await
        .expect(StatusCode::NO_CONTENT);
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<std::io::Result<Vec<u8>>>(1);
    let stream = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
    let request = tus(&house, &person, Method::PATCH, &path)
        .header("upload-offset", 100)
        .header("content-type", "application/offset+octet-stream")
        .body(reqwest::Body::wrap_stream(stream));
    let hanging = tokio::spawn(request.send());
    // Other bytes than those of the new request: none of them may be in the file.
    sender
        .send(Ok(vec![0; 7 * MIB]))
        .await
        .expect("the client sends");
    until("it is under way", async || {
        (house.count("uploads WHERE writer = 2").await == 1).then_some(())
    })
    .await;

    let last = append(&house, &person, &path, 100, bytes[100..].to_vec(), &[]).await;
    assert_eq!(
        last.status,
        StatusCode::NO_CONTENT,
        "{}",
        String::from_utf8_lossy(&last.bytes)
    );
    let id = last.header("plinth-file-id").expect("a file").to_owned();
    drop(sender);
    let refused = hanging.await.expect("no panic").expect("an answer");
    assert!(
        matches!(refused.status().as_u16(), 404 | 409),
        "{}",
        refused.status()
    );
    assert!(content(&house, &person, &id, &[]).await.bytes == bytes);
    assert_eq!(house.count("files").await, 1);
}

#[rstest]
#[tokio::test]
async fn an_abandoned_upload_leaves_nothing(#[values(Store::S3s, Store::Moto)] store: Store) {
    let house = House::at(store).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let path = create(&house, &ada, 9 * MIB).await;
    append(&house, &ada, &path, 0, pattern(9 * MIB - 1), &[])
        .await
        .expect(StatusCode::NO_CONTENT);
    terminate(&house, &bob, &path)
        .await
        .problem(404, "not_found");
    terminate(&house, &ada, &path)
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(
        head(&house, &ada, &path).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        house.count("blobs").await
            + house.count("uploads").await
            + house.count("upload_parts").await,
        0
    );
    assert_eq!(
        house
            .count("storage_usage WHERE bytes = 0 AND reserved = 0")
            .await,
        1
    );
    let objects = house
        .stores
        .objects
        .list("blobs/", None)
        .await
        .expect("lists")
        .objects;
    assert_eq!(objects, []);
}

#[tokio::test]
async fn a_client_without_patch_and_delete_can_override_the_method() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let meaning = |meant: &'static str, path: &str| {
        tus(&house, &person, Method::POST, path).header("x-http-method-override", meant)
    };
    let path = create(&house, &person, 10).await;
    let bytes = |offset: &'static str| {
        let request = meaning("PATCH", &path).header("upload-offset", offset);
        request
            .header("content-type", "application/offset+octet-stream")
            .body("12345")
    };
    let sent = Answer::of(bytes("0")).await;
    assert_eq!(
        (sent.status, sent.header("upload-offset")),
        (StatusCode::NO_CONTENT, Some("5"))
    );
    let whole = Answer::of(bytes("5")).await;
    let file = format!(
        "/v1/files/{}",
        whole.header("plinth-file-id").expect("a file")
    );
    let given_up = create(&house, &person, 10).await;
    assert_eq!(
        Answer::of(meaning("DELETE", &given_up)).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        head(&house, &person, &given_up).await.status,
        StatusCode::NOT_FOUND
    );
    // Other paths ignore the override.
    Answer::of(meaning("DELETE", &file))
        .await
        .problem(405, "method_not_allowed");
    person.get(&house, &file).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn an_overridden_method_needs_the_same_protection() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let path = create(&house, &person, 10).await;
    let key = json!({ "name": "reader", "scopes": ["files:read"] });
    let key = person
        .post(&house, "/v1/me/api-keys", &key)
        .await
        .expect(StatusCode::CREATED);
    let login = json!({ "email": person.email, "password": PASSWORD, "keep": "cookie" });
    let login = house
        .request(Method::POST, "/v1/auth/login")
        .header("origin", "http://127.0.0.1:8080")
        .json(&login);
    let login = Answer::of(login).await;
    let access = login
        .headers
        .get_all("set-cookie")
        .into_iter()
        .find_map(|cookie| {
            cookie
                .to_str()
                .ok()?
                .split(';')
                .next()
                .filter(|pair| pair.starts_with("__Host-plinth_access="))
        });
    let access = access.expect("a cookie").to_owned();
    // The actual method is a safe one, which needs no CSRF token.
    for method in [Method::POST, Method::GET] {
        let meaning = || {
            house
                .request(method.clone(), &path)
                .header("x-http-method-override", "DELETE")
        };
        Answer::of(meaning())
            .await
            .problem(401, "authentication_required");
        let reader = meaning().bearer_auth(text(&key["token"]));
        Answer::of(reader).await.problem(403, "permission_denied");
        let elsewhere = meaning()
            .header("cookie", &access)
            .header("origin", "https://evil.example");
        Answer::of(elsewhere).await.problem(403, "csrf_failed");
    }
    assert_eq!(
        offset(&house, &person, &path).await,
        0,
        "the upload still exists"
    );
}

#[tokio::test]
async fn an_upload_can_become_a_version_and_equal_bytes_are_stored_once() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let file = text(&person.upload(&house, "a.txt", b"one".to_vec()).await["id"]);
    let request = tus(
        &house,
        &person,
        Method::POST,
        &format!("/v1/uploads?file_id={file}"),
    )
    .header("upload-length", 3)
    .header("content-type", "application/offset+octet-stream")
    .body("two");
    let answer = Answer::of(request).await;
    assert_eq!(answer.header("plinth-file-id"), Some(file.as_str()));
    let told = person
        .get(&house, &format!("/v1/files/{file}"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&told["version"], &told["name"]),
        (&json!(2), &json!("a.txt"))
    );
    // The same bytes again, as another file.
    let again = try_create(
        &house,
        &person,
        &[("upload-length", "3")],
        Some(b"two".to_vec()),
    )
    .await;
    assert_ne!(again.header("plinth-file-id"), Some(file.as_str()));
    assert_eq!(house.count("blobs WHERE state = 'stored'").await, 2);
    let path = again.header("location").expect("a place").to_owned();
    assert_eq!(
        offset(&house, &person, &path).await,
        3,
        "the file is named although the duplicate bytes were removed"
    );
    let made = format!(
        "/v1/files/{}",
        again.header("plinth-file-id").expect("a file")
    );
    assert_file_outlives_upload(&house, &person, &path, &made).await;
}

/// Checks that the file of an upload is neither extended nor removed with it, and that the upload
/// is forgotten.
async fn assert_file_outlives_upload(house: &House, person: &Person, path: &str, file: &str) {
    let beyond = append(house, person, path, 0, b"x".to_vec(), &[]).await;
    beyond.problem(409, "upload_offset");
    assert_eq!(beyond.header("upload-offset"), Some("3"));
    append(house, person, path, 3, vec![], &[])
        .await
        .expect(StatusCode::NO_CONTENT);
    terminate(house, person, path)
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(
        head(house, person, path).await.status,
        StatusCode::NOT_FOUND
    );
    terminate(house, person, path)
        .await
        .problem(404, "not_found");
    person.get(house, file).await.expect(StatusCode::OK);
}

/// Returns an upload with all bytes but no file, as after a crash in between.
async fn whole_upload(house: &House, person: &Person) -> String {
    let begun = try_create(
        house,
        person,
        &[("upload-defer-length", "1")],
        Some(b"all of it".to_vec()),
    )
    .await;
    let path = begun.header("location").expect("a place").to_owned();
    let whole = "UPDATE uploads SET length = position";
    sqlx::query(whole)
        .execute(&house.stores.db)
        .await
        .expect("updates");
    path
}

#[tokio::test]
async fn reading_an_offset_changes_nothing_and_an_empty_chunk_creates_the_file() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let path = whole_upload(&house, &person).await;
    let told = head(&house, &person, &path).await;
    assert_eq!(
        (told.status, told.header("upload-offset")),
        (StatusCode::OK, Some("9"))
    );
    assert_eq!(
        (told.header("plinth-file-id"), house.count("files").await),
        (None, 0)
    );
    let made = append(&house, &person, &path, 9, Vec::new(), &[]).await;
    let id = made.header("plinth-file-id").expect("a file").to_owned();
    assert_eq!(content(&house, &person, &id, &[]).await.bytes, b"all of it");
}

#[tokio::test]
async fn a_worker_creates_the_file_of_an_upload_whose_process_has_crashed() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let path = whole_upload(&house, &person).await;
    let settings = house.stage.settings().files;
    let files = Files::new(&house.stores, Limits::of(&settings), &settings.presets);
    let uploads = Resumables::new(&house.stores, &files);
    let id: uuid::Uuid = sqlx::query_scalar("SELECT blob_id FROM uploads")
        .fetch_one(&house.stores.db)
        .await
        .expect("one");
    for _ in 0..2 {
        uploads.finish_whole(BlobId(id)).await.expect("finishes");
    }
    let file = head(&house, &person, &path)
        .await
        .header("plinth-file-id")
        .expect("a file")
        .to_owned();
    assert_eq!(
        content(&house, &person, &file, &[]).await.bytes,
        b"all of it"
    );
    assert_eq!(house.count("files").await, 1);

    // A large upload enqueues this before its parts are assembled.
    let large = pattern(9 * MIB);
    let begun = try_create(
        &house,
        &person,
        &[("upload-length", &large.len().to_string())],
        Some(large),
    )
    .await;
    assert!(begun.header("plinth-file-id").is_some());
    let asked = "jobs WHERE kind = 'files.finish_upload' AND run_at > now()";
    assert_eq!(house.count(asked).await, 1);
}

#[tokio::test]
async fn the_length_of_an_upload_is_reserved_even_for_concurrent_uploads() {
    let stage = Stage::open().await.with("PLINTH_FILES_QUOTA", "1MiB");
    let house = House::on(stage.with("PLINTH_FILES_MAX_SIZE", "1MiB")).await;
    let person = house.person("ada").await;
    let length = (100 * 1024).to_string();
    let headers = [("upload-length", length.as_str())];
    let begins = (0..30).map(|_| try_create(&house, &person, &headers, None));
    let answers = futures_util::future::join_all(begins).await;
    let (begun, refused): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|answer| answer.status == StatusCode::CREATED);
    assert_eq!(begun.len(), 10, "as many as fit into the quota");
    for answer in &refused {
        answer.problem(409, "quota_exceeded");
    }
    assert_eq!(
        house
            .count("storage_usage WHERE reserved = 1024000 AND bytes = 0")
            .await,
        1
    );
    for answer in &begun[1..] {
        let path = answer.header("location").expect("a place");
        terminate(&house, &person, path)
            .await
            .expect(StatusCode::NO_CONTENT);
    }
    assert_eq!(
        house
            .count("storage_usage WHERE reserved = 102400 AND bytes = 0")
            .await,
        1
    );

    // An upload without a known length reserves bytes before it stores them.
    let deferred = [("upload-defer-length", "1")];
    let begun = try_create(&house, &person, &deferred, Some(pattern(900 * 1024))).await;
    assert_eq!(begun.status, StatusCode::CREATED);
    assert_eq!(
        house
            .count("storage_usage WHERE reserved = 1024000 AND bytes = 0")
            .await,
        1
    );
    try_create(&house, &person, &deferred, Some(pattern(100 * 1024)))
        .await
        .problem(409, "quota_exceeded");
    assert_eq!(
        house.count("storage_usage WHERE reserved <= 1048576").await,
        1
    );
}

#[tokio::test]
async fn an_account_has_a_limited_number_of_unfinished_uploads_and_each_is_audited() {
    let stage = Stage::open()
        .await
        .with("PLINTH_FILES_UNFINISHED_UPLOADS", "3");
    let house = House::on(stage.with("PLINTH_FILES_DIRECT_UPLOADS", "true")).await;
    let (person, other) = (house.person("ada").await, house.person("bob").await);
    let direct = json!({ "filename": "b.txt", "size": 4, "sha256": "0".repeat(64) });
    let direct = person
        .post(&house, "/v1/direct-uploads", &direct)
        .await
        .expect(StatusCode::CREATED);
    let begins = (0..6).map(|_| try_create(&house, &person, &[("upload-length", "4")], None));
    let answers = futures_util::future::join_all(begins).await;
    let (begun, refused): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|answer| answer.status == StatusCode::CREATED);
    assert_eq!(begun.len(), 2, "three including the direct upload");
    for answer in &refused {
        answer.problem(409, "too_many_unfinished_uploads");
    }
    create(&house, &other, 4).await;
    // An upload that becomes a file, and one that is abandoned, make room.
    let path = begun[0].header("location").expect("a place");
    append(&house, &person, path, 0, b"text".to_vec(), &[])
        .await
        .expect(StatusCode::NO_CONTENT);
    let path = format!("/v1/direct-uploads/{}", text(&direct["upload"]["id"]));
    person
        .delete(&house, &path)
        .await
        .expect(StatusCode::NO_CONTENT);
    for _ in 0..2 {
        create(&house, &person, 4).await;
    }
    let of_ada = format!("actor_id = '{}'", person.id);
    let events = async |action: &str| -> i64 {
        let count =
            format!("SELECT count(*) FROM audit_events WHERE action = '{action}' AND {of_ada}");
        sqlx::query_scalar(sqlx::AssertSqlSafe(count))
            .fetch_one(&house.stores.db)
            .await
            .expect("counts")
    };
    assert_eq!(events("upload.begun").await, 5);
    assert_eq!(events("upload.abandoned").await, 1);
    assert_eq!(events("file.uploaded").await, 1);
}
