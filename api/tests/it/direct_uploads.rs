//! Direct uploads: bytes go to S3 by themselves, and are a file when they were read back and found right.

use std::collections::HashSet;

use plinth_core::cleanup::{self, Kept, Kind};
use plinth_core::files::{DirectVerification, Files, Limits, Purge};
use plinth_domain::id::BlobId;
use plinth_platform::crypto::{hex, sha256};
use plinth_testkit::Stage;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::files::{content, pattern};
use crate::house::{Answer, House, PASSWORD, Person, text};

const PART: usize = 16 * 1024 * 1024;
const DIRECT: &str = "/v1/direct-uploads";

async fn open() -> House {
    House::on(Stage::open().await.with("PLINTH_FILES_DIRECT_UPLOADS", "true")).await
}

fn announced(name: &str, bytes: &[u8]) -> Value {
    json!({ "filename": name, "size": bytes.len(), "sha256": hex(&sha256(bytes)) })
}

async fn begin(house: &House, person: &Person, name: &str, bytes: &[u8]) -> Value {
    person.post(house, DIRECT, &announced(name, bytes)).await.expect(StatusCode::CREATED)
}

fn path(begun: &Value) -> String {
    format!("{DIRECT}/{}", text(&begun["upload"]["id"]))
}

/// Sends what was signed, as any HTTP client does.
async fn send(house: &House, signed: &Value, bytes: Vec<u8>) -> StatusCode {
    let method: Method = text(&signed["method"]).parse().expect("a method");
    let mut request = house.client.request(method, text(&signed["url"])).body(bytes);
    for (name, value) in signed["headers"].as_object().expect("headers") {
        request = request.header(name, text(value));
    }
    request.send().await.expect("S3 answers").status()
}

/// Does what the worker does with the jobs that were asked for.
async fn verify(house: &House) {
    let settings = house.stage.settings().files;
    let files = Files::new(&house.stores, Limits::of(&settings), &settings.presets);
    let verification = DirectVerification::new(&house.stores, &files);
    for upload in jobs(house, "files.verify", "upload").await {
        if let Some(mut verifying) = verification.begin(upload).await.expect("begins") {
            while verifying.step().await.expect("reads").is_some() {}
            verifying.finish().await.expect("ends");
        }
    }
}

async fn purge(house: &House) {
    for blob in jobs(house, "files.purge", "blob_id").await {
        Purge::new(&house.stores).run(blob).await.expect("removes");
    }
}

async fn jobs(house: &House, kind: &str, field: &str) -> Vec<BlobId> {
    let query = "SELECT (payload->>$2)::uuid FROM jobs WHERE kind = $1 ORDER BY id";
    let found: Vec<Uuid> =
        sqlx::query_scalar(query).bind(kind).bind(field).fetch_all(&house.stores.db).await.expect("reads");
    found.into_iter().map(BlobId).collect()
}

/// A file that came directly, and its upload.
async fn uploaded(house: &House, person: &Person, name: &str, bytes: &[u8]) -> Value {
    let begun = begin(house, person, name, bytes).await;
    assert_eq!(send(house, &begun["put"], bytes.to_vec()).await, StatusCode::OK);
    let complete = format!("{}/complete", path(&begun));
    person.post(house, &complete, &json!({})).await.expect(StatusCode::ACCEPTED);
    verify(house).await;
    let upload = person.get(house, &path(&begun)).await.expect(StatusCode::OK);
    assert_eq!(upload["state"], "done", "{upload}");
    upload
}

async fn is_counted(house: &House, bytes: usize, reserved: usize, files: usize) {
    let query = "SELECT bytes, reserved, files FROM storage_usage";
    let row: (i64, i64, i64) = sqlx::query_as(query).fetch_one(&house.stores.db).await.expect("reads");
    let expected = [bytes, reserved, files].map(|number| i64::try_from(number).expect("fits"));
    assert_eq!([row.0, row.1, row.2], expected);
}

