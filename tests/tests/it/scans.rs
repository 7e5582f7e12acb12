//! Virus scans by a real clamd. Without one these tests pass without running; `cargo dev test`
//! reports that.

use std::cell::RefCell;

use plinth_testkit::{ClamdServer, Process, Stage, until};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{Answer, Door, Person, count, text, until_none};
use crate::picture::{PLACE, jpeg, photograph};

const ADDRESS: &str = "PLINTH_CLAMAV_ADDRESS";
const STRIP: &str = "PLINTH_FILES_STRIP_METADATA";
const NOT_DONE: &str = "SELECT count(*) FROM jobs WHERE state NOT IN ('done', 'cancelled')";
/// clamd adds this to names of signatures that are not official.
const SIGNATURE: &str = "Eicar-Test-Signature.UNOFFICIAL";

/// Waits until the file is scanned, and returns it.
async fn until_scanned(person: &Person, file: Uuid) -> Value {
    until("the file is scanned", async || {
        let file = person
            .get(&format!("/v1/files/{file}"))
            .await
            .expect(StatusCode::OK);
        (file["scan"]["state"] != "pending").then_some(file)
    })
    .await
}

/// Asserts that every path of the owner refuses the contents of the file with a code.
async fn refused(person: &Person, file: Uuid, status: u16, code: &str) {
    for path in ["content", "versions/1/content", "variants/small"] {
        person
            .get(&format!("/v1/files/{file}/{path}"))
            .await
            .problem(status, code);
    }
    let path = format!("/v1/files/{file}/content");
    let ranged = person
        .request(Method::GET, &path)
        .header("range", "bytes=0-0");
    Answer::of(ranged).await.problem(status, code);
    let head = Answer::of(person.request(Method::HEAD, &path)).await;
    assert_eq!((head.status.as_u16(), head.bytes.len()), (status, 0));
    let zip = person
        .request(Method::POST, "/v1/files/zip")
        .json(&json!({ "ids": [file] }));
    Answer::of(zip).await.problem(status, code);
}

/// Creates a share link of the file and returns its path.
async fn share(person: &Person, file: Uuid) -> String {
    let link = person
        .request(Method::POST, &format!("/v1/files/{file}/links"))
        .json(&json!({}));
    let link = Answer::of(link).await.expect(StatusCode::CREATED);
    let url = text(&link["url"]);
    url[url.find("/v1/links/").expect("a link")..].to_owned()
}

