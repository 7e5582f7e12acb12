//! Versions: each keeps its bytes, and equal bytes are stored once.

use futures_util::future::join_all;
use plinth_testkit::Stage;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::content;
use crate::house::{Answer, House, Person, text};

async fn add(house: &House, person: &Person, id: &str, bytes: &[u8]) -> Answer {
    let part = reqwest::multipart::Part::bytes(bytes.to_vec()).file_name("other.bin");
    let form = reqwest::multipart::Form::new().part("file", part);
    Answer::of(
        person
            .request(house, Method::POST, &format!("/v1/files/{id}/versions"))
            .multipart(form),
    )
    .await
}

async fn versions(house: &House, person: &Person, id: &str) -> Vec<(i64, i64)> {
    let listed = person
        .get(house, &format!("/v1/files/{id}/versions"))
        .await
        .expect(StatusCode::OK);
    let numbers = |version: &Value| Some((version["number"].as_i64()?, version["size"].as_i64()?));
    listed["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|version| numbers(version).expect("numbers"))
        .collect()
}

#[tokio::test]
async fn every_version_keeps_its_bytes_and_an_old_one_can_be_restored() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = text(&person.upload(&house, "a.txt", b"one".to_vec()).await["id"]);
    let second = add(&house, &person, &id, b"second")
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(
        (&second["version"], &second["name"], &second["size"]),
        (&json!(2), &json!("a.txt"), &json!(6))
    );
    assert_eq!(content(&house, &person, &id, &[]).await.bytes, b"second");
    assert_eq!(versions(&house, &person, &id).await, [(2, 6), (1, 3)]);
    let path = format!("/v1/files/{id}/versions");
    assert_eq!(
        person.get(&house, &format!("{path}/1/content")).await.bytes,
        b"one"
    );

    let restored = person
        .post(&house, &format!("{path}/1/restore"), &json!({}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&restored["version"], &restored["size"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(content(&house, &person, &id, &[]).await.bytes, b"one");
    assert_eq!(
        versions(&house, &person, &id).await,
        [(3, 3), (2, 6), (1, 3)]
    );
    assert_eq!(
        house.count("blobs").await,
        2,
        "a restored version has the bytes of the old one"
    );

    person
        .delete(&house, &format!("{path}/3"))
        .await
        .problem(409, "current_version");
    person
        .delete(&house, &format!("{path}/1"))
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(
        content(&house, &person, &id, &[]).await.bytes,
        b"one",
        "the third version still has them"
    );
    person
        .delete(&house, &format!("{path}/2"))
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(house.count("blobs WHERE state = 'removing'").await, 1);
    assert_eq!(
        house
            .count("storage_usage WHERE bytes = 3 AND reserved = 0 AND files = 1")
            .await,
        1
    );
    for number in ["2", "4", "0", "-1", "2147483647"] {
        person
            .get(&house, &format!("{path}/{number}/content"))
            .await
            .problem(404, "not_found");
    }
    let page = person
        .get(&house, &format!("{path}?before=3&limit=1"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(page["items"], json!([]));
}

#[tokio::test]
async fn equal_bytes_are_stored_once_per_account() {
    let house = House::open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let bytes = vec![7; 100_000];
    let first = text(&ada.upload(&house, "a.bin", bytes.clone()).await["id"]);
    let second = text(&ada.upload(&house, "b.bin", bytes.clone()).await["id"]);
    bob.upload(&house, "c.bin", bytes.clone()).await;
    assert_eq!(
        house.count("blobs WHERE state = 'stored'").await,
        2,
        "one each"
    );
    assert_eq!(
        house.count("blobs WHERE state = 'removing'").await,
        1,
        "the duplicate is removed"
    );
    assert_eq!(house.count("storage_usage WHERE bytes = 100000").await, 2);
    ada.delete(&house, &format!("/v1/files/{first}?permanently=true"))
        .await
        .expect(StatusCode::NO_CONTENT);
    assert!(
        content(&house, &ada, &second, &[]).await.bytes == bytes,
        "the other file still has the bytes"
    );
    ada.delete(&house, &format!("/v1/files/{second}?permanently=true"))
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(
        house.count("blobs WHERE state = 'stored'").await,
        1,
        "bob's"
    );
}

#[tokio::test]
async fn twenty_concurrent_uploads_of_equal_bytes_store_one_copy() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let uploads = (0..20).map(|n| person.upload(&house, "a.bin", vec![n / 10; 5_000]));
    let files = futures_util::future::join_all(uploads).await;
    assert_eq!(house.count("blobs WHERE state = 'stored'").await, 2);
    assert_eq!(house.count("files").await, 20);
    assert_eq!(
        house
            .count("storage_usage WHERE bytes = 10000 AND reserved = 0 AND files = 20")
            .await,
        1
    );
    let deletions = files.iter().map(|file| {
        let path = format!("/v1/files/{}?permanently=true", text(&file["id"]));
        let (house, person) = (&house, &person);
        async move {
            person
                .delete(house, &path)
                .await
                .expect(StatusCode::NO_CONTENT)
        }
    });
    futures_util::future::join_all(deletions).await;
    assert_eq!(house.count("blobs WHERE state = 'stored'").await, 0);
    assert_eq!(
        house
            .count("storage_usage WHERE bytes = 0 AND reserved = 0 AND files = 0")
            .await,
        1
    );
}

#[tokio::test]
async fn a_file_has_a_limited_number_of_versions() {
    let house = House::on(
        plinth_testkit::Stage::open()
            .await
            .with("PLINTH_FILES_MAX_VERSIONS", "3"),
    )
    .await;
    let person = house.person("ada").await;
    let id = text(&person.upload(&house, "a.txt", b"one".to_vec()).await["id"]);
    add(&house, &person, &id, b"second")
        .await
        .expect(StatusCode::CREATED);
    // Concurrent uploads share the rest.
    let adding = (0..8_u8).map(|number| {
        let (house, person, id) = (&house, &person, &id);
        async move { add(house, person, id, &[number]).await }
    });
    let answers = futures_util::future::join_all(adding).await;
    let (added, refused): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|answer| answer.status == StatusCode::CREATED);
    assert_eq!(added.len(), 1);
    for answer in &refused {
        answer.problem(409, "too_many_versions");
    }
    let path = format!("/v1/files/{id}/versions");
    let restored = person
        .post(&house, &format!("{path}/1/restore"), &json!({}))
        .await;
    restored.problem(409, "too_many_versions");
    let resumable = person.request(&house, Method::POST, &format!("/v1/uploads?file_id={id}"));
    let resumable = resumable
        .header("tus-resumable", "1.0.0")
        .header("upload-length", "4");
    Answer::of(resumable)
        .await
        .problem(409, "too_many_versions");
    person
        .delete(&house, &format!("{path}/1"))
        .await
        .expect(StatusCode::NO_CONTENT);
    person
        .post(&house, &format!("{path}/2/restore"), &json!({}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(house.count("file_versions").await, 3);
}

#[tokio::test]
async fn concurrent_restores_and_deletions_need_one_connection_each() {
    let house = House::on(
        Stage::open()
            .await
            .with("PLINTH_DATABASE_ACQUIRE_TIMEOUT", "2s"),
    )
    .await;
    let person = house.person("ada").await;
    let id = text(&person.upload(&house, "a.txt", b"one".to_vec()).await["id"]);
    let path = format!("/v1/files/{id}/versions");
    // More than the pool has connections.
    let answers = join_all((0..24).map(|number| {
        let (house, person, path) = (&house, &person, &path);
        async move {
            if number % 2 == 0 {
                person
                    .post(house, &format!("{path}/1/restore"), &json!({}))
                    .await
                    .expect(StatusCode::OK);
            } else {
                person
                    .delete(house, &format!("{path}/90"))
                    .await
                    .problem(404, "not_found");
            }
        }
    }));
    answers.await;
    assert_eq!(versions(&house, &person, &id).await.len(), 13);
}
