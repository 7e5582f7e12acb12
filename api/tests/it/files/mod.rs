//! Files: uploads, metadata, complete and partial downloads, deletion, and isolation between
//! accounts.

mod batch;
mod content_host;
mod digests;
mod downloads;
mod limits;
mod links;
mod listing;
mod own_links;
mod quota;
mod resumed_links;
mod sealed;
mod trash;
mod types;
mod versions;
mod zip;

use plinth_testkit::{Stage, Store, until};
use reqwest::{Method, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};

use crate::house::{Answer, House, Person, text};

pub(crate) use links::LINK_PASSWORD;
pub(crate) use zip::unpacked;

/// Returns bytes that differ at every offset, so that misplaced ranges are detected.
pub(crate) fn pattern(size: usize) -> Vec<u8> {
    (0..size)
        .map(|n| u8::try_from((n ^ (n >> 8) ^ (n >> 16)) & 255).expect("a byte"))
        .collect()
}

/// Returns an image of one pixel.
pub(crate) fn png() -> Vec<u8> {
    // 1 x 1, the smallest complete one.
    let hex = "89504e470d0a1a0a0000000d4948445200000001000000010806000000 1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082";
    let hex = hex.replace(' ', "");
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
        .collect()
}

pub(crate) async fn content(
    house: &House,
    person: &Person,
    id: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = person.request(house, Method::GET, &format!("/v1/files/{id}/content"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request).await
}

#[rstest]
#[tokio::test]
async fn files_of_any_size_are_downloaded_unchanged(
    #[values(Store::S3s, Store::Moto)] store: Store,
) {
    let house = House::at(store).await;
    let person = house.person("ada").await;
    // Empty, one byte, one byte less than a part, one part, one byte more, several parts.
    let part = 8 * 1024 * 1024;
    for size in [0, 1, part - 1, part, part + 1, 2 * part + 12_345] {
        let bytes = pattern(size);
        let file = person.upload(&house, "data.bin", bytes.clone()).await;
        assert_eq!(
            (file["size"].as_u64(), file["state"].as_str()),
            (Some(size as u64), Some("ready"))
        );
        let sha256 = plinth_platform::crypto::sha256(&bytes);
        assert_eq!(
            text(&file["sha256"]),
            sha256.map(|byte| format!("{byte:02x}")).concat()
        );
        let answer = content(&house, &person, &text(&file["id"]), &[]).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(
            answer.header("content-length"),
            Some(size.to_string().as_str())
        );
        assert!(answer.bytes == bytes, "{size} bytes came back changed");
    }
}

#[tokio::test]
async fn an_image_is_detected_whatever_its_name_and_waits_for_thumbnails() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let file = person.upload(&house, "notes.txt", png()).await;
    assert_eq!(file["content_type"], "image/png");
    let states: Vec<_> = file["variants"]
        .as_array()
        .expect("variants")
        .iter()
        .map(|made| &made["state"])
        .collect();
    assert_eq!(states, ["pending", "pending"]);
    let blob: uuid::Uuid = sqlx::query_scalar("SELECT blob_id FROM files")
        .fetch_one(&house.stores.db)
        .await
        .expect("reads");
    let job: (String, Value) =
        sqlx::query_as("SELECT kind, payload FROM jobs WHERE queue = 'files'")
            .fetch_one(&house.stores.db)
            .await
            .expect("one job");
    assert_eq!(
        job,
        (
            "files.thumbnails".to_owned(),
            json!({ "file_id": file["id"], "blob_id": blob })
        )
    );
    person
        .get(
            &house,
            &format!("/v1/files/{}/variants/small", text(&file["id"])),
        )
        .await
        .problem(404, "not_found");
    person
        .get(
            &house,
            &format!("/v1/files/{}/variants/huge", text(&file["id"])),
        )
        .await
        .problem(404, "not_found");
    let script = person
        .upload(
            &house,
            "page.png",
            b"<!doctype html><script>alert(1)</script>".to_vec(),
        )
        .await;
    assert_eq!(script["content_type"], "text/plain");
    let shown = content(&house, &person, &text(&file["id"]), &[]).await;
    assert_eq!(shown.header("content-type"), Some("image/png"));
    let harmless = content(&house, &person, &text(&script["id"]), &[]).await;
    assert_eq!(
        harmless.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
}

#[rstest]
#[tokio::test]
async fn ranges_and_validators_are_honoured(#[values(Store::S3s, Store::Moto)] store: Store) {
    let house = House::at(store).await;
    let person = house.person("ada").await;
    let bytes = pattern(1000);
    let file = person
        .upload(&house, "Grüße \"1\".bin", bytes.clone())
        .await;
    let id = text(&file["id"]);
    let whole = content(&house, &person, &id, &[]).await;
    let etag = whole.header("etag").expect("a tag").to_owned();
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    assert_eq!(
        whole.header("content-disposition"),
        Some(
            "attachment; filename=\"Gr__e _1_.bin\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%221%22.bin"
        )
    );
    assert_eq!(
        whole.header("content-type"),
        Some("application/octet-stream")
    );
    let policy = whole.header("content-security-policy").expect("a policy");
    for directive in [
        "default-src 'none'",
        "base-uri 'none'",
        "sandbox",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.split("; ").any(|part| part == directive), "{policy}");
    }

    for (range, shown, expected) in [
        ("bytes=0-99", "bytes 0-99/1000", &bytes[..100]),
        ("bytes=990-", "bytes 990-999/1000", &bytes[990..]),
        ("bytes=-1", "bytes 999-999/1000", &bytes[999..]),
    ] {
        let part = content(&house, &person, &id, &[("range", range)]).await;
        assert_eq!(
            (part.status, part.header("content-range")),
            (StatusCode::PARTIAL_CONTENT, Some(shown))
        );
        assert_eq!(part.bytes, expected, "{range}");
    }
    let beyond = content(&house, &person, &id, &[("range", "bytes=1000-")]).await;
    beyond.problem(416, "range_not_satisfiable");
    assert_eq!(beyond.header("content-range"), Some("bytes */1000"));

    let known = content(&house, &person, &id, &[("if-none-match", &etag)]).await;
    assert_eq!(
        (known.status, known.bytes.len(), known.header("etag")),
        (StatusCode::NOT_MODIFIED, 0, Some(etag.as_str()))
    );
    let same = content(
        &house,
        &person,
        &id,
        &[("range", "bytes=0-0"), ("if-range", &etag)],
    )
    .await;
    assert_eq!(same.status, StatusCode::PARTIAL_CONTENT);
    let changed = content(
        &house,
        &person,
        &id,
        &[("range", "bytes=0-0"), ("if-range", "\"other\"")],
    )
    .await;
    assert_eq!(
        (changed.status, changed.bytes.len()),
        (StatusCode::OK, 1000)
    );
}