/// How many abandoned uploads went.
async fn clean_up(house: &House) -> u64 {
    let request = cleanup::Request { only: vec![Kind::AbandonedUploads], ..cleanup::Request::default() };
    let kept = Kept::of(&house.stage.settings());
    let report = cleanup::run(&house.stores, &kept, &request, &CancellationToken::new()).await;
    report.expect("runs").of(Kind::AbandonedUploads)
}

#[tokio::test]
async fn what_is_put_is_a_file_when_it_was_read_back_and_not_before() {
    let house = open().await;
    let person = house.person("ada").await;
    let bytes = pattern(100_000);
    let begun = begin(&house, &person, "plan.bin", &bytes).await;
    assert_eq!((&begun["upload"]["state"], &begun["upload"]["part_count"]), (&json!("waiting"), &json!(1)));
    is_counted(&house, 0, bytes.len(), 0).await;
    let mut headers: Vec<_> = begun["put"]["headers"].as_object().expect("headers").keys().collect();
    headers.sort();
    // The list is documented: it is what a bucket's CORS has to allow.
    assert_eq!(headers, ["if-none-match", "x-amz-checksum-sha256"]);
    assert_eq!(send(&house, &begun["put"], bytes.clone()).await, StatusCode::OK);

    let complete = format!("{}/complete", path(&begun));
    let upload = person.post(&house, &complete, &json!({})).await.expect(StatusCode::ACCEPTED);
    assert_eq!(upload["state"], "verifying");
    assert_eq!(person.get(&house, "/v1/files").await.json()["items"], json!([]), "there is no file yet");
    let job = person.get(&house, &format!("/v1/me/jobs/{}", text(&upload["job_id"]))).await;
    assert_eq!(job.expect(StatusCode::OK)["state"], "waiting");

    verify(&house).await;
    let upload = person.get(&house, &path(&begun)).await.expect(StatusCode::OK);
    let id = text(&upload["file_id"]);
    let file = person.get(&house, &format!("/v1/files/{id}")).await.expect(StatusCode::OK);
    assert_eq!((&file["name"], &file["size"]), (&json!("plan.bin"), &json!(100_000)));
    is_counted(&house, bytes.len(), 0, 1).await;
    assert!(content(&house, &person, &id, &[]).await.bytes == bytes);
    let part = content(&house, &person, &id, &[("range", "bytes=70000-70009")]).await;
    assert_eq!((part.status, &part.bytes[..]), (StatusCode::PARTIAL_CONTENT, &bytes[70_000..70_010]));
    assert_eq!(house.count("blobs WHERE data_key IS NULL AND etag IS NOT NULL").await, 1);
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
    let file = person.get(&house, &format!("/v1/files/{id}")).await.expect(StatusCode::OK);
    assert_eq!(file["content_type"], "text/plain");

    // Another version, directly; the first one comes back.
    let mut version = announced("ignored", b"second");
    version["file_id"] = json!(id);
    let begun = person.post(&house, DIRECT, &version).await.expect(StatusCode::CREATED);
    assert_eq!(send(&house, &begun["put"], b"second".to_vec()).await, StatusCode::OK);
    person.post(&house, &format!("{}/complete", path(&begun)), &json!({})).await.expect(StatusCode::ACCEPTED);
    verify(&house).await;
    assert_eq!(content(&house, &person, &id, &[]).await.bytes, b"second");
    let first = person.get(&house, &format!("/v1/files/{id}/versions/1/content")).await;
    assert_eq!(first.bytes, bytes);

    // Equal bytes are kept once, whichever way they come.
    let other = person.upload(&house, "b.txt", bytes.clone()).await;
    assert_eq!(house.count("blobs WHERE state = 'stored'").await, 2);
    let again = text(&uploaded(&house, &person, "c.txt", &bytes).await["file_id"]);
    assert_eq!(house.count("blobs WHERE state = 'stored'").await, 2);
    assert_eq!(content(&house, &person, &again, &[]).await.bytes, bytes);
    purge(&house).await;
    assert_eq!(house.count("blobs").await, 2, "what came twice is gone");

    let zip = person.post(&house, "/v1/files/zip", &json!({ "ids": [id, other["id"]] })).await;
    assert!(zip.bytes.windows(bytes.len()).any(|some| some == bytes), "it is stored in the archive");
    let link = json!({});
    let link = person.post(&house, &format!("/v1/files/{id}/links"), &link).await.expect(StatusCode::CREATED);
    let token = text(&link["url"]).rsplit('/').next().expect("a token").to_owned();
    let shared = Answer::of(house.request(Method::GET, &format!("/v1/links/{token}/content"))).await;
    assert_eq!(shared.bytes, b"second");

    let empty = text(&uploaded(&house, &person, "empty", b"").await["file_id"]);
    assert_eq!(content(&house, &person, &empty, &[]).await.bytes, b"");

    for file in [&id, &text(&other["id"]), &again, &empty] {
        let permanently = format!("/v1/files/{file}?permanently=true");
        person.delete(&house, &permanently).await.expect(StatusCode::NO_CONTENT);
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
    assert_eq!((&begun["put"], &begun["upload"]["part_count"]), (&Value::Null, &json!(2)));
    let (parts, complete) = (format!("{}/parts", path(&begun)), format!("{}/complete", path(&begun)));
    person.post(&house, &complete, &json!({})).await.problem(409, "not_uploaded");

    let signed = person.post(&house, &parts, &json!({ "numbers": [2, 1] })).await.expect(StatusCode::OK);
    assert_eq!(signed["items"][0]["size"], 1_000);
    assert_ne!(send(&house, &signed["items"][0], vec![0; 1_001]).await, StatusCode::OK, "too long");
    assert_eq!(send(&house, &signed["items"][0], bytes[PART..].to_vec()).await, StatusCode::OK);
    person.post(&house, &complete, &json!({})).await.problem(409, "not_uploaded");
    assert_eq!(send(&house, &signed["items"][1], bytes[..PART].to_vec()).await, StatusCode::OK);
    person.post(&house, &complete, &json!({})).await.expect(StatusCode::ACCEPTED);
    person.post(&house, &parts, &json!({ "numbers": [1] })).await.problem(409, "upload_over");
    verify(&house).await;

    let upload = person.get(&house, &path(&begun)).await.expect(StatusCode::OK);
    let id = text(&upload["file_id"]);
    assert!(content(&house, &person, &id, &[]).await.bytes == bytes);
    assert_ne!(send(&house, &signed["items"][0], vec![0; 1_000]).await, StatusCode::OK, "its parts are gone");
    assert!(content(&house, &person, &id, &[]).await.bytes == bytes);
}

#[tokio::test]
async fn a_lie_about_the_bytes_leaves_nothing_but_the_reason() {
    let house = open().await;
    let person = house.person("ada").await;
    for (stored, reason) in
        [(b"other".as_slice(), "wrong_checksum"), (b"longer", "wrong_size"), (b"", "wrong_size")]
    {
        let begun = begin(&house, &person, "a.txt", b"bytes").await;
        let id: Uuid = text(&begun["upload"]["id"]).parse().expect("an id");
        let key = format!("blobs/{id}/content");
        // By a store that does not look at what is signed.
        house.stores.objects.put(&key, stored.to_vec().into(), "text/plain").await.expect("is written");
        let complete = format!("{}/complete", path(&begun));
        person.post(&house, &complete, &json!({})).await.expect(StatusCode::ACCEPTED);
        verify(&house).await;
        purge(&house).await;
        let upload = person.get(&house, &path(&begun)).await.expect(StatusCode::OK);
        assert_eq!((&upload["state"], &upload["reason"]), (&json!("refused"), &json!(reason)));
        assert_eq!(upload["file_id"], Value::Null);
        person.post(&house, &complete, &json!({})).await.problem(409, "upload_over");
        assert_eq!(house.stores.objects.size(&key).await.expect("answers"), None);
        is_counted(&house, 0, 0, 0).await;
    }
    assert_eq!((house.count("blobs").await, house.count("files").await), (0, 0));
    let refused = "audit_events WHERE action = 'file.direct_upload_refused' AND outcome = 'refused'";
    assert_eq!(house.count(refused).await, 3);
}

#[tokio::test]
async fn the_object_store_refuses_other_bytes_than_were_announced() {
    let house = open().await;
    let person = house.person("ada").await;
    let begun = begin(&house, &person, "a.txt", b"bytes").await;
    assert_ne!(send(&house, &begun["put"], b"longer".to_vec()).await, StatusCode::OK);
    person.post(&house, &format!("{}/complete", path(&begun)), &json!({})).await.problem(409, "not_uploaded");
    assert_ne!(send(&house, &begun["put"], b"other".to_vec()).await, StatusCode::OK);
}

#[tokio::test]
async fn a_request_that_is_still_valid_changes_nothing_that_was_verified() {
    let house = open().await;
    let person = house.person("ada").await;
    let begun = begin(&house, &person, "a.txt", b"bytes").await;
    assert_eq!(send(&house, &begun["put"], b"bytes".to_vec()).await, StatusCode::OK);
    assert_eq!(send(&house, &begun["put"], b"bytes".to_vec()).await, StatusCode::PRECONDITION_FAILED);
    person.post(&house, &format!("{}/complete", path(&begun)), &json!({})).await.expect(StatusCode::ACCEPTED);
    verify(&house).await;
    assert_eq!(send(&house, &begun["put"], b"other".to_vec()).await, StatusCode::PRECONDITION_FAILED);
    let id = text(&person.get(&house, &path(&begun)).await.json()["file_id"]);
    assert_eq!(content(&house, &person, &id, &[]).await.bytes, b"bytes");

    // Whoever has the bucket's keys can: then nothing is given.
    let key = format!("blobs/{}/content", text(&begun["upload"]["id"]));
    house.stores.objects.put(&key, b"other".to_vec().into(), "text/plain").await.expect("is written");
    content(&house, &person, &id, &[]).await.problem(500, "internal");
}

#[tokio::test]
async fn an_upload_that_is_completed_twice_at_once_is_verified_once() {
    let house = open().await;
    let person = house.person("ada").await;
    let begun = begin(&house, &person, "a.txt", b"bytes").await;
    assert_eq!(send(&house, &begun["put"], b"bytes".to_vec()).await, StatusCode::OK);
    let (complete, nothing) = (format!("{}/complete", path(&begun)), json!({}));
    let answers = (0..8).map(|_| person.post(&house, &complete, &nothing));
    let answers = futures_util::future::join_all(answers).await;
    let jobs: HashSet<String> =
        answers.into_iter().map(|answer| text(&answer.expect(StatusCode::ACCEPTED)["job_id"])).collect();
    assert_eq!(jobs.len(), 1);
    assert_eq!(house.count("jobs WHERE kind = 'files.verify'").await, 1);
    verify(&house).await;
    let done = person.post(&house, &complete, &json!({})).await.expect(StatusCode::ACCEPTED);
    assert_eq!(done["state"], "done");
    assert_eq!(house.count("files").await, 1);
}

#[tokio::test]
async fn what_is_announced_is_set_aside_at_once_however_many_announce() {
    let stage = Stage::open().await.with("PLINTH_FILES_DIRECT_UPLOADS", "true");
    let house =
        House::on(stage.with("PLINTH_FILES_QUOTA", "1MiB").with("PLINTH_FILES_MAX_SIZE", "1MiB")).await;
    let person = house.person("ada").await;
    let announced = announced("a.bin", &pattern(100 * 1024));
    let begins = (0..50).map(|_| person.post(&house, DIRECT, &announced));
    let answers = futures_util::future::join_all(begins).await;
    let begun: Vec<_> = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).collect();
    assert_eq!(begun.len(), 10, "as many as there is room for");
    for refused in answers.iter().filter(|answer| answer.status != StatusCode::CREATED) {
        refused.problem(409, "quota_exceeded");
    }
    is_counted(&house, 0, 10 * 100 * 1024, 0).await;
    for answer in begun {
        person.delete(&house, &path(&answer.json())).await.expect(StatusCode::NO_CONTENT);
    }
    is_counted(&house, 0, 0, 0).await;
    assert_eq!((house.count("blobs").await, house.count("direct_uploads").await), (0, 0));
    let mut large = announced;
    large["size"] = json!(1024 * 1024 + 1);
    person.post(&house, DIRECT, &large).await.problem(413, "too_large");
}

