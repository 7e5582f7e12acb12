//! Declared and sent bytes become a regular file.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    DIRECT, PART, assert_usage, begin, declaration, open, path, purge, send, uploaded, verify,
};
use crate::files::{content, pattern};
use crate::house::{Answer, House, text};

#[tokio::test]
async fn sent_bytes_become_a_file_only_after_verification() {
    let house = open().await;
    let person = house.person("ada").await;
    let bytes = pattern(100_000);
    let begun = begin(&house, &person, "plan.bin", &bytes).await;
    assert_eq!(
        (&begun["upload"]["state"], &begun["upload"]["part_count"]),
        (&json!("waiting"), &json!(1))
    );
    assert_usage(&house, 0, bytes.len(), 0).await;
    let mut headers: Vec<_> = begun["put"]["headers"]
        .as_object()
        .expect("headers")
        .keys()
        .collect();
    headers.sort();
    // The documentation lists these headers for the CORS settings of a bucket.
    assert_eq!(headers, ["if-none-match", "x-amz-checksum-sha256"]);
    assert_eq!(
        send(&house, &begun["put"], bytes.clone()).await,
        StatusCode::OK
    );

    let complete = format!("{}/complete", path(&begun));
    let upload = person
        .post(&house, &complete, &json!({}))
        .await
        .expect(StatusCode::ACCEPTED);
    assert_eq!(upload["state"], "verifying");
    assert_eq!(
        person.get(&house, "/v1/files").await.json()["items"],
        json!([]),
        "the file does not exist yet"
    );
    let job = person
        .get(&house, &format!("/v1/me/jobs/{}", text(&upload["job_id"])))
        .await;
    assert_eq!(job.expect(StatusCode::OK)["state"], "waiting");

    verify(&house).await;
    let upload = person
        .get(&house, &path(&begun))
        .await
        .expect(StatusCode::OK);
    let id = text(&upload["file_id"]);
    let file = person
        .get(&house, &format!("/v1/files/{id}"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&file["name"], &file["size"]),
        (&json!("plan.bin"), &json!(100_000))
    );
    assert_usage(&house, bytes.len(), 0, 1).await;
    assert!(content(&house, &person, &id, &[]).await.bytes == bytes);
    let part = content(&house, &person, &id, &[("range", "bytes=70000-70009")]).await;
    assert_eq!(
        (part.status, &part.bytes[..]),
        (StatusCode::PARTIAL_CONTENT, &bytes[70_000..70_010])
    );
    assert_eq!(
        house
            .count("blobs WHERE data_key IS NULL AND etag IS NOT NULL")
            .await,
        1
    );
    // A repeated verification, as after a worker crash, has no effect.
    verify(&house).await;
    assert_usage(&house, bytes.len(), 0, 1).await;
}