#[tokio::test]
async fn a_file_of_another_account_is_not_found() {
    let house = House::open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let id = text(&ada.upload(&house, "secret.txt", b"mine".to_vec()).await["id"]);
    for (method, path) in [
        (Method::GET, format!("/v1/files/{id}")),
        (Method::GET, format!("/v1/files/{id}/content")),
        (Method::GET, format!("/v1/files/{id}/variants/small")),
        (Method::HEAD, format!("/v1/files/{id}/content")),
        (Method::GET, format!("/v1/files/{id}/versions")),
        (Method::GET, format!("/v1/files/{id}/versions/1/content")),
        (Method::POST, format!("/v1/files/{id}/versions/1/restore")),
        (Method::DELETE, format!("/v1/files/{id}/versions/1")),
        (Method::POST, format!("/v1/files/{id}/restore")),
        (Method::DELETE, format!("/v1/files/{id}")),
        (Method::DELETE, format!("/v1/files/{id}?permanently=true")),
    ] {
        let answer = Answer::of(bob.request(&house, method.clone(), &path)).await;
        if method == Method::HEAD {
            assert_eq!(answer.status, StatusCode::NOT_FOUND);
        } else {
            answer.problem(404, "not_found");
        }
    }
    let change = json!({ "name": "bobs.txt" });
    bob.send(&house, Method::PATCH, &format!("/v1/files/{id}"), &change)
        .await
        .problem(404, "not_found");
    let form = reqwest::multipart::Form::new().text("file", "bobs");
    let version = bob
        .request(&house, Method::POST, &format!("/v1/files/{id}/versions"))
        .multipart(form);
    Answer::of(version).await.problem(404, "not_found");
    assert_eq!(
        bob.get(&house, "/v1/files").await.expect(StatusCode::OK)["items"],
        json!([])
    );
    ada.get(&house, &format!("/v1/files/{id}"))
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn a_permanently_deleted_file_is_gone_at_once() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = text(&person.upload(&house, "a.txt", b"text".to_vec()).await["id"]);
    let path = format!("/v1/files/{id}");
    let permanently = format!("{path}?permanently=true");
    person
        .delete(&house, &permanently)
        .await
        .expect(StatusCode::NO_CONTENT);
    person.get(&house, &path).await.problem(404, "not_found");
    person
        .get(&house, &format!("{path}/content"))
        .await
        .problem(404, "not_found");
    person
        .delete(&house, &permanently)
        .await
        .problem(404, "not_found");
    person.delete(&house, &path).await.problem(404, "not_found");
    let asked: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs WHERE kind = 'files.purge'")
        .fetch_one(&house.stores.db)
        .await
        .expect("counts");
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn the_list_has_only_the_callers_files_in_pages() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let mut names = Vec::new();
    for n in 0..5 {
        names.insert(0, format!("{n}.txt"));
        person
            .upload(&house, &format!("{n}.txt"), vec![b'x'; n])
            .await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = person
            .get(&house, &format!("/v1/files?limit=2{cursor}"))
            .await
            .expect(StatusCode::OK);
        seen.extend(
            page["items"]
                .as_array()
                .expect("items")
                .iter()
                .map(|file| text(&file["name"])),
        );
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, names);
}

