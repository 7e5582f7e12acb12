//! Quotas hold for concurrent uploads.

use plinth_testkit::Stage;
use reqwest::StatusCode;

use super::pattern;
use crate::house::{House, text};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn fifty_concurrent_uploads_do_not_exceed_the_quota() {
    let house = House::on(Stage::open().await.with("PLINTH_FILES_QUOTA", "1MiB")).await;
    let person = house.person("ada").await;
    let uploads = (0..50_u8).map(|n| person.try_upload(&house, "a.bin", vec![n; 100 * 1024]));
    let answers = futures_util::future::join_all(uploads).await;
    let stored = answers
        .iter()
        .filter(|answer| answer.status == StatusCode::CREATED)
        .count();
    assert_eq!(stored, 10, "as many as fit into the quota");
    for refused in answers
        .iter()
        .filter(|answer| answer.status != StatusCode::CREATED)
    {
        refused.problem(409, "quota_exceeded");
    }
    assert_eq!(
        house
            .count("storage_usage WHERE bytes = 1024000 AND reserved = 0 AND files = 10")
            .await,
        1
    );
    assert_eq!(
        house.count("blobs").await,
        10,
        "refused uploads leave nothing"
    );
}

#[tokio::test]
async fn a_large_upload_is_refused_once_it_exceeds_the_quota_and_leaves_nothing() {
    let house = House::on(Stage::open().await.with("PLINTH_FILES_QUOTA", "20MiB")).await;
    let person = house.person("ada").await;
    person
        .try_upload(&house, "a.bin", pattern(40 * MIB))
        .await
        .problem(409, "quota_exceeded");
    assert_eq!(house.count("blobs").await, 0);
    assert_eq!(
        house
            .count("storage_usage WHERE bytes = 0 AND reserved = 0")
            .await,
        1
    );
    let file = person.upload(&house, "a.bin", pattern(20 * MIB)).await;
    assert_eq!(
        house
            .count("storage_usage WHERE bytes = 20971520 AND reserved = 0")
            .await,
        1
    );
    person
        .try_upload(&house, "b.bin", b"x".to_vec())
        .await
        .problem(409, "quota_exceeded");
    let path = format!("/v1/files/{}?permanently=true", text(&file["id"]));
    person
        .delete(&house, &path)
        .await
        .expect(StatusCode::NO_CONTENT);
    person.upload(&house, "b.bin", b"x".to_vec()).await;
    assert_eq!(
        house
            .count("storage_usage WHERE bytes = 1 AND files = 1")
            .await,
        1
    );
}

#[tokio::test]
async fn an_account_has_a_limited_number_of_files() {
    let house = House::on(Stage::open().await.with("PLINTH_FILES_MAX_COUNT", "3")).await;
    let person = house.person("ada").await;
    let uploads = (0..10_u8).map(|n| person.try_upload(&house, "a.bin", vec![n]));
    let answers = futures_util::future::join_all(uploads).await;
    assert_eq!(
        answers
            .iter()
            .filter(|answer| answer.status == StatusCode::CREATED)
            .count(),
        3
    );
    assert_eq!(house.count("files").await, 3);
}
