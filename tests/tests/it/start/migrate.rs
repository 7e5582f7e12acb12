//! `plinth-api migrate` beside running processes, and on a newer schema.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use plinth_testkit::{Process, Stage, until};
use sqlx::migrate::Migrator;
use tokio::io::AsyncReadExt as _;

use crate::house::{count, lift_idle_timeout};

/// Reverts a migration that alters a large table in use.
const UNDO: &str = "
    ALTER TABLE blobs DROP COLUMN metadata, DROP COLUMN strip_job_id, DROP COLUMN strip_failure;
    DELETE FROM _sqlx_migrations WHERE version = 16;
";

#[tokio::test]
async fn a_long_read_delays_a_migration_and_no_request() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    sqlx::raw_sql(UNDO)
        .execute(&stores.db)
        .await
        .expect("undoes");
    // A long read transaction, like a dump of the database.
    let mut reader = stores.db.begin().await.expect("begins");
    lift_idle_timeout(&mut reader).await;
    sqlx::query("SELECT count(*) FROM blobs")
        .execute(&mut *reader)
        .await
        .expect("reads");

    let mut command = Process::command("plinth-api", &stage);
    let mut migrating = command
        .arg("migrate")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%ALTER TABLE blobs%'";
    let mut longest = Duration::ZERO;
    for _ in 0..2 {
        until("the migration waits", async || {
            (count(&stores, waiting).await == 1).then_some(())
        })
        .await;
        let requested_at = Instant::now();
        count(&stores, "SELECT count(*) FROM blobs").await;
        longest = longest.max(requested_at.elapsed());
        until("it has left the queue", async || {
            (count(&stores, waiting).await == 0).then_some(())
        })
        .await;
    }
    assert!(
        longest < Duration::from_secs(4),
        "a read behind the migration took {longest:?}"
    );
    assert!(
        migrating.try_wait().expect("returns").is_none(),
        "it tries again"
    );
    reader.rollback().await.expect("ends");

    let ended = tokio::time::timeout(Duration::from_secs(40), migrating.wait()).await;
    assert!(ended.expect("it ends").expect("waits").success());
    let mut log = String::new();
    migrating
        .stderr
        .take()
        .expect("is piped")
        .read_to_string(&mut log)
        .await
        .expect("reads");
    assert!(
        log.contains("migration 16 (stripped metadata): applying"),
        "{log}"
    );
    assert!(log.contains("trying again in"), "{log}");
    assert!(
        log.contains("migration 16 (stripped metadata): applied in"),
        "{log}"
    );
    count(&stores, "SELECT count(metadata) FROM blobs").await;
}

/// Inserts the rows of release 16: an imported account with a factor, an API key from before it and
/// one from long after it, a change of address that can be undone, and a share link.
const ROWS: &str = "
    INSERT INTO users (id, email, email_key, created_at, updated_at) VALUES
        ('01937b1e-0000-7000-8000-000000000001', 'ada@example.org', 'ada@example.org', '2026-01-01 UTC', '2026-01-01 UTC'),
        ('01937b1e-0000-7000-8000-000000000002', 'bob@example.org', 'bob@example.org', '2026-01-02 UTC', '2026-01-02 UTC');
    INSERT INTO audit_events (id, occurred_at, action, target_kind, target_id, outcome) VALUES
        ('01937b1e-0000-7000-8000-000000000003', '2026-01-01 UTC', 'account.imported', 'user',
         '01937b1e-0000-7000-8000-000000000001', 'success');
    INSERT INTO totp_factors (id, user_id, name, secret, confirmed_at, created_at) VALUES
        ('01937b1e-0000-7000-8000-000000000004', '01937b1e-0000-7000-8000-000000000001', 'Phone', '', '2026-02-01 UTC',
         '2026-02-01 UTC');
    INSERT INTO api_keys (id, user_id, name, token_hash, hint, scopes, created_at) VALUES
        ('01937b1e-0000-7000-8000-000000000005', '01937b1e-0000-7000-8000-000000000001', 'before', sha256('a'), 'a', '{}',
         '2026-01-31 UTC'),
        ('01937b1e-0000-7000-8000-000000000006', '01937b1e-0000-7000-8000-000000000001', 'after', sha256('b'), 'b', '{}',
         '2026-02-02 UTC');
    INSERT INTO one_time_tokens (token_hash, user_id, purpose, email, expires_at, created_at) VALUES
        (sha256('c'), '01937b1e-0000-7000-8000-000000000002', 'undo_email_change', 'Old@example.org', '2026-01-09 UTC',
         '2026-01-02 UTC');
    INSERT INTO blobs (id, owner_id, state, object_key, sha256, created_at, updated_at) VALUES
        ('01937b1e-0000-7000-8000-000000000007', '01937b1e-0000-7000-8000-000000000002', 'stored', 'a', sha256('d'),
         '2026-01-02 UTC', '2026-01-02 UTC');
    INSERT INTO files (id, owner_id, name, content_type, size, blob_id, created_at, updated_at) VALUES
        ('01937b1e-0000-7000-8000-000000000008', '01937b1e-0000-7000-8000-000000000002', 'a.txt', 'text/plain', 0,
         '01937b1e-0000-7000-8000-000000000007', '2026-01-02 UTC', '2026-01-02 UTC');
    INSERT INTO share_links (id, file_id, token_hash, expires_at, created_at) VALUES
        ('01937b1e-0000-7000-8000-000000000009', '01937b1e-0000-7000-8000-000000000008', sha256('e'), '2027-01-01 UTC',
         '2026-01-02 UTC');