#[tokio::test]
async fn a_directly_uploaded_file_behaves_like_any_other() {
    let house = open().await;
    let person = house.person("ada").await;
    let bytes = b"the first text".to_vec();
    let id = text(&uploaded(&house, &person, "a.txt", &bytes).await["file_id"]);
    let file = person
        .get(&house, &format!("/v1/files/{id}"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(file["content_type"], "text/plain");

    // Another version, uploaded directly; then the first one is restored.
    let mut version = declaration("ignored", b"second");
    version["file_id"] = json!(id);
    let begun = person
        .post(&house, DIRECT, &version)
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(
        send(&house, &begun["put"], b"second".to_vec()).await,
        StatusCode::OK
    );
    person
        .post(&house, &format!("{}/complete", path(&begun)), &json!({}))
        .await
        .expect(StatusCode::ACCEPTED);
    verify(&house).await;
    assert_eq!(content(&house, &person, &id, &[]).await.bytes, b"second");
    let first = person
        .get(&house, &format!("/v1/files/{id}/versions/1/content"))
        .await;
    assert_eq!(first.bytes, bytes);

    // Equal bytes are stored once, for both kinds of upload.
    let other = person.upload(&house, "b.txt", bytes.clone()).await;
    assert_eq!(house.count("blobs WHERE state = 'stored'").await, 2);
    let again = text(&uploaded(&house, &person, "c.txt", &bytes).await["file_id"]);
    assert_eq!(house.count("blobs WHERE state = 'stored'").await, 2);
    assert_eq!(content(&house, &person, &again, &[]).await.bytes, bytes);
    purge(&house).await;
    assert_eq!(house.count("blobs").await, 2, "the duplicate is removed");

    let zip = person
        .post(
            &house,
            "/v1/files/zip",
            &json!({ "ids": [id, other["id"]] }),
        )
        .await;
    assert!(
        zip.bytes.windows(bytes.len()).any(|some| some == bytes),
        "it is stored in the archive"
    );
    let link = json!({});
    let link = person
        .post(&house, &format!("/v1/files/{id}/links"), &link)
        .await
        .expect(StatusCode::CREATED);
    let token = text(&link["url"])
        .rsplit('/')
        .next()
        .expect("a token")
        .to_owned();
    let shared =
        Answer::of(house.request(Method::GET, &format!("/v1/links/{token}/content"))).await;
    assert_eq!(shared.bytes, b"second");

    let empty = text(&uploaded(&house, &person, "empty", b"").await["file_id"]);
    assert_eq!(content(&house, &person, &empty, &[]).await.bytes, b"");

    for file in [&id, &text(&other["id"]), &again, &empty] {
        let permanently = format!("/v1/files/{file}?permanently=true");
        person
            .delete(&house, &permanently)
            .await
            .expect(StatusCode::NO_CONTENT);
    }
    purge(&house).await;
    assert_eq!(house.count("blobs").await, 0);
    assert_usage(&house, 0, 0, 0).await;
}

#[tokio::test]
async fn a_large_file_is_sent_in_parts_in_any_order() {
    let house = open().await;
    let person = house.person("ada").await;
    let bytes = pattern(PART + 1_000);
    let begun = begin(&house, &person, "large.bin", &bytes).await;
    assert_eq!(
        (&begun["put"], &begun["upload"]["part_count"]),
        (&Value::Null, &json!(2))
    );
    let (parts, complete) = (
        format!("{}/parts", path(&begun)),
        format!("{}/complete", path(&begun)),
    );
    person
        .post(&house, &complete, &json!({}))
        .await
        .problem(409, "not_uploaded");

    let signed = person
        .post(&house, &parts, &json!({ "numbers": [2, 1] }))
        .await
        .expect(StatusCode::OK);
    assert_eq!(signed["items"][0]["size"], 1_000);
    assert_ne!(
        send(&house, &signed["items"][0], vec![0; 1_001]).await,
        StatusCode::OK,
        "too long"
    );
    assert_eq!(
        send(&house, &signed["items"][0], bytes[PART..].to_vec()).await,
        StatusCode::OK
    );
    person
        .post(&house, &complete, &json!({}))
        .await
        .problem(409, "not_uploaded");
    assert_eq!(
        send(&house, &signed["items"][1], bytes[..PART].to_vec()).await,
        StatusCode::OK
    );
    person
        .post(&house, &complete, &json!({}))
        .await
        .expect(StatusCode::ACCEPTED);
    person
        .post(&house, &parts, &json!({ "numbers": [1] }))
        .await
        .problem(409, "upload_over");
    verify(&house).await;

    let upload = person
        .get(&house, &path(&begun))
        .await
        .expect(StatusCode::OK);
    let id = text(&upload["file_id"]);
    assert!(content(&house, &person, &id, &[]).await.bytes == bytes);
    assert_ne!(
        send(&house, &signed["items"][0], vec![0; 1_000]).await,
        StatusCode::OK,
        "its parts are removed"
    );
    assert!(content(&house, &person, &id, &[]).await.bytes == bytes);
}

#[tokio::test]
async fn direct_uploads_are_off_by_default() {
    let house = House::open().await;
    let person = house.person("ada").await;
    person
        .post(&house, DIRECT, &declaration("a.txt", b"a"))
        .await
        .problem(403, "direct_uploads_off");
    assert_eq!(house.count("blobs").await, 0);
}

#[tokio::test]
async fn an_upload_of_another_account_is_not_found() {
    let house = open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let begun = begin(&house, &ada, "a.txt", b"bytes").await;
    let path = path(&begun);
    bob.get(&house, &path).await.problem(404, "not_found");
    bob.post(&house, &format!("{path}/parts"), &json!({ "numbers": [1] }))
        .await
        .problem(404, "not_found");
    bob.post(&house, &format!("{path}/complete"), &json!({}))
        .await
        .problem(404, "not_found");
    bob.delete(&house, &path).await.problem(404, "not_found");
    let file = text(&ada.upload(&house, "b.txt", b"b".to_vec()).await["id"]);
    let mut version = declaration("b.txt", b"c");
    version["file_id"] = json!(file);
    bob.post(&house, DIRECT, &version)
        .await
        .problem(404, "not_found");
    ada.get(&house, &path).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn invalid_requests_are_refused() {
    let house = open().await;
    let person = house.person("ada").await;
    let wrong = json!({ "filename": "a/..", "size": -1, "sha256": "ff" });
    let answer = person.post(&house, DIRECT, &wrong).await;
    answer.problem(422, "validation_failed");
    assert_eq!(answer.faults().len(), 3, "{:?}", answer.faults());
    let begun = begin(&house, &person, "a.bin", &pattern(PART + 1)).await;
    for numbers in [
        json!([]),
        json!([0]),
        json!([3]),
        json!((1..=101).collect::<Vec<_>>()),
    ] {
        let parts = json!({ "numbers": numbers });
        person
            .post(&house, &format!("{}/parts", path(&begun)), &parts)
            .await
            .problem(422, "validation_failed");
    }
}
