//! Commands for operators and cron, run with the real binaries: what they print and how they exit.

use std::process::Output;

use plinth_testkit::{Process, Stage, until};
use serde_json::Value;

use crate::house::{Door, count};

async fn worker(stage: &Stage, arguments: &[&str]) -> Output {
    Process::run("plinth-worker", arguments, stage).await
}

/// Returns the one printed line of JSON.
#[track_caller]
fn line(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        (text.lines().count(), text.ends_with('\n')),
        (1, true),
        "{output:?}"
    );
    serde_json::from_str(&text).expect("valid JSON")
}

/// Inserts three tokens that expired two hours ago, and one that expired ten minutes ago.
async fn expire_tokens(stage: &Stage) {
    sqlx::query(
        "INSERT INTO revoked_tokens (id, expires_at)
         SELECT gen_random_uuid(), now() - ago::interval
         FROM unnest('{2 hours, 2 hours, 2 hours, 10 minutes}'::text[]) AS ago",
    )
    .execute(&stage.stores().db)
    .await
    .expect("inserts");
}

#[tokio::test]
async fn a_clean_up_counts_in_a_dry_run_and_removes_the_named_kinds() {
    let stage = Stage::open().await;
    expire_tokens(&stage).await;
    let stores = stage.stores();
    let tokens = "SELECT count(*) FROM revoked_tokens";

    let counted = worker(&stage, &["cleanup", "--dry-run"]).await;
    assert!(counted.status.success(), "{counted:?}");
    let report = line(&counted);
    assert_eq!(
        (&report["revoked_tokens"], &report["dry_run"]),
        (&3.into(), &true.into())
    );
    assert_eq!(count(&stores, tokens).await, 4);

    let other = line(&worker(&stage, &["cleanup", "--only", "sessions,finished_jobs"]).await);
    assert_eq!(
        other,
        serde_json::json!({ "sessions": 0, "finished_jobs": 0 })
    );
    assert_eq!(count(&stores, tokens).await, 4);

    assert_eq!(
        line(&worker(&stage, &["cleanup", "--older-than", "3h"]).await)["revoked_tokens"],
        0
    );
    assert_eq!(
        line(&worker(&stage, &["cleanup"]).await)["revoked_tokens"],
        3
    );
    let aged = worker(
        &stage,
        &["cleanup", "--only", "revoked_tokens", "--older-than", "5m"],
    )
    .await;
    assert_eq!(line(&aged), serde_json::json!({ "revoked_tokens": 1 }));
    assert_eq!(count(&stores, tokens).await, 0);
}

#[tokio::test]
async fn a_partly_failed_clean_up_reports_what_it_did_and_exits_1() {
    let stage = Stage::open().await;
    expire_tokens(&stage).await;
    let stage = stage.with("PLINTH_S3_ENDPOINT", "http://127.0.0.1:9");
    let stores = stage.stores();
    for statement in [
        "INSERT INTO users (id, email, email_key, created_at, updated_at)
         VALUES (gen_random_uuid(), 'a', 'a', now(), now())",
        "INSERT INTO blobs (id, owner_id, state, object_key, created_at, updated_at)
         SELECT gen_random_uuid(), id, 'receiving', 'x', now(), now() - interval '2 days' FROM users",
    ] {
        sqlx::query(statement).execute(&stores.db).await.expect("inserts");
    }
    let output = worker(&stage, &["cleanup"]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report = line(&output);
    assert_eq!(report["revoked_tokens"], 3);
    assert!(
        report["failed"]["abandoned_uploads"].is_string(),
        "{report}"
    );
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("some data could not be removed"),
        "{output:?}"
    );
}

#[tokio::test]
async fn contradictory_arguments_are_refused() {
    let stage = Stage::open().await;
    for (arguments, expected) in [
        (
            &["cleanup", "--only", "pigeons"][..],
            "expected one of sessions, one_time_tokens",
        ),
        (&["cleanup", "--older-than", "soon"], "a duration like"),
        (&["cleanup", "--older-than", "0s"], "a duration like"),
        (&["run", "--concurrency", "pigeons=2"], "is not a queue"),
        (
            &["run", "--concurrency", "files=0"],
            "expected a whole number of at least 1",
        ),
        (&["run", "--concurrency", "2"], "like files=2"),
        (
            &["run", "--queues", "email", "--concurrency", "files=2"],
            "files, which is not served",
        ),
    ] {
        let output = worker(&stage, arguments).await;
        assert!(!output.status.success(), "{output:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains(expected),
            "{output:?}"
        );
    }
}

#[tokio::test]
async fn the_table_of_periodic_tasks_shows_the_last_and_the_next_tick() {
    let stage = Stage::open()
        .await
        .with("PLINTH_WORKER_SCHEDULE", "cleanup=*/20 4-5 * * *");
    let before = line(&worker(&stage, &["periodic", "--json"]).await);
    assert_eq!(
        (&before[0]["task"], &before[0]["cron"]),
        (&"cleanup".into(), &"*/20 4-5 * * *".into())
    );
    assert!(before[0]["last_tick"].is_null(), "{before}");
    let text = worker(&stage, &["periodic"]).await;
    assert!(
        String::from_utf8_lossy(&text.stdout).contains("never"),
        "{text:?}"
    );

    // A starting worker makes up for the last missed tick.
    let cleaner = Process::worker_with(&stage, &["--queues", "cleanup"]).await;
    let stores = stage.stores();
    let done = "SELECT count(*) FROM jobs WHERE kind = 'cleanup.expired' AND state = 'done'";
    until("the clean-up is done", async || {
        (count(&stores, done).await == 1).then_some(())
    })
    .await;
    assert!(cleaner.stop().await.success());
    let after = line(&worker(&stage, &["periodic", "--json"]).await);
    let last = after[0]["last_tick"].as_str().expect("one existed");
    assert!(
        ["T04:", "T05:"].iter().any(|hour| last.contains(hour)) && last.ends_with(":00Z"),
        "{after}"
    );
    assert!(
        after[0]["next_tick"].as_str().expect("one comes") > last,
        "{after}"
    );
}

