//! Keys are replaced from the command line: master keys of files while the API runs, the root key,
//! and signing keys without invalidating tokens.

use plinth_testkit::{Process, Stage, until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::house::{Answer, Door, count, text};

const OLD: &str = "2025:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const BOTH: &str = "2026:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=,2025:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const NEW: &str = "2026:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

async fn rewrap(stage: &Stage, arguments: &[&str]) -> (bool, Value) {
    let output = Process::run(
        "plinth-worker",
        &[&["keys", "rewrap"], arguments].concat(),
        stage,
    )
    .await;
    let line = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.success(), line)
}

#[tokio::test]
async fn a_master_key_is_replaced_without_rewriting_objects() {
    let stage = Stage::open().await.with("PLINTH_FILES_MASTER_KEYS", OLD);
    let api = Process::api(&stage).await;
    let mails = Process::worker_with(&stage, &["--queues", "email"]).await;
    let person = Door::of(&api).person().await;
    let stores = stage.stores();
    let mut files = Vec::new();
    for n in 0..3 {
        files.push(
            person
                .upload("a.txt", format!("text {n}").into_bytes())
                .await,
        );
    }
    let before = stores
        .objects
        .list("blobs/", None)
        .await
        .expect("lists")
        .objects;
    assert!(api.stop().await.success());

    let stage = stage.with("PLINTH_FILES_MASTER_KEYS", BOTH);
    let (_, counted) = rewrap(&stage, &["--dry-run"]).await;
    assert_eq!(
        (&counted["rewrapped"], &counted["master_key"]),
        (&json!(3), &json!("2026"))
    );
    let (is_well, done) = rewrap(&stage, &[]).await;
    assert_eq!(
        (is_well, &done["rewrapped"], &done["failed"]),
        (true, &json!(3), &json!(0))
    );
    assert_eq!(
        count(
            &stores,
            "SELECT count(*) FROM blobs WHERE master_key <> '2026'"
        )
        .await,
        0
    );
    assert_eq!(
        stores
            .objects
            .list("blobs/", None)
            .await
            .expect("lists")
            .objects,
        before
    );
    let (_, again) = rewrap(&stage, &[]).await;
    assert_eq!(again["rewrapped"], 0);

    // The old key is not needed any more.
    let stage = stage.with("PLINTH_FILES_MASTER_KEYS", NEW);
    let api = Process::api(&stage).await;
    let person = Door::of(&api).log_in(&person.email).await;
    for (n, file) in files.iter().enumerate() {
        let read =
            Answer::of(person.request(Method::GET, &format!("/v1/files/{file}/content"))).await;
        assert_eq!(
            (read.status, read.bytes),
            (StatusCode::OK, format!("text {n}").into_bytes())
        );
    }
    let stage = stage.with(
        "PLINTH_FILES_MASTER_KEYS",
        "2027:AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=",
    );
    let (is_well, failed) = rewrap(&stage, &[]).await;
    assert_eq!(
        (is_well, &failed["failed"]),
        (false, &json!(3)),
        "what does not open is left as it was"
    );
    assert_eq!(
        count(
            &stores,
            "SELECT count(*) FROM blobs WHERE master_key = '2026'"
        )
        .await,
        3
    );
    assert!(api.stop().await.success());
    assert!(mails.stop().await.success());
}

#[tokio::test]
async fn data_keys_that_cannot_be_rewrapped_do_not_stop_others() {
    let stage = Stage::open().await.with("PLINTH_FILES_MASTER_KEYS", OLD);
    let api = Process::api(&stage).await;
    let mails = Process::worker_with(&stage, &["--queues", "email"]).await;
    let person = Door::of(&api).person().await;
    let stores = stage.stores();
    for n in 0..4 {
        person
            .upload("a.txt", format!("text {n}").into_bytes())
            .await;
    }
    assert!(api.stop().await.success());
    assert!(mails.stop().await.success());
    // The first key cannot be unwrapped, and the second cannot be written.
    for statement in [
        "UPDATE blobs SET data_key = 'damaged' WHERE id = (SELECT id FROM blobs ORDER BY id LIMIT 1)",
        "CREATE TABLE poison AS SELECT id FROM blobs ORDER BY id LIMIT 1 OFFSET 1",
        "CREATE FUNCTION refuse_poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.id IN (SELECT id FROM poison) THEN RAISE EXCEPTION 'poison'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER poison BEFORE UPDATE ON blobs FOR EACH ROW EXECUTE FUNCTION refuse_poison()",
    ] {
        sqlx::query(statement).execute(&stores.db).await.expect("executes");
    }
    let stage = stage.with("PLINTH_FILES_MASTER_KEYS", BOTH);
    let (is_well, done) = rewrap(&stage, &[]).await;
    assert_eq!(
        (is_well, &done["rewrapped"], &done["failed"]),
        (false, &json!(2), &json!(2))
    );
    assert_eq!(
        count(
            &stores,
            "SELECT count(*) FROM blobs WHERE master_key = '2026'"
        )
        .await,
        2
    );
    sqlx::query("DROP TRIGGER poison ON blobs")
        .execute(&stores.db)
        .await
        .expect("executes");
    let (is_well, done) = rewrap(&stage, &[]).await;
    assert_eq!(
        (is_well, &done["rewrapped"], &done["failed"]),
        (false, &json!(1), &json!(1))
    );
}