";

#[tokio::test]
async fn rows_of_an_earlier_release_are_migrated() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    let empty = "DROP SCHEMA public CASCADE; CREATE SCHEMA public";
    sqlx::raw_sql(empty)
        .execute(&stores.db)
        .await
        .expect("empties");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let migrations = Migrator::new(folder).await.expect("reads the folder");
    let mut connection = stores.db.acquire().await.expect("is free");
    migrations
        .run_to(16, &mut *connection)
        .await
        .expect("applies");
    drop(connection);
    sqlx::raw_sql(ROWS)
        .execute(&stores.db)
        .await
        .expect("inserts");

    let migrated = Process::run("plinth-api", &["migrate"], &stage).await;
    assert!(migrated.status.success(), "{migrated:?}");
    let texts = async |query: &'static str| -> Vec<String> {
        sqlx::query_scalar(query)
            .fetch_all(&stores.db)
            .await
            .expect("answers")
    };
    let imported = "SELECT email FROM users WHERE imported_at = created_at";
    assert_eq!(texts(imported).await, ["ada@example.org"]);
    assert_eq!(
        texts("SELECT name FROM api_keys WHERE multi_factor").await,
        ["after"]
    );
    let undos = "SELECT email_key FROM email_undos WHERE waived_at IS NULL";
    assert_eq!(texts(undos).await, ["old@example.org"]);
    let owners =
        "SELECT users.email FROM share_links JOIN users ON users.id = share_links.owner_id";
    assert_eq!(texts(owners).await, ["bob@example.org"]);
}

#[tokio::test]
async fn an_older_build_does_not_change_a_newer_schema() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    let newer =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (99999, 'of the next release', true, 'x', 0)";
    sqlx::query(newer)
        .execute(&stores.db)
        .await
        .expect("inserts");
    let migrated = Process::run("plinth-api", &["migrate"], &stage).await;
    assert!(migrated.status.success(), "{migrated:?}");
    assert_eq!(
        String::from_utf8_lossy(&migrated.stdout),
        "the schema is at version 99999\n"
    );
    assert_eq!(
        count(&stores, "SELECT max(version) FROM _sqlx_migrations").await,
        99_999
    );
}

#[tokio::test]
async fn a_migration_that_changed_after_it_was_applied_is_refused() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    let change = "UPDATE _sqlx_migrations SET checksum = 'x' WHERE version = 1";
    sqlx::query(change)
        .execute(&stores.db)
        .await
        .expect("updates");
    let refused = Process::run("plinth-api", &["migrate"], &stage).await;
    assert!(!refused.status.success(), "{refused:?}");
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("migration 1"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn two_runs_at_once_apply_each_migration_once() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    sqlx::raw_sql(UNDO)
        .execute(&stores.db)
        .await
        .expect("undoes");
    let runs = [
        Process::run("plinth-api", &["migrate"], &stage),
        Process::run("plinth-api", &["migrate"], &stage),
    ];
    for run in futures_util::future::join_all(runs).await {
        assert!(run.status.success(), "{run:?}");
    }
    assert_eq!(
        count(
            &stores,
            "SELECT count(*) FROM _sqlx_migrations WHERE version = 16"
        )
        .await,
        1
    );
}

#[tokio::test]
async fn a_statement_beside_the_migrations_has_a_deadline() {
    let stage = Stage::open()
        .await
        .with("PLINTH_DATABASE_STATEMENT_TIMEOUT", "1s");
    let stores = stage.stores();
    let mut obstacle = stores.db.begin().await.expect("begins");
    let lock = "LOCK TABLE _sqlx_migrations IN ACCESS EXCLUSIVE MODE";
    sqlx::query(lock)
        .execute(&mut *obstacle)
        .await
        .expect("locks");
    let begun = Instant::now();
    let failed = Process::run("plinth-api", &["migrate"], &stage).await;
    assert!(
        !failed.status.success() && begun.elapsed() < Duration::from_secs(15),
        "{failed:?}"
    );
    let log = String::from_utf8_lossy(&failed.stderr);
    assert!(log.contains("did not answer a statement in time"), "{log}");
    obstacle.rollback().await.expect("ends");
}
