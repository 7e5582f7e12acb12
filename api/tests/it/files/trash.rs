//! The trash: deleted files are restored unchanged.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::content;
use crate::house::{House, text};

#[tokio::test]
async fn a_deleted_file_is_only_in_the_trash_and_is_restored_unchanged() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let file = person.upload(&house, "a.txt", b"text".to_vec()).await;
    let id = text(&file["id"]);
    let path = format!("/v1/files/{id}");
    person
        .send(&house, Method::PATCH, &path, &json!({ "tags": ["b", "a"] }))
        .await
        .expect(StatusCode::OK);
    person
        .post(&house, &format!("{path}/restore"), &json!({}))
        .await
        .problem(404, "not_found");
    person
        .delete(&house, &path)
        .await
        .expect(StatusCode::NO_CONTENT);
    for gone in [
        path.clone(),
        format!("{path}/content"),
        format!("{path}/versions"),
    ] {
        person.get(&house, &gone).await.problem(404, "not_found");
    }
    person
        .send(&house, Method::PATCH, &path, &json!({ "name": "b" }))
        .await
        .problem(404, "not_found");
    person.delete(&house, &path).await.problem(404, "not_found");
    let listed = person.get(&house, "/v1/files").await.expect(StatusCode::OK);
    assert_eq!(listed["items"], json!([]));
    let trash = person
        .get(&house, "/v1/files?trashed=true")
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&trash["items"][0]["id"], &trash["items"][0]["state"]),
        (&file["id"], &json!("trashed"))
    );
    assert!(trash["items"][0]["trashed_at"].is_string());

    let back = person
        .post(&house, &format!("{path}/restore"), &json!({}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&back["state"], &back["tags"], &back["trashed_at"]),
        (&json!("ready"), &json!(["a", "b"]), &json!(null))
    );
    assert_eq!(content(&house, &person, &id, &[]).await.bytes, b"text");
    let trash = person
        .get(&house, "/v1/files?trashed=true")
        .await
        .expect(StatusCode::OK);
    assert_eq!(trash["items"], json!([]));
    let actions = house.actions().await;
    assert_eq!(
        actions[actions.len() - 2..],
        ["file.trashed:success", "file.restored:success"]
    );
}

#[tokio::test]
async fn files_in_the_trash_count_and_can_be_deleted_permanently() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = text(&person.upload(&house, "a.txt", b"text".to_vec()).await["id"]);
    person
        .delete(&house, &format!("/v1/files/{id}"))
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(
        house
            .count("storage_usage WHERE bytes = 4 AND files = 1")
            .await,
        1
    );
    let permanently = format!("/v1/files/{id}?permanently=true");
    person
        .delete(&house, &permanently)
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(
        house
            .count("storage_usage WHERE bytes = 0 AND files = 0")
            .await,
        1
    );
    assert_eq!(house.count("jobs WHERE kind = 'files.purge'").await, 1);
    person
        .post(&house, &format!("/v1/files/{id}/restore"), &json!({}))
        .await
        .problem(404, "not_found");
}