#[tokio::test]
async fn a_file_over_the_limit_is_refused_and_leaves_nothing() {
    let house = House::on(Stage::open().await.with("PLINTH_FILES_MAX_SIZE", "10MiB")).await;
    let person = house.person("ada").await;
    person
        .try_upload(&house, "big.bin", pattern(10 * 1024 * 1024 + 1))
        .await
        .problem(413, "too_large");
    assert_eq!(house.count("blobs").await, 0);
    person
        .upload(&house, "fits.bin", pattern(10 * 1024 * 1024))
        .await;
}

#[rstest]
#[tokio::test]
async fn an_aborted_upload_leaves_nothing(#[values(Store::S3s, Store::Moto)] store: Store) {
    let house = House::at(store).await;
    let person = house.person("ada").await;
    let (sender, body) = tokio::sync::mpsc::channel::<std::io::Result<Vec<u8>>>(1);
    let stream = reqwest::Body::wrap_stream(tokio_stream(body));
    let part = reqwest::multipart::Part::stream(stream).file_name("broken.bin");
    let form = reqwest::multipart::Form::new().part("file", part);
    let request = person
        .request(&house, Method::POST, "/v1/files")
        .multipart(form);
    let upload = tokio::spawn(request.send());
    // More than one part, so that S3 holds some of it.
    for _ in 0..20 {
        sender
            .send(Ok(pattern(1024 * 1024)))
            .await
            .expect("the client sends");
    }
    until("S3 has some of it", async || {
        (house.count("blobs WHERE reserved > 0").await == 1).then_some(())
    })
    .await;
    upload.abort();
    // The connection drops before the stream ends: an ended stream would be a complete form.
    assert!(upload.await.is_err_and(|error| error.is_cancelled()));
    drop(sender);
    until("nothing is left of it", async || {
        (house.count("blobs").await == 0).then_some(())
    })
    .await;
}

fn tokio_stream(
    mut receiver: tokio::sync::mpsc::Receiver<std::io::Result<Vec<u8>>>,
) -> impl futures_util::Stream<Item = std::io::Result<Vec<u8>>> {
    futures_util::stream::poll_fn(move |context| receiver.poll_recv(context))
}