#[tokio::test]
async fn an_account_with_all_the_files_it_may_have_begins_no_other() {
    let stage = Stage::open().await.with("PLINTH_FILES_DIRECT_UPLOADS", "true");
    let house = House::on(stage.with("PLINTH_FILES_MAX_COUNT", "1")).await;
    let person = house.person("ada").await;
    let begun = begin(&house, &person, "late.txt", b"late").await;
    assert_eq!(send(&house, &begun["put"], b"late".to_vec()).await, StatusCode::OK);
    person.upload(&house, "first.txt", b"first".to_vec()).await;
    person.post(&house, DIRECT, &announced("a.txt", b"a")).await.problem(409, "quota_exceeded");
    // One that was begun when there was room is refused when there is none.
    person.post(&house, &format!("{}/complete", path(&begun)), &json!({})).await.expect(StatusCode::ACCEPTED);
    verify(&house).await;
    let upload = person.get(&house, &path(&begun)).await.expect(StatusCode::OK);
    assert_eq!((&upload["state"], &upload["reason"]), (&json!("refused"), &json!("quota_exceeded")));
    is_counted(&house, 5, 0, 1).await;
}

#[tokio::test]
async fn uploads_that_stand_still_go_and_those_that_are_over_are_forgotten() {
    let house = open().await;
    let person = house.person("ada").await;
    let waiting = begin(&house, &person, "a.bin", &pattern(PART + 1)).await;
    let sent = begin(&house, &person, "b.txt", b"sent").await;
    assert_eq!(send(&house, &sent["put"], b"sent".to_vec()).await, StatusCode::OK);
    let done = uploaded(&house, &person, "c.txt", b"done").await;
    let complete = begin(&house, &person, "d.txt", b"complete").await;
    assert_eq!(send(&house, &complete["put"], b"complete".to_vec()).await, StatusCode::OK);
    let said = format!("{}/complete", path(&complete));
    person.post(&house, &said, &json!({})).await.expect(StatusCode::ACCEPTED);

    house.stores.clock.advance(time::Duration::hours(25));
    assert_eq!(clean_up(&house).await, 2);
    assert_eq!(house.count("direct_uploads").await, 1, "that which waits for us and not for its client");
    is_counted(&house, 4, 8, 1).await;
    house.stores.clock.advance(time::Duration::days(7));
    assert_eq!(clean_up(&house).await, 1);
    assert_eq!(house.count("direct_uploads").await, 0);
    is_counted(&house, 4, 0, 1).await;
    let key = format!("blobs/{}/content", text(&sent["upload"]["id"]));
    assert_eq!(house.stores.objects.size(&key).await.expect("answers"), None);
    let person = person.with(&house.log_in(&person.email, PASSWORD).await.json());
    for begun in [&waiting, &sent] {
        person.get(&house, &path(begun)).await.problem(404, "not_found");
    }
    assert_eq!(content(&house, &person, &text(&done["file_id"]), &[]).await.bytes, b"done");
}

