//! `plinth-api migrate` beside what serves, and beside what is newer.

use std::process::Stdio;
use std::time::{Duration, Instant};

use plinth_testkit::{Process, Stage, until};
use tokio::io::AsyncReadExt as _;

use crate::house::count;

/// Takes a migration back that alters a large table which is in use.
const UNDO: &str = "
    ALTER TABLE blobs DROP COLUMN metadata, DROP COLUMN strip_job_id, DROP COLUMN strip_failure;
    DELETE FROM _sqlx_migrations WHERE version = 16;
";

#[tokio::test]
async fn a_long_reader_makes_a_migration_wait_and_nobody_else() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    sqlx::raw_sql(UNDO).execute(&stores.db).await.expect("undoes");
    // As a dump of the database does it.
    let mut reader = stores.db.begin().await.expect("begins");
    sqlx::query("SET idle_in_transaction_session_timeout = 0").execute(&mut *reader).await.expect("sets");
    sqlx::query("SELECT count(*) FROM blobs").execute(&mut *reader).await.expect("reads");

    let mut command = Process::command("plinth-api", &stage);
    let mut migrating =
        command.arg("migrate").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%ALTER TABLE blobs%'";
    let mut longest = Duration::ZERO;
    for _ in 0..2 {
        until("the migration waits", async || (count(&stores, waiting).await == 1).then_some(())).await;
        let asked = Instant::now();
        count(&stores, "SELECT count(*) FROM blobs").await;
        longest = longest.max(asked.elapsed());
        until("it has left the queue", async || (count(&stores, waiting).await == 0).then_some(())).await;
    }
    assert!(longest < Duration::from_secs(4), "a read behind the migration took {longest:?}");
    assert!(migrating.try_wait().expect("can be asked").is_none(), "it tries again");
    reader.rollback().await.expect("ends");

    let ended = tokio::time::timeout(Duration::from_secs(40), migrating.wait()).await;
    assert!(ended.expect("it ends").expect("can be waited for").success());
    let mut told = String::new();
    migrating.stderr.take().expect("it is piped").read_to_string(&mut told).await.expect("reads");
    assert!(told.contains("migration 16 (stripped metadata): applying"), "{told}");
    assert!(told.contains("trying again in"), "{told}");
    assert!(told.contains("migration 16 (stripped metadata): applied in"), "{told}");
    count(&stores, "SELECT count(metadata) FROM blobs").await;
}

#[tokio::test]
async fn an_older_build_leaves_a_newer_schema_as_it_is() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (99999, 'of the next release', true, 'x', 0)";
    sqlx::query(newer).execute(&stores.db).await.expect("inserts");
    let migrated = Process::run("plinth-api", &["migrate"], &stage).await;
    assert!(migrated.status.success(), "{migrated:?}");
    assert_eq!(String::from_utf8_lossy(&migrated.stdout), "the schema is at version 99999\n");
    assert_eq!(count(&stores, "SELECT max(version) FROM _sqlx_migrations").await, 99_999);
}

#[tokio::test]
async fn a_migration_that_was_changed_after_it_had_been_applied_is_refused() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    let change = "UPDATE _sqlx_migrations SET checksum = 'x' WHERE version = 1";
    sqlx::query(change).execute(&stores.db).await.expect("updates");
    let refused = Process::run("plinth-api", &["migrate"], &stage).await;
    assert!(!refused.status.success(), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("migration 1"), "{refused:?}");
}

#[tokio::test]
async fn two_runs_at_once_apply_each_migration_once() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    sqlx::raw_sql(UNDO).execute(&stores.db).await.expect("undoes");
    let runs =
        [Process::run("plinth-api", &["migrate"], &stage), Process::run("plinth-api", &["migrate"], &stage)];
    for run in futures_util::future::join_all(runs).await {
        assert!(run.status.success(), "{run:?}");
    }
    assert_eq!(count(&stores, "SELECT count(*) FROM _sqlx_migrations WHERE version = 16").await, 1);
}
