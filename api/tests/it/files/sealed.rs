//! Encryption of objects in the store, and detection of tampering.

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use plinth_platform::crypto::{CHUNK_BYTES, TAG_BYTES};
use plinth_testkit::Store;
use reqwest::{Method, StatusCode};
use rstest::rstest;

use super::{content, pattern};
use crate::house::{House, Person, text};

const SEALED_CHUNK: usize = CHUNK_BYTES + TAG_BYTES;

/// Uploads a file with these bytes. Returns its id and the key of its object.
async fn stored(house: &House, person: &Person, bytes: Vec<u8>) -> (String, String) {
    let id = text(&person.upload(house, "data.bin", bytes).await["id"]);
    let key = sqlx::query_scalar(
        "SELECT object_key FROM files JOIN blobs ON blobs.id = blob_id WHERE files.id = $1",
    )
    .bind(id.parse::<uuid::Uuid>().expect("an id"))
    .fetch_one(&house.stores.db)
    .await
    .expect("reads");
    (id, key)
}

async fn object(house: &House, key: &str) -> Vec<u8> {
    let stream = house.stores.objects.get(key, None).await.expect("exists");
    let pieces: Vec<Bytes> = stream.try_collect().await.expect("is read");
    pieces.concat()
}

async fn put(house: &House, key: &str, bytes: Vec<u8>) {
    house
        .stores
        .objects
        .put(key, bytes.into(), "application/octet-stream")
        .await
        .expect("is written");
}

/// Reads a download to its end, or until it is cut.
async fn try_read(house: &House, person: &Person, id: &str) -> (StatusCode, Vec<u8>, bool) {
    let request = person.request(house, Method::GET, &format!("/v1/files/{id}/content"));
    let mut response = request.send().await.expect("an answer");
    let (status, mut bytes) = (response.status(), Vec::new());
    loop {
        match response.chunk().await {
            Ok(Some(some)) => bytes.extend_from_slice(&some),
            Ok(None) => return (status, bytes, true),
            Err(_) => return (status, bytes, false),
        }
    }
}

#[tokio::test]
async fn an_object_has_the_length_of_the_format_and_reveals_no_bytes() {
    let house = House::open().await;
    let person = house.person("ada").await;
    for size in [
        0,
        1,
        CHUNK_BYTES - 1,
        CHUNK_BYTES,
        CHUNK_BYTES + 1,
        3 * CHUNK_BYTES,
    ] {
        let bytes = vec![b'a'; size];
        let (_, key) = stored(&house, &person, bytes).await;
        let object = object(&house, &key).await;
        assert_eq!(
            object.len(),
            size + size.div_ceil(CHUNK_BYTES).max(1) * TAG_BYTES,
            "{size}"
        );
        assert!(
            !object.windows(8).any(|eight| eight == b"aaaaaaaa"),
            "{size}"
        );
    }
    let keys: i64 = house
        .count("blobs WHERE master_key = 'root' AND octet_length(data_key) = 61")
        .await;
    assert_eq!(keys, 6, "each object has its own wrapped key");
}

#[rstest]
#[tokio::test]
async fn every_range_is_read_from_its_chunks(#[values(Store::S3s, Store::Moto)] store: Store) {
    let house = House::at(store).await;
    let person = house.person("ada").await;
    let size = 3 * CHUNK_BYTES + 100;
    let bytes = pattern(size);
    let (id, _) = stored(&house, &person, bytes.clone()).await;
    for (first, last) in [
        (0, 0),
        (0, CHUNK_BYTES - 1),
        (CHUNK_BYTES - 1, CHUNK_BYTES),
        (CHUNK_BYTES, 2 * CHUNK_BYTES - 1),
        (CHUNK_BYTES + 5, 3 * CHUNK_BYTES + 5),
        (3 * CHUNK_BYTES, size - 1),
        (size - 1, size - 1),
        (0, size - 1),
    ] {
        let range = format!("bytes={first}-{last}");
        let part = content(&house, &person, &id, &[("range", &range)]).await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
        assert!(part.bytes == bytes[first..=last], "{range}");
    }
}

#[rstest]
#[tokio::test]
async fn a_tampered_object_serves_no_wrong_bytes(#[values(Store::S3s, Store::Moto)] store: Store) {
    let house = House::at(store).await;
    let person = house.person("ada").await;
    let bytes = pattern(3 * CHUNK_BYTES + 100);
    let (id, key) = stored(&house, &person, bytes.clone()).await;
    let (other_id, other_key) = stored(&house, &person, pattern(3 * CHUNK_BYTES + 101)).await;
    let whole = object(&house, &key).await;

    let flipped = |at: usize| {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        changed
    };
    let mut reordered = whole.clone();
    reordered[..2 * SEALED_CHUNK].rotate_left(SEALED_CHUNK);
    let without_first = whole[SEALED_CHUNK..].to_vec();
    for (what, changed) in [
        ("a bit of the first chunk", flipped(10)),
        ("a bit of its tag", flipped(CHUNK_BYTES)),
        ("two chunks in each other's place", reordered),
        ("without its first chunk", without_first),
        ("another file's object", object(&house, &other_key).await),
        ("nothing at all", Vec::new()),
    ] {
        put(&house, &key, changed).await;
        let answer = content(&house, &person, &id, &[]).await;
        assert!(answer.status.is_server_error(), "{what}: {}", answer.status);
        assert!(answer.bytes.len() < 1000, "{what}");
    }
    for (what, changed, good) in [
        (
            "a bit of the third chunk",
            flipped(2 * SEALED_CHUNK + 7),
            2 * CHUNK_BYTES,
        ),
        (
            "a bit of the last",
            flipped(whole.len() - 1),
            3 * CHUNK_BYTES,
        ),
        (
            "cut after the third chunk",
            whole[..3 * SEALED_CHUNK].to_vec(),
            3 * CHUNK_BYTES,
        ),
        (
            "cut in the last chunk",
            whole[..whole.len() - 1].to_vec(),
            3 * CHUNK_BYTES,
        ),
    ] {
        put(&house, &key, changed).await;
        let (_, read, is_whole) = try_read(&house, &person, &id).await;
        assert!(
            !is_whole,
            "{what}: the client can tell that the response is incomplete"
        );
        assert!(read.len() <= good && read == bytes[..read.len()], "{what}");
    }
    put(&house, &key, whole).await;
    assert!(
        content(&house, &person, &id, &[]).await.bytes == bytes,
        "the restored object can be read"
    );
    assert_eq!(
        content(&house, &person, &other_id, &[]).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_new_master_key_wraps_new_objects_and_the_old_key_still_unwraps() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (old, _) = stored(&house, &person, b"old bytes".to_vec()).await;
    let key = "2026:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
    let twin = house
        .twin_with_stores(&[("PLINTH_FILES_MASTER_KEYS", key)])
        .await;
    assert_eq!(content(&twin, &person, &old, &[]).await.bytes, b"old bytes");
    let (new, _) = stored(&twin, &person, b"new bytes".to_vec()).await;
    assert_eq!(content(&twin, &person, &new, &[]).await.bytes, b"new bytes");
    assert_eq!(house.count("blobs WHERE master_key = '2026'").await, 1);
    content(&house, &person, &new, &[])
        .await
        .problem(500, "internal");
}