#[tokio::test]
async fn a_verification_goes_on_where_the_one_before_it_was_killed() {
    let house = open().await;
    let person = house.person("ada").await;
    // Longer than what is read before it is written down.
    let bytes = pattern(64 * 1024 * 1024 + 1_000);
    let begun = begin(&house, &person, "large.bin", &bytes).await;
    let signed = json!({ "numbers": [1, 2, 3, 4, 5] });
    let signed = person.post(&house, &format!("{}/parts", path(&begun)), &signed).await.json();
    for (part, bytes) in signed["items"].as_array().expect("parts").iter().zip(bytes.chunks(PART)) {
        assert_eq!(send(&house, part, bytes.to_vec()).await, StatusCode::OK);
    }
    person.post(&house, &format!("{}/complete", path(&begun)), &json!({})).await.expect(StatusCode::ACCEPTED);
    let settings = house.stage.settings().files;
    let files = Files::new(&house.stores, Limits::of(&settings), &settings.presets);
    let id = BlobId(text(&begun["upload"]["id"]).parse().expect("an id"));
    let mut killed =
        DirectVerification::new(&house.stores, &files).begin(id).await.expect("begins").expect("is due");
    assert_eq!(killed.step().await.expect("reads"), Some(99));
    drop(killed);
    let mut next =
        DirectVerification::new(&house.stores, &files).begin(id).await.expect("begins").expect("is due");
    assert_eq!(next.step().await.expect("reads"), Some(100));
    assert_eq!(next.step().await.expect("reads"), None, "only the rest was read");
    next.finish().await.expect("ends");
    let upload = person.get(&house, &path(&begun)).await.expect(StatusCode::OK);
    assert_eq!(upload["state"], "done");
}