#[tokio::test]
async fn a_reconciliation_that_is_held_back_exits_1_until_an_operator_adopts_the_bucket() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    let orphan = format!("blobs/{}/content", uuid::Uuid::new_v4());
    stores
        .objects
        .put(&orphan, vec![7; 10].into(), "text/plain")
        .await
        .expect("is written");
    let held_back = worker(&stage, &["reconcile"]).await;
    assert_eq!(held_back.status.code(), Some(1), "{held_back:?}");
    let report = line(&held_back);
    assert_eq!(
        (&report["held_back"], &report["removed_objects"]),
        (&true.into(), &0.into()),
        "{report}"
    );
    let log = String::from_utf8_lossy(&held_back.stderr);
    assert!(
        log.contains("nothing was removed: the bucket has no marker"),
        "{log}"
    );
    assert!(log.contains("run with --adopt"), "{log}");

    for (arguments, is_dry) in [
        (&["reconcile", "--adopt"][..], true),
        (&["reconcile"], false),
    ] {
        let output = worker(&stage, arguments).await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let report = line(&output);
        assert_eq!(
            (&report["dry_run"], &report["held_back"]),
            (&is_dry.into(), &false.into()),
            "{report}"
        );
        assert_eq!(
            (&report["orphan_objects"], &report["young_orphans"]),
            (&1.into(), &1.into()),
            "{report}"
        );
    }
    assert!(
        stores
            .objects
            .size(&orphan)
            .await
            .expect("answers")
            .is_some(),
        "it is young"
    );
    let adopted = "SELECT count(*) FROM audit_events WHERE action = 'files.bucket_adopted'";
    assert_eq!(count(&stores, adopted).await, 1);
}

/// "correct horse battery" by Python's bcrypt, cost 4.
const BCRYPT: &str = "$2b$04$dSmkdn3ImBBLe7K1nxRvOOoZrQ/bM9gnkbk5t.dBlglyopPJSN4Wy";

#[tokio::test]
async fn accounts_of_another_system_are_imported_with_their_passwords() {
    let stage = Stage::open().await;
    let account = |email: &str, hash: &str| {
        serde_json::json!({ "email": email, "password_hash": hash, "email_verified": true })
            .to_string()
    };
    let costly = "$argon2id$v=19$m=1048576,t=64,p=1$c2l4dGVlbiBieXRlIHNsdA$/MDeq41pQU+izSqnIVE7hQ";
    let firebase = serde_json::json!({
        "email": "firebase@example.org",
        "email_verified": true,
        "firebase_hash": {
            "hash": "lSrfV15cpx95_sZS2W9c9Kp6i_LVgQNDNC_qzrCnh1SAyZvqmZqAjTdn3aoItz-VHjoZilo78198JAdRuid5lQ==",
            "salt": "42xEC-ixf3L2lw==",
        },
    });
    let lines = [
        account("ada@example.org", BCRYPT),
        account("bob@example.org", costly),
        "{\"email\": \"no json".to_owned(),
        firebase.to_string(),
        account("ⓑⓞⓑ@example.org", BCRYPT),
    ]
    .join("\n");
    // The example of github.com/firebase/scrypt.
    let parameters = serde_json::json!({
        "base64_signer_key": "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==",
        "base64_salt_separator": "Bw==",
        "rounds": 8,
        "mem_cost": 14,
    });
    let file =
        std::env::temp_dir().join(format!("firebase-{}.json", uuid::Uuid::new_v4().simple()));
    std::fs::write(&file, parameters.to_string()).expect("writes");
    let arguments = [
        "admin",
        "import",
        "--firebase-parameters",
        file.to_str().expect("a path"),
    ];
    let refused = Process::run_reading("plinth-api", &arguments, &stage, &lines).await;
    std::fs::remove_file(&file).expect("removes");
    assert!(!refused.status.success(), "{refused:?}");
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(
        error.contains("line 2") && error.contains("too expensive to verify"),
        "{error}"
    );
    for summary in [
        "line 3: ",
        "line 5: ",
        "created 2 accounts, skipped 0 existing, refused 3 lines",
    ] {
        assert!(error.contains(summary), "{summary:?} is not in {error}");
    }
    let lines = [
        account("ada@example.org", BCRYPT),
        account("bob@example.org", BCRYPT),
    ]
    .join("\n");
    let done = Process::run_reading("plinth-api", &["admin", "import"], &stage, &lines).await;
    let said = String::from_utf8_lossy(&done.stdout);
    assert_eq!(said, "created 1 accounts, skipped 1 existing\n", "{done:?}");
    let api = Process::api(&stage).await;
    for email in ["ada@example.org", "bob@example.org"] {
        Door::of(&api)
            .log_in(email)
            .await
            .get("/v1/me")
            .await
            .expect(reqwest::StatusCode::OK);
    }
    let firebase =
        serde_json::json!({ "email": "firebase@example.org", "password": "user1password" });
    Door::of(&api)
        .post("/v1/auth/login", &firebase)
        .await
        .expect(reqwest::StatusCode::OK);
    assert!(api.stop().await.success());
}