#[tokio::test]
async fn secrets_sealed_by_the_root_key_are_resealed_with_a_new_one() {
    let stage = Stage::open().await;
    let old = stage.settings().general.secret_key.expose().to_owned();
    let api = Process::api(&stage).await;
    let admin = Door::of(&api).administrator(&stage).await;
    let app = admin
        .request(Method::POST, "/v1/me/mfa/totp")
        .json(&json!({ "name": "Phone" }));
    Answer::of(app).await.expect(StatusCode::CREATED);
    assert!(api.stop().await.success());

    let reseal = async |stage: &Stage, before: &str| {
        Process::run_reading("plinth-api", &["keys", "reseal"], stage, before).await
    };
    let new = "dGhlIG5leHQgcm9vdCBrZXkgaXMgbm8gc2VjcmV0IGVpdGhlcg==";
    let stage = stage.with("PLINTH_SECRET_KEY", new);
    let wrong = reseal(&stage, new).await;
    assert!(!wrong.status.success(), "{wrong:?}");
    let error = String::from_utf8_lossy(&wrong.stderr);
    assert!(
        error.contains("some data is still encrypted under it") && error.contains("\"failed\":1"),
        "{error}"
    );
    for expected in [1, 0] {
        let done = reseal(&stage, &format!("{old}\n")).await;
        let line: Value =
            serde_json::from_slice(&done.stdout).unwrap_or_else(|_| panic!("{done:?}"));
        let counts = json!({ "resealed": expected, "failed": 0 });
        assert_eq!(
            line,
            json!({ "signing_keys": counts, "totp_secrets": counts })
        );
    }
    let api = Process::api(&stage).await;
    let admin = Door::of(&api).log_in(&admin.email).await;
    admin.get("/v1/me").await.expect(StatusCode::OK);
    assert!(api.stop().await.success());
}

#[tokio::test]
async fn a_signing_key_is_rotated_from_the_command_line_and_no_token_is_refused() {
    let stage = Stage::open().await;
    let api = Process::api(&stage).await;
    let door = Door::of(&api);
    let admin = door.administrator(&stage).await;
    let keys = async |arguments: &[&str]| -> Value {
        let output = Process::run("plinth-api", &[&["keys"], arguments].concat(), &stage).await;
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    };
    // In the headers of the tokens only the key id differs.
    let header = |token: &str| token.split('.').next().expect("a header").to_owned();
    let next = text(&keys(&["rotate", "--activate-in", "1s", "--json"]).await["kid"]);
    until("the next key is published", async || {
        let set = Answer::of(door.request(Method::GET, "/.well-known/jwks.json"))
            .await
            .expect(StatusCode::OK);
        set["keys"]
            .as_array()
            .expect("keys")
            .iter()
            .any(|key| key["kid"] == next.as_str())
            .then_some(())
    })
    .await;
    until("the next key signs", async || {
        let later = door.log_in(&admin.email).await;
        later.get("/v1/me").await.expect(StatusCode::OK);
        (header(&later.access_token) != header(&admin.access_token)).then_some(())
    })
    .await;
    admin.get("/v1/me").await.expect(StatusCode::OK);
    let listed = keys(&["list", "--json"]).await;
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    assert!(
        listed[0]["retires_at"].is_string() && listed[1]["kid"] == next.as_str(),
        "{listed}"
    );
    assert!(api.stop().await.success());
}