#[tokio::test]
async fn an_upload_that_is_given_up_while_it_is_verified_leaves_nothing() {
    let house = open().await;
    let person = house.person("ada").await;
    let begun = begin(&house, &person, "a.txt", b"bytes").await;
    assert_eq!(send(&house, &begun["put"], b"bytes".to_vec()).await, StatusCode::OK);
    person.post(&house, &format!("{}/complete", path(&begun)), &json!({})).await.expect(StatusCode::ACCEPTED);
    let settings = house.stage.settings().files;
    let files = Files::new(&house.stores, Limits::of(&settings), &settings.presets);
    let id = BlobId(text(&begun["upload"]["id"]).parse().expect("an id"));
    let verification = DirectVerification::new(&house.stores, &files);
    let mut verifying = verification.begin(id).await.expect("begins").expect("is due");
    assert_eq!(verifying.step().await.expect("reads"), Some(100));
    person.delete(&house, &path(&begun)).await.expect(StatusCode::NO_CONTENT);
    verifying.finish().await.expect("ends");
    person.get(&house, &path(&begun)).await.problem(404, "not_found");
    assert_eq!((house.count("blobs").await, house.count("files").await), (0, 0));
    is_counted(&house, 0, 0, 0).await;
}

#[tokio::test]
async fn direct_uploads_are_off_unless_the_deployment_wants_them() {
    let house = House::open().await;
    let person = house.person("ada").await;
    person.post(&house, DIRECT, &announced("a.txt", b"a")).await.problem(403, "direct_uploads_off");
    assert_eq!(house.count("blobs").await, 0);
}

