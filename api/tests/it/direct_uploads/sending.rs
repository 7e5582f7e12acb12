//! What is announced and sent becomes a file like any other.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    DIRECT, PART, announced, begin, is_counted, open, path, purge, send, uploaded, verify,
};
use crate::files::{content, pattern};
use crate::house::{Answer, House, text};

#[tokio::test]
async fn what_is_put_is_a_file_when_it_was_read_back_and_not_before() {
    let house = open().await;
    let person = house.person("ada").await;
    let bytes = pattern(100_000);
    let begun = begin(&house, &person, "plan.bin", &bytes).await;
    assert_eq!(
        (&begun["upload"]["state"], &begun["upload"]["part_count"]),
        (&json!("waiting"), &json!(1))
    );
    is_counted(&house, 0, bytes.len(), 0).await;
    let mut headers: Vec<_> = begun["put"]["headers"]
        .as_object()
        .expect("headers")
        .keys()
        .collect();
    headers.sort();
    // The list is documented: it is what a bucket's CORS has to allow.
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
        "there is no file yet"
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
    is_counted(&house, bytes.len(), 0, 1).await;
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
    // A verification that comes again, as after a worker's death, finds nothing to do.
    verify(&house).await;
    is_counted(&house, bytes.len(), 0, 1).await;
}

#[tokio::test]
async fn a_file_that_came_directly_is_like_any_other() {
    let house = open().await;
    let person = house.person("ada").await;
    let bytes = b"the first text".to_vec();
    let id = text(&uploaded(&house, &person, "a.txt", &bytes).await["file_id"]);
    let file = person
        .get(&house, &format!("/v1/files/{id}"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(file["content_type"], "text/plain");

    // Another version, directly; the first one comes back.
    let mut version = announced("ignored", b"second");
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

    // Equal bytes are kept once, whichever way they come.
    let other = person.upload(&house, "b.txt", bytes.clone()).await;
    assert_eq!(house.count("blobs WHERE state = 'stored'").await, 2);
    let again = text(&uploaded(&house, &person, "c.txt", &bytes).await["file_id"]);
    assert_eq!(house.count("blobs WHERE state = 'stored'").await, 2);
    assert_eq!(content(&house, &person, &again, &[]).await.bytes, bytes);
    purge(&house).await;
    assert_eq!(house.count("blobs").await, 2, "what came twice is gone");

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
    is_counted(&house, 0, 0, 0).await;
}

#[tokio::test]
async fn a_large_file_is_sent_in_parts_and_in_any_order() {
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
        "its parts are gone"
    );
    assert!(content(&house, &person, &id, &[]).await.bytes == bytes);
}

#[tokio::test]
async fn direct_uploads_are_off_unless_the_deployment_wants_them() {
    let house = House::open().await;
    let person = house.person("ada").await;
    person
        .post(&house, DIRECT, &announced("a.txt", b"a"))
        .await
        .problem(403, "direct_uploads_off");
    assert_eq!(house.count("blobs").await, 0);
}

#[tokio::test]
async fn an_upload_of_somebody_else_does_not_exist() {
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
    let mut version = announced("b.txt", b"c");
    version["file_id"] = json!(file);
    bob.post(&house, DIRECT, &version)
        .await
        .problem(404, "not_found");
    ada.get(&house, &path).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
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