async fn refused_by_link(door: &Door, link: &str) {
    for (method, path) in [
        (Method::GET, link.to_owned()),
        (Method::GET, format!("{link}/content")),
        (Method::HEAD, format!("{link}/content")),
    ] {
        assert_eq!(
            Answer::of(door.request(method, &path)).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

/// Waits for a notification of a kind about a file, and returns it.
async fn until_notified(person: &Person, kind: &str, file: Uuid) -> Value {
    until(&format!("{kind} is delivered"), async || {
        let inbox = person
            .get("/v1/me/notifications")
            .await
            .expect(StatusCode::OK);
        let messages = inbox["items"].as_array().expect("a list").clone();
        messages
            .into_iter()
            .find(|message| message["kind"] == kind && message["subject"] == file.to_string())
    })
    .await
}

#[tokio::test]
async fn an_infected_file_is_quarantined_and_its_owner_and_administrators_are_notified() {
    let Some(clamd) = ClamdServer::start().await else {
        return;
    };
    let stage = Stage::open().await.with(ADDRESS, clamd.address());
    let (api, _worker) = (Process::api(&stage).await, Process::worker(&stage).await);
    let door = Door::of(&api);
    let admin = door.administrator(&stage).await;
    let person = door.person().await;
    let by_form = person.upload("invoice.txt", ClamdServer::eicar()).await;
    let file = until_scanned(&person, by_form).await;
    assert_eq!(
        (&file["scan"]["state"], &file["scan"]["signature"]),
        (&json!("infected"), &json!(SIGNATURE))
    );
    // The same contents again, which were scanned before, uploaded in the other way.
    let by_tus = person.upload_by_tus(ClamdServer::eicar()).await;
    let link = share(&person, by_tus).await;
    for id in [by_form, by_tus] {
        refused(&person, id, 403, "file_infected").await;
        let message = until_notified(&person, "file.quarantined", id).await;
        assert!(text(&message["body"]).contains(SIGNATURE), "{message}");
        let message = until_notified(&admin, "quarantine.reported", id).await;
        let body = text(&message["body"]);
        assert!(
            body.contains(SIGNATURE) && !body.contains("invoice"),
            "{body}"
        );
        let path = format!("/v1/audit-events?action=file.quarantined&target_id={id}");
        let events = admin.get(&path).await.expect(StatusCode::OK);
        let events = events["items"].as_array().expect("a list").clone();
        let of_file: Vec<_> = events
            .iter()
            .filter(|event| event["target_id"] == id.to_string())
            .collect();
        assert_eq!(of_file.len(), 1, "{events:?}");
        assert_eq!(of_file[0]["details"]["signature"], SIGNATURE);
    }
    refused_by_link(&door, &link).await;

    // As a version of a clean file, it replaces the clean one and is quarantined with it.
    let clean = person
        .upload("clean.txt", b"nothing is in it".to_vec())
        .await;
    assert_eq!(
        until_scanned(&person, clean).await["scan"]["state"],
        "clean"
    );
    let form = Form::new().part("file", Part::bytes(ClamdServer::eicar()).file_name("a.txt"));
    let version = person
        .request(Method::POST, &format!("/v1/files/{clean}/versions"))
        .multipart(form);
    Answer::of(version).await.expect(StatusCode::CREATED);
    person
        .get(&format!("/v1/files/{clean}/content"))
        .await
        .problem(403, "file_infected");
    person
        .get(&format!("/v1/files/{clean}/versions/2/content"))
        .await
        .problem(403, "file_infected");
    let before = person
        .get(&format!("/v1/files/{clean}/versions/1/content"))
        .await;
    assert_eq!(
        (before.status, &before.bytes[..]),
        (StatusCode::OK, &b"nothing is in it"[..])
    );

    let stores = stage.stores();
    for id in [by_form, by_tus, clean] {
        let gone = person.request(Method::DELETE, &format!("/v1/files/{id}?permanently=true"));
        Answer::of(gone).await.expect(StatusCode::NO_CONTENT);
    }
    until("its object is removed", async || {
        (count(&stores, "SELECT count(*) FROM blobs").await == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_file_waits_for_its_scan_during_an_outage_of_the_scanner_and_is_then_available() {
    let Some(mut clamd) = ClamdServer::prepare() else {
        return;
    };
    let stage = Stage::open().await.with(ADDRESS, clamd.address());
    let (api, _worker) = (Process::api(&stage).await, Process::worker(&stage).await);
    let door = Door::of(&api);
    let person = door.person().await;
    let bytes = jpeg(400, 300);
    let file = person.upload("photo.jpg", bytes.clone()).await;
    let stores = stage.stores();
    until("a scan has failed", async || {
        let query =
            "SELECT count(*) FROM job_attempts JOIN jobs ON jobs.id = job_id WHERE kind = 'files.scan'";
        (count(&stores, query).await > 0).then_some(())
    })
    .await;
    refused(&person, file, 409, "file_not_scanned").await;
    let early = person.get(&format!("/v1/files/{file}/content")).await;
    assert_eq!(early.header("retry-after"), Some("5"));
    let link = share(&person, file).await;
    refused_by_link(&door, &link).await;
    assert_eq!(
        count(&stores, "SELECT count(*) FROM file_variants").await,
        0,
        "nothing is made of it"
    );

    clamd.start_again().await;
    sqlx::query("UPDATE jobs SET run_at = now() WHERE kind = 'files.scan' AND state = 'retrying'")
        .execute(&stores.db)
        .await
        .expect("updates");
    let scanned = until_scanned(&person, file).await;
    assert_eq!(scanned["scan"]["state"], "clean");
    let ready = person.until_ready(file).await;
    assert!(
        ready["job_id"].is_string(),
        "its owner can watch the job: {ready}"
    );
    let answer = person.get(&format!("/v1/files/{file}/content")).await;
    assert!(answer.status == StatusCode::OK && answer.bytes == bytes);
    let shared = Answer::of(door.request(Method::GET, &format!("{link}/content"))).await;
    assert!(shared.status == StatusCode::OK && shared.bytes == bytes);
}

#[tokio::test]
async fn a_file_too_large_for_the_scanner_is_withheld_unless_the_settings_allow_it() {
    let Some(clamd) = ClamdServer::start().await else {
        return;
    };
    // This test uses the socket of clamd.
    let stage = Stage::open().await.with(ADDRESS, &clamd.socket());
    let worker = Process::worker(&stage).await;
    let api = Process::api(&stage).await;
    let person = Door::of(&api).person().await;
    let fits = person
        .upload("fits.bin", vec![0; ClamdServer::TAKES - 1])
        .await;
    assert_eq!(until_scanned(&person, fits).await["scan"]["state"], "clean");
    let large = person
        .upload("large.bin", vec![0; 12 * ClamdServer::TAKES])
        .await;
    let file = until_scanned(&person, large).await;
    assert_eq!(
        (&file["scan"]["state"], &file["scan"]["signature"]),
        (&json!("too_large"), &Value::Null)
    );
    let path = format!("/v1/files/{large}/content");
    person
        .get(&path)
        .await
        .problem(403, "file_too_large_to_scan");
    assert!(worker.stop().await.success());

    let stage = stage.with("PLINTH_CLAMAV_TOO_LARGE", "allow");
    let lenient = Process::api(&stage).await;
    let person = Door::of(&lenient).log_in(&person.email).await;
    let answer = person.get(&path).await;
    assert_eq!(
        (answer.status, answer.bytes.len()),
        (StatusCode::OK, 12 * ClamdServer::TAKES)
    );
}

#[tokio::test]
async fn files_from_before_the_scanner_stay_available_until_a_virus_is_found() {
    let Some(clamd) = ClamdServer::start().await else {
        return;
    };
    let stage = Stage::open().await;
    let api = Process::api(&stage).await;
    let worker = Process::worker(&stage).await;
    let person = Door::of(&api).person().await;
    assert_eq!(antivirus(&api).await, "not configured");
    assert_eq!(antivirus(&worker).await, "not configured");
    let virus = person.upload("virus.txt", ClamdServer::eicar()).await;
    let clean = person
        .upload("clean.txt", b"nothing is in it".to_vec())
        .await;
    assert_eq!(
        until_scanned(&person, virus).await["scan"]["state"],
        "unscanned"
    );
    assert!(worker.stop().await.success());

    let stage = stage.with(ADDRESS, clamd.address());
    let api = Process::api(&stage).await;
    let person = Door::of(&api).log_in(&person.email).await;
    assert_eq!(antivirus(&api).await, "configured");
    let content = |id: Uuid| format!("/v1/files/{id}/content");
    assert_eq!(person.get(&content(virus)).await.status, StatusCode::OK);
    let output = Process::run("plinth-worker", &["scan", "--unscanned"], &stage).await;
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "{\"asked_again\":0,\"unscanned\":2,\"waived\":0}\n",
        "{output:?}"
    );
    assert_eq!(
        person.get(&content(virus)).await.status,
        StatusCode::OK,
        "no virus is found yet"
    );
    // Another request finds the existing jobs.
    let again = Process::run("plinth-worker", &["scan", "--unscanned"], &stage).await;
    assert_eq!(
        String::from_utf8_lossy(&again.stdout),
        "{\"asked_again\":0,\"unscanned\":0,\"waived\":0}\n",
        "{again:?}"
    );

    let worker = Process::worker(&stage).await;
    assert_eq!(antivirus(&worker).await, "answers");
    for (id, state) in [(virus, "infected"), (clean, "clean")] {
        until("the file is scanned", async || {
            let file = person
                .get(&format!("/v1/files/{id}"))
                .await
                .expect(StatusCode::OK);
            (file["scan"]["state"] == state).then_some(())
        })
        .await;
    }
    person
        .get(&content(virus))
        .await
        .problem(403, "file_infected");
    assert_eq!(person.get(&content(clean)).await.status, StatusCode::OK);
    drop(clamd);
    assert_eq!(antivirus(&worker).await, "does not answer");
}

#[tokio::test]
async fn variants_enqueued_before_the_scanner_are_made_after_the_scan() {
    let Some(mut clamd) = ClamdServer::prepare() else {
        return;
    };
    let stage = Stage::open().await;
    let api = Process::api(&stage).await;
    let person = Door::of(&api).administrator(&stage).await;
    let first = person.upload("photo.jpg", jpeg(400, 300)).await;

    let stage = stage.with(ADDRESS, clamd.address());
    let (api, stores) = (Process::api(&stage).await, stage.stores());
    let person = Door::of(&api).log_in(&person.email).await;
    // From here on the same contents wait for a scan.
    let second = person.upload("again.jpg", jpeg(400, 300)).await;
    for file in [first, second] {
        refused(&person, file, 409, "file_not_scanned").await;
    }
    let _worker = Process::worker(&stage).await;
    let made = "SELECT count(*) FROM jobs WHERE kind = 'files.thumbnails' AND state = 'done'";
    until("the earlier job ends without a result", async || {
        (count(&stores, made).await == 1).then_some(())
    })
    .await;
    assert_eq!(
        count(
            &stores,
            "SELECT count(*) FROM file_variants WHERE state <> 'pending'"
        )
        .await,
        0
    );

    clamd.start_again().await;
    sqlx::query("UPDATE jobs SET run_at = now() WHERE kind = 'files.scan' AND state = 'retrying'")
        .execute(&stores.db)
        .await
        .expect("updates");
    for file in [first, second] {
        person.until_ready(file).await;
    }
}

#[tokio::test]
async fn pending_scans_of_a_removed_scanner_are_waived_by_command() {
    // No server listens on this port.
    let stage = Stage::open().await.with(ADDRESS, "127.0.0.1:9");
    let (api, worker) = (Process::api(&stage).await, Process::worker(&stage).await);
    let person = Door::of(&api).person().await;
    assert_eq!(antivirus(&worker).await, "does not answer");
    let file = person.upload("photo.jpg", jpeg(400, 300)).await;
    refused(&person, file, 409, "file_not_scanned").await;

    let waived = Process::run("plinth-worker", &["scan", "--waive"], &stage).await;
    assert_eq!(
        String::from_utf8_lossy(&waived.stdout),
        "{\"asked_again\":0,\"unscanned\":0,\"waived\":1}\n"
    );
    assert_eq!(
        until_scanned(&person, file).await["scan"]["state"],
        "unscanned"
    );
    person.until_ready(file).await;
    let content = person.get(&format!("/v1/files/{file}/content")).await;
    assert_eq!(content.status, StatusCode::OK);
}

#[tokio::test]
async fn an_image_that_is_scanned_and_stripped_becomes_available_once() {
    let Some(clamd) = ClamdServer::start().await else {
        return;
    };
    let stage = Stage::open()
        .await
        .with(ADDRESS, clamd.address())
        .with(STRIP, "true");
    let (api, stores) = (Process::api(&stage).await, stage.stores());
    let person = Door::of(&api).administrator(&stage).await;
    let file = person.upload("photo.jpg", photograph(400, 300)).await;
    refused(&person, file, 409, "file_not_scanned").await;
    let content = format!("/v1/files/{file}/content");
    let _worker = Process::worker(&stage).await;
    let given = RefCell::new(None);
    until("every job is done", async || {
        let answer = person.get(&content).await;
        if answer.status == StatusCode::OK {
            // From then on these contents and no others are served.
            let first = given
                .borrow_mut()
                .get_or_insert(answer.bytes.clone())
                .clone();
            assert!(first == answer.bytes);
        } else {
            assert!(
                answer.status == StatusCode::CONFLICT && given.borrow().is_none(),
                "{}",
                answer.status
            );
        }
        (count(&stores, NOT_DONE).await == 0).then_some(())
    })
    .await;
    let bytes = person.get(&content).await.bytes;
    assert!(!bytes.windows(PLACE.len()).any(|window| window == PLACE));
    assert!(given.into_inner().is_none_or(|given| given == bytes));
    let file = person.until_ready(file).await;
    assert_eq!(
        (&file["scan"]["state"], &file["metadata"]["state"]),
        (&json!("clean"), &json!("stripped"))
    );
    // The uploaded contents and the stripped ones are different blobs.
    assert_eq!(
        count(
            &stores,
            "SELECT count(*) FROM jobs WHERE kind = 'files.scan'"
        )
        .await,
        2
    );
    assert_eq!(count(&stores, "SELECT count(*) FROM blobs").await, 1);
}

#[tokio::test]
async fn an_image_with_a_virus_in_its_metadata_is_quarantined_and_not_stripped() {
    let Some(clamd) = ClamdServer::start().await else {
        return;
    };
    let stage = Stage::open()
        .await
        .with(ADDRESS, clamd.address())
        .with(STRIP, "true");
    let (api, stores) = (Process::api(&stage).await, stage.stores());
    let person = Door::of(&api).administrator(&stage).await;
    let picture = photograph(400, 300);
    // A comment after the first marker, which stripping removes.
    let comment = [&b"\xff\xfe\x00\x14"[..], ClamdServer::INFECTION].concat();
    let id = person
        .upload(
            "photo.jpg",
            [&picture[..2], &comment, &picture[2..]].concat(),
        )
        .await;
    refused(&person, id, 409, "file_not_scanned").await;
    let _worker = Process::worker(&stage).await;
    let file = until_scanned(&person, id).await;
    assert_eq!(
        (&file["scan"]["state"], &file["metadata"]["state"]),
        (&json!("infected"), &json!("pending"))
    );
    until_notified(&person, "file.quarantined", id).await;
    refused(&person, id, 403, "file_infected").await;
    // The same holds if an operator enqueues stripping.
    for arguments in [&["strip"][..], &["strip", "--kept"]] {
        let output = Process::run("plinth-worker", arguments, &stage).await;
        assert!(output.status.success(), "{output:?}");
    }
    until_none(&stores, "every job is done", NOT_DONE).await;
    refused(&person, id, 403, "file_infected").await;
    for nothing in [
        "SELECT count(*) FROM jobs WHERE kind = 'files.strip'",
        "SELECT count(*) FROM file_variants WHERE state <> 'pending'",
        "SELECT count(*) - 1 FROM blobs",
    ] {
        assert_eq!(count(&stores, nothing).await, 0, "{nothing}");
    }
}

#[tokio::test]
async fn images_from_before_the_policy_are_stripped_after_their_pending_scan() {
    let Some(mut clamd) = ClamdServer::prepare() else {
        return;
    };
    let stage = Stage::open().await;
    let api = Process::api(&stage).await;
    let person = Door::of(&api).administrator(&stage).await;
    // Stripping is enqueued while the file is served. Then the same contents are uploaded again and
    // wait for a scan.
    let first = person.upload("photo.jpg", photograph(400, 300)).await;
    assert_eq!(strip_kept(&stage).await, 1);
    let stage = stage.with(ADDRESS, clamd.address());
    let (api, stores) = (Process::api(&stage).await, stage.stores());
    let person = Door::of(&api).log_in(&person.email).await;
    let again = person.upload("again.jpg", photograph(400, 300)).await;
    // Stripping is enqueued while the file waits for a scan.
    let other = person.upload("other.jpg", photograph(200, 100)).await;
    assert_eq!(strip_kept(&stage).await, 1);
    let _worker = Process::worker(&stage).await;
    let not_met = "SELECT 2 - count(*) FROM jobs WHERE kind = 'files.strip' AND state = 'done'";
    until_none(
        &stores,
        "both jobs have met a picture without its verdict",
        not_met,
    )
    .await;
    for file in [first, again, other] {
        refused(&person, file, 409, "file_not_scanned").await;
    }

    clamd.start_again().await;
    sqlx::query("UPDATE jobs SET run_at = now() WHERE kind = 'files.scan' AND state = 'retrying'")
        .execute(&stores.db)
        .await
        .expect("updates");
    for file in [first, again, other] {
        until("the image is stripped", async || {
            let file = person
                .get(&format!("/v1/files/{file}"))
                .await
                .expect(StatusCode::OK);
            (file["metadata"]["state"] == "stripped" && file["scan"]["state"] == "clean")
                .then_some(())
        })
        .await;
        let content = person.get(&format!("/v1/files/{file}/content")).await;
        assert_eq!(content.status, StatusCode::OK);
        assert!(
            !content
                .bytes
                .windows(PLACE.len())
                .any(|window| window == PLACE)
        );
    }
}

/// Enqueues stripping of images from before the policy, and returns how many.
async fn strip_kept(stage: &Stage) -> Value {
    let output = Process::run("plinth-worker", &["strip", "--kept"], stage).await;
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a line of JSON");
    report["kept"].clone()
}

/// Returns the state of the scanner in the readiness report of a process.
async fn antivirus(process: &Process) -> String {
    let answer = reqwest::get(format!("{}/readyz", process.internal_url))
        .await
        .expect("it answers");
    assert_eq!(answer.status(), StatusCode::OK);
    let report: Value = answer.json().await.expect("valid JSON");
    text(&report["antivirus"])
}