#[tokio::test]
async fn an_upload_of_somebody_else_does_not_exist() {
    let house = open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let begun = begin(&house, &ada, "a.txt", b"bytes").await;
    let path = path(&begun);
    bob.get(&house, &path).await.problem(404, "not_found");
    bob.post(&house, &format!("{path}/parts"), &json!({ "numbers": [1] })).await.problem(404, "not_found");
    bob.post(&house, &format!("{path}/complete"), &json!({})).await.problem(404, "not_found");
    bob.delete(&house, &path).await.problem(404, "not_found");
    let file = text(&ada.upload(&house, "b.txt", b"b".to_vec()).await["id"]);
    let mut version = announced("b.txt", b"c");
    version["file_id"] = json!(file);
    bob.post(&house, DIRECT, &version).await.problem(404, "not_found");
    ada.get(&house, &path).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    let house = open().await;
    let person = house.person("ada").await;
    let wrong = json!({ "filename": "a/b", "size": -1, "sha256": "ff" });
    let answer = person.post(&house, DIRECT, &wrong).await;
    answer.problem(422, "validation_failed");
    assert_eq!(answer.faults().len(), 3, "{:?}", answer.faults());
    let begun = begin(&house, &person, "a.bin", &pattern(PART + 1)).await;
    for numbers in [json!([]), json!([0]), json!([3]), json!((1..=101).collect::<Vec<_>>())] {
        let parts = json!({ "numbers": numbers });
        person
            .post(&house, &format!("{}/parts", path(&begun)), &parts)
            .await
            .problem(422, "validation_failed");
    }
}

/// Asks, and follows nothing.
async fn ask(request: RequestBuilder) -> Answer {
    let (_, request) = request.build_split();
    let client = Client::builder().no_proxy().redirect(Policy::none()).build().expect("a client");
    Answer::of(RequestBuilder::from_parts(client, request.expect("a request"))).await
}

