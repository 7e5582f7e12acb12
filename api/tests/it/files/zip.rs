//! Streamed archives of several files.

use std::io::{Cursor, Read as _};

use plinth_platform::crypto::CHUNK_BYTES;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;
use zip::{CompressionMethod, ZipArchive};

use super::pattern;
use crate::house::{Answer, House, Person, text};

const ZIP: &str = "/v1/files/zip";

/// Returns names and bytes in the order of the archive. Reading verifies each CRC.
pub(crate) fn unpacked(bytes: Vec<u8>) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).expect("an archive");
    (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index(index).expect("an entry");
            assert_eq!(file.compression(), CompressionMethod::Stored);
            let name = file.name().expect("a name").into_owned();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).expect("is whole");
            (name, bytes)
        })
        .collect()
}

async fn upload(house: &House, person: &Person, name: &str, bytes: Vec<u8>) -> String {
    text(&person.upload(house, name, bytes).await["id"])
}

async fn pack(house: &House, person: &Person, ids: &[&str]) -> Answer {
    person.post(house, ZIP, &json!({ "ids": ids })).await
}

#[tokio::test]
async fn files_are_packed_unchanged_under_unique_names() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let contents = [
        pattern(3 * CHUNK_BYTES + 17),
        vec![],
        b"one".to_vec(),
        b"two".to_vec(),
        pattern(1),
        pattern(CHUNK_BYTES),
    ];
    let names = [
        "large.bin",
        "empty",
        "a.txt",
        "A.txt",
        "Grüße:*.txt",
        "a.txt",
    ];
    let mut ids = Vec::new();
    for (name, bytes) in names.iter().zip(&contents) {
        ids.push(upload(&house, &person, name, bytes.clone()).await);
    }
    let mut asked: Vec<&str> = ids.iter().map(String::as_str).collect();
    // A repeated id is packed once.
    asked.push(&ids[0]);
    let answer = pack(&house, &person, &asked).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), Some("application/zip"));
    assert_eq!(
        answer.header("content-disposition"),
        Some("attachment; filename=\"files.zip\"")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let packed = unpacked(answer.bytes);
    let expected = [
        "large.bin",
        "empty",
        "a.txt",
        "A (2).txt",
        "Grüße__.txt",
        "a (3).txt",
    ];
    assert_eq!(
        packed
            .iter()
            .map(|(name, _)| name.as_str())
            .collect::<Vec<_>>(),
        expected
    );
    for ((name, bytes), content) in packed.iter().zip(&contents) {
        assert!(bytes == content, "{name} came changed");
    }
}

#[tokio::test]
async fn nothing_is_sent_if_one_file_belongs_to_another_account() {
    let house = House::open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let own = upload(&house, &ada, "a.txt", b"mine".to_vec()).await;
    let other = upload(&house, &bob, "b.txt", b"his".to_vec()).await;
    let trashed = upload(&house, &ada, "c.txt", b"gone".to_vec()).await;
    ada.delete(&house, &format!("/v1/files/{trashed}"))
        .await
        .expect(StatusCode::NO_CONTENT);
    for other in [&other, &trashed, &Uuid::new_v4().to_string()] {
        pack(&house, &ada, &[&own, other])
            .await
            .problem(404, "not_found");
    }
    assert_eq!(
        unpacked(pack(&house, &ada, &[&own]).await.bytes),
        [("a.txt".to_owned(), b"mine".to_vec())]
    );
}

#[tokio::test]
async fn an_archive_has_one_to_a_hundred_files() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let ids = |count: usize| {
        (0..count)
            .map(|_| json!(Uuid::new_v4()))
            .collect::<Vec<Value>>()
    };
    for (count, fault) in [(0, "/ids too_short"), (101, "/ids too_many")] {
        let answer = person
            .post(&house, ZIP, &json!({ "ids": ids(count) }))
            .await;
        answer.problem(422, "validation_failed");
        assert_eq!(answer.faults(), [fault]);
    }
    person
        .post(&house, ZIP, &json!({ "ids": ids(100) }))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_corrupt_file_aborts_the_archive() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let whole = upload(&house, &person, "whole.bin", pattern(10 * CHUNK_BYTES)).await;
    let broken = upload(&house, &person, "broken.bin", pattern(4 * CHUNK_BYTES)).await;
    let take_away = "UPDATE blobs SET object_key = 'nowhere' WHERE id = (SELECT blob_id FROM files WHERE id = $1)";
    let lost = broken.parse::<Uuid>().expect("a uuid");
    sqlx::query(take_away)
        .bind(lost)
        .execute(&house.stores.db)
        .await
        .expect("updates");

    // The first one: reported before anything is sent.
    pack(&house, &person, &[&broken, &whole])
        .await
        .problem(500, "internal");
    let request = person
        .request(&house, Method::POST, ZIP)
        .json(&json!({ "ids": [whole, broken] }));
    let mut response = request.send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let headers = format!("{:?} {:?}", response.version(), response.headers());
    let mut bytes = Vec::new();
    let broke_off = loop {
        match response.chunk().await {
            Ok(Some(some)) => bytes.extend_from_slice(&some),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(
        broke_off,
        "{} bytes ended like a complete response: {headers}",
        bytes.len()
    );
    assert!(
        ZipArchive::new(Cursor::new(bytes)).is_err(),
        "the archive has no central directory"
    );
}
