//! Limits on storage, by configuration and by role.

use plinth_testkit::Stage;
use reqwest::StatusCode;

use super::{pattern, png};
use crate::house::{House, Person};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_forbidden_type_is_refused_and_leaves_nothing() {
    let house = House::on(
        Stage::open()
            .await
            .with("PLINTH_FILES_ALLOWED_TYPES", "image/*,application/pdf"),
    )
    .await;
    let person = house.person("ada").await;
    person.upload(&house, "a.png", png()).await;
    person.upload(&house, "a.txt", b"%PDF-1.7".to_vec()).await;
    let refused = person
        .try_upload(&house, "a.png", b"plain text".to_vec())
        .await;
    refused.problem(415, "type_not_allowed");
    // Before the second part is received.
    person
        .try_upload(&house, "a.png", pattern(20 * MIB))
        .await
        .problem(415, "type_not_allowed");
    assert_eq!(house.count("blobs").await, 2);
    assert_eq!(
        house
            .count("storage_usage WHERE reserved = 0 AND files = 2")
            .await,
        1
    );
}

#[tokio::test]
async fn a_role_overrides_the_limits_of_its_holders() {
    let limits = "photographer: size=2MiB quota=3MiB types=image/*; archivist: quota=0 types=*/*";
    let stage = Stage::open().await.with("PLINTH_FILES_ROLE_LIMITS", limits);
    let house = House::on(
        stage
            .with("PLINTH_FILES_MAX_SIZE", "1MiB")
            .with("PLINTH_FILES_QUOTA", "1MiB"),
    )
    .await;
    let admin = house.administrator().await;
    let member = house.person("ada").await;
    member
        .try_upload(&house, "a.bin", pattern(MIB + 1))
        .await
        .problem(413, "too_large");
    member.upload(&house, "a.txt", b"text".to_vec()).await;

    let photographer = house
        .official(&admin, "photographer", &["files:read", "files:write"])
        .await;
    photographer
        .try_upload(&house, "a.txt", b"text".to_vec())
        .await
        .problem(415, "type_not_allowed");
    let picture = [png(), pattern(2 * MIB - 1000)].concat();
    photographer.upload(&house, "a.png", picture.clone()).await;
    let mut other = picture;
    other.extend(b"!");
    photographer
        .try_upload(&house, "b.png", other.clone())
        .await
        .problem(409, "quota_exceeded");
    assert_eq!(
        storage(&house, &photographer).await,
        (Some(3 * MIB as u64), 2 * MIB as u64, "image/*".into())
    );

    // With both roles, the larger limit applies from the next upload on.
    let body = serde_json::json!({ "name": "archivist", "permissions": ["files:read"] });
    admin
        .post(&house, "/v1/roles", &body)
        .await
        .expect(StatusCode::CREATED);
    house
        .assign(
            &admin,
            &photographer,
            &["member", "photographer", "archivist"],
        )
        .await;
    photographer.upload(&house, "b.png", other).await;
    photographer.upload(&house, "a.txt", b"text".to_vec()).await;
    assert_eq!(
        storage(&house, &photographer).await,
        (None, 2 * MIB as u64, "*/*,image/*".into())
    );
}

async fn storage(house: &House, person: &Person) -> (Option<u64>, u64, String) {
    let storage = person
        .get(house, "/v1/me/storage")
        .await
        .expect(StatusCode::OK);
    let types = storage["allowed_types"].as_str().expect("types").to_owned();
    (
        storage["quota_bytes"].as_u64(),
        storage["max_file_bytes"].as_u64().expect("a size"),
        types,
    )
}

#[tokio::test]
async fn an_account_can_read_its_usage_and_limits() {
    let house = House::on(Stage::open().await.with("PLINTH_FILES_MAX_COUNT", "0")).await;
    let person = house.person("ada").await;
    let empty = person
        .get(&house, "/v1/me/storage")
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&empty["used_bytes"], &empty["files"]),
        (&0.into(), &0.into())
    );
    person.upload(&house, "a.bin", pattern(1000)).await;
    person.upload(&house, "b.bin", pattern(1000)).await;
    let storage = person
        .get(&house, "/v1/me/storage")
        .await
        .expect(StatusCode::OK);
    assert_eq!(storage["used_bytes"], 1000, "equal bytes are stored once");
    assert_eq!(
        (&storage["files"], &storage["max_files"]),
        (&2.into(), &serde_json::Value::Null)
    );
    assert_eq!(storage["quota_bytes"], 20_u64 << 30);
}
