//! Commands that run on two machines at once.

use plinth_core::Stores;
use plinth_testkit::{Process, Stage, until};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::house::{Door, count};

#[tokio::test]
async fn two_migrations_of_an_empty_database_make_one_schema() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    sqlx::raw_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        .execute(&stores.db)
        .await
        .expect("empties");
    let migrate = || Process::run("plinth-api", &["migrate"], &stage);
    let (one, other) = tokio::join!(migrate(), migrate());
    for output in [one, other, migrate().await] {
        assert!(output.status.success(), "{output:?}");
        assert!(
            String::from_utf8_lossy(&output.stdout).starts_with("the schema is at version "),
            "{output:?}"
        );
    }
    let api = Process::api(&stage).await;
    Door::of(&api).register("ada@example.org").await;
    assert_eq!(
        count(&stores, "SELECT count(*) FROM registrations").await,
        1
    );
    assert!(api.stop().await.success());
}

const SESSIONS: i64 = 1_500;
const ONE_TIME_TOKENS: i64 = 700;
const REVOKED_TOKENS: i64 = 2_500;
const UPLOADS: i64 = 3;

#[tokio::test]
async fn two_cleanups_share_the_work() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    let (kept, upload) = litter(&stage, &stores).await;
    // Neither starts before both are ready.
    let mut gate = stores.db.begin().await.expect("begins");
    sqlx::query("LOCK TABLE sessions IN EXCLUSIVE MODE")
        .execute(&mut *gate)
        .await
        .expect("locks");
    let cleanup = || Process::run("plinth-worker", &["cleanup"], &stage);
    let open = async {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database =
            (SELECT oid FROM pg_database WHERE datname = current_database())";
        until("both wait", async || {
            (count(&stores, waiting).await == 2).then_some(())
        })
        .await;
        gate.rollback().await.expect("ends");
    };
    let (one, other, ()) = tokio::join!(cleanup(), cleanup(), open);
    let reports = [report(&one), report(&other)];
    let sum = |name: &str| {
        reports
            .iter()
            .filter_map(|report| report[name].as_i64())
            .sum::<i64>()
    };
    assert_eq!(sum("sessions"), SESSIONS, "{reports:?}");
    assert_eq!(sum("one_time_tokens"), ONE_TIME_TOKENS, "{reports:?}");
    assert_eq!(sum("revoked_tokens"), REVOKED_TOKENS, "{reports:?}");
    assert_eq!(sum("abandoned_uploads"), UPLOADS, "{reports:?}");

    let left = "SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM one_time_tokens)
        + (SELECT count(*) FROM revoked_tokens) + (SELECT count(*) FROM blobs)";
    assert_eq!(count(&stores, left).await, 4, "one of each is not over yet");
    assert!(
        sqlx::query("SELECT FROM blobs WHERE id = $1")
            .bind(kept)
            .fetch_one(&stores.db)
            .await
            .is_ok()
    );
    let late = stores
        .objects
        .put_part(&upload.key, &upload.id, 2, vec![0; 16].into())
        .await;
    assert!(late.is_err(), "the parts in S3 are freed");
    let again = report(&cleanup().await);
    assert!(again.values().all(|removed| *removed == 0), "{again:?}");
}

/// Returns the only line that a clean-up prints.
fn report(output: &std::process::Output) -> Map<String, Value> {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        (text.lines().count(), text.ends_with('\n')),
        (1, true),
        "{text:?}"
    );
    serde_json::from_str(&text).expect("a JSON object")
}

/// A multipart upload in the object store.
struct InParts {
    key: String,
    id: String,
}

/// Inserts expired items, and one of each kind that is not expired. Returns the upload that stays
/// and the multipart upload that is removed.
async fn litter(stage: &Stage, stores: &Stores) -> (Uuid, InParts) {
    let made = Process::run_reading(
        "plinth-api",
        &[
            "admin",
            "create",
            "--email",
            "ada@example.org",
            "--password-stdin",
        ],
        stage,
        crate::house::PASSWORD,
    )
    .await;
    assert!(made.status.success(), "{made:?}");
    let user: Uuid = sqlx::query_scalar("SELECT id FROM users")
        .fetch_one(&stores.db)
        .await
        .expect("reads");
    let bound = [
        ("INSERT INTO sessions (id, user_id, refresh_hash, authenticated_at, last_seen_at, idle_expires_at, expires_at, created_at)
          SELECT gen_random_uuid(), $2, sha256(n::text::bytea), now(), now(), at, at, now()
          FROM (SELECT n, CASE n WHEN 0 THEN now() ELSE now() - interval '40 days' END AS at FROM generate_series(0, $1) n) AS made",
         SESSIONS),
        ("INSERT INTO one_time_tokens (token_hash, user_id, purpose, expires_at, created_at)
          SELECT sha256(n::text::bytea), $2, 'verify_email',
                 now() + CASE n WHEN 0 THEN interval '1 hour' ELSE interval '-1 hour' END, now()
          FROM generate_series(0, $1) AS n",
         ONE_TIME_TOKENS),
        ("INSERT INTO revoked_tokens (id, expires_at)
          SELECT gen_random_uuid(), now() + CASE n WHEN 0 THEN interval '1 hour' ELSE interval '-1 hour' END
          FROM generate_series(0, $1) n WHERE $2 IS NOT NULL",
         REVOKED_TOKENS),
        ("INSERT INTO blobs (id, owner_id, state, object_key, created_at, updated_at)
          SELECT gen_random_uuid(), $2, 'receiving', 'blobs/' || gen_random_uuid() || '/content', now(),
                 now() - CASE n WHEN 0 THEN interval '1 hour' ELSE interval '25 hours' END
          FROM generate_series(0, $1) AS n",
         UPLOADS),
    ];
    for (insert, items) in bound {
        sqlx::query(insert)
            .bind(items)
            .bind(user)
            .execute(&stores.db)
            .await
            .expect("inserts");
    }
    let of_age =
        "SELECT object_key FROM blobs WHERE updated_at < now() - interval '24 hours' LIMIT 1";
    let key: String = sqlx::query_scalar(of_age)
        .fetch_one(&stores.db)
        .await
        .expect("reads");
    let id = stores.objects.begin_parts(&key).await.expect("begins");
    stores
        .objects
        .put_part(&key, &id, 1, vec![0; 5 << 20].into())
        .await
        .expect("takes a part");
    sqlx::query("UPDATE blobs SET multipart_upload_id = $2 WHERE object_key = $1")
        .bind(&key)
        .bind(&id)
        .execute(&stores.db)
        .await
        .expect("records it");
    let young = "SELECT id FROM blobs WHERE updated_at > now() - interval '24 hours'";
    let kept = sqlx::query_scalar(young)
        .fetch_one(&stores.db)
        .await
        .expect("reads");
    (kept, InParts { key, id })
}