#[tokio::test]
async fn downloads_are_sent_on_where_the_deployment_wants_that() {
    let stage = Stage::open().await.with("PLINTH_FILES_DIRECT_UPLOADS", "true");
    let house = House::on(stage.with("PLINTH_FILES_DIRECT_DOWNLOADS", "true")).await;
    let person = house.person("ada").await;
    let bytes = pattern(5_000);
    let id = text(&uploaded(&house, &person, "Grüße.bin", &bytes).await["file_id"]);
    let content_path = format!("/v1/files/{id}/content");

    let sent_on = ask(person.request(&house, Method::GET, &content_path)).await;
    assert_eq!((sent_on.status, sent_on.bytes.len()), (StatusCode::TEMPORARY_REDIRECT, 0));
    assert_eq!(sent_on.header("cache-control"), Some("no-store"));
    let url = sent_on.header("location").expect("an address").to_owned();
    assert!(url.contains("X-Amz-Expires=60"), "{url}");
    let given = Answer::of(house.client.get(&url)).await;
    assert!(given.status == StatusCode::OK && given.bytes == bytes);
    assert_eq!(given.header("content-type"), Some("application/octet-stream"));
    assert_eq!(
        given.header("content-disposition"),
        Some("attachment; filename=\"Gr__e.bin\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe.bin")
    );
    assert_eq!(given.header("cache-control"), Some("private, no-cache"));

    // A client that follows gets its range from the store.
    let part = content(&house, &person, &id, &[("range", "bytes=100-199")]).await;
    assert_eq!((part.status, &part.bytes[..]), (StatusCode::PARTIAL_CONTENT, &bytes[100..200]));
    assert_eq!(part.header("x-request-id"), None, "the API did not give it");
    let etag = format!("\"{}\"", hex(&sha256(&bytes)));
    let known = content(&house, &person, &id, &[("if-none-match", &etag)]).await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    content(&house, &person, &id, &[("range", "bytes=5000-")]).await.problem(416, "range_not_satisfiable");
    let head = ask(person.request(&house, Method::HEAD, &content_path)).await;
    assert_eq!((head.status, head.header("content-length")), (StatusCode::OK, Some("5000")));
    let version = format!("/v1/files/{id}/versions/1/content");
    let version = ask(person.request(&house, Method::GET, &version)).await;
    assert_eq!(version.status, StatusCode::TEMPORARY_REDIRECT);

    // A link's download counts as always.
    let link = json!({ "max_downloads": 1 });
    let link = person.post(&house, &format!("/v1/files/{id}/links"), &link).await.expect(StatusCode::CREATED);
    let token = text(&link["url"]).rsplit('/').next().expect("a token").to_owned();
    let shared = format!("/v1/links/{token}/content");
    let first = ask(house.request(Method::GET, &shared)).await;
    assert_eq!(first.status, StatusCode::TEMPORARY_REDIRECT);
    ask(house.request(Method::GET, &shared)).await.problem(404, "not_found");

    // What is sealed is served from here.
    let sealed = text(&person.upload(&house, "b.bin", pattern(10)).await["id"]);
    let served = ask(person.request(&house, Method::GET, &format!("/v1/files/{sealed}/content"))).await;
    assert_eq!(served.status, StatusCode::OK);
    // And everything is where downloads are not sent on.
    let twin = house.twin_with(&[("PLINTH_FILES_DIRECT_DOWNLOADS", "false")]).await;
    let served = ask(person.request(&twin, Method::GET, &content_path)).await;
    assert!(served.status == StatusCode::OK && served.bytes == bytes);
}

#[tokio::test]
async fn requests_are_signed_for_the_endpoint_that_clients_reach() {
    let house = open().await;
    let person = house.person("ada").await;
    let public = [("PLINTH_S3_PUBLIC_ENDPOINT", "https://objects.example.org")];
    let twin = house.twin_with_stores(&public).await;
    let begun = begin(&twin, &person, "a.txt", b"bytes").await;
    assert!(text(&begun["put"]["url"]).starts_with("https://objects.example.org/"), "{begun}");
    let large = begin(&twin, &person, "a.bin", &pattern(PART + 1)).await;
    assert_eq!(large["upload"]["part_count"], 2, "the API itself reaches the other one");
}
