//! Jobs that take down their worker: they become dead letters, and the jobs beside them are done.

use std::time::Duration;

use plinth_core::Stores;
use plinth_testkit::{PATIENCE, Process, Stage};
use tokio::process::Command;
use tokio::time::sleep;
use uuid::Uuid;

use crate::house::{count, until_none};

/// The tables that the handlers of `chaos-jobs` write.
const EFFECT_TABLES: &str =
    "CREATE TABLE effects (job_id uuid PRIMARY KEY, runs integer NOT NULL DEFAULT 1);
    CREATE TABLE doubles (job_id uuid NOT NULL)";

/// The smallest maximum of any kind.
const MAX_ATTEMPTS: i16 = 3;

const UNFINISHED: &str = "SELECT count(*) FROM jobs WHERE state NOT IN ('done', 'dead')";

/// Workers whose handlers can misbehave.
struct Workers {
    stage: Stage,
    stores: Stores,
}

impl Workers {
    async fn set_up(stage: Stage) -> Self {
        let stores = stage.stores();
        sqlx::raw_sql(EFFECT_TABLES)
            .execute(&stores.db)
            .await
            .expect("creates the tables");
        Self { stage, stores }
    }

    /// Accepts a job that works for `ms` before it misbehaves, with a maximum of attempts.
    async fn accept(&self, manner: &str, ms: i32, attempts: i16) -> Uuid {
        let insert =
            "INSERT INTO jobs (id, queue, kind, payload, payload_version, max_attempts, run_at, created_at)
            VALUES (gen_random_uuid(), 'notifications', 'chaos.deed',
                jsonb_build_object('ms', $1::integer, 'manner', $2::text), 1, $3, now(), now())
            RETURNING id";
        let insert = sqlx::query_scalar(insert)
            .bind(ms)
            .bind(manner)
            .bind(attempts);
        insert.fetch_one(&self.stores.db).await.expect("inserts")
    }

    /// Returns state, attempt and last error of a job.
    async fn outcome(&self, job: Uuid) -> (String, i16, Option<String>) {
        let query =
            sqlx::query_as("SELECT state, attempt, last_error FROM jobs WHERE id = $1").bind(job);
        query.fetch_one(&self.stores.db).await.expect("reads")
    }

    async fn assert_dead(&self, job: Uuid, reason: &str) {
        let (state, _, error) = self.outcome(job).await;
        let error = error.unwrap_or_default();
        assert!(
            state == "dead" && error.contains(reason),
            "{state}: {error}"
        );
    }

    /// Returns a worker with a limit of memory for its data, in KiB.
    fn worker(&self, memory: u32) -> Command {
        let program = Process::command("chaos-jobs", &self.stage);
        let mut shell = Process::command("/bin/sh", &self.stage);
        shell
            .args(["-c", &format!("ulimit -d {memory} && exec \"$0\" work")])
            .arg(program.as_std().get_program());
        shell
    }
}

#[tokio::test]
async fn a_job_that_takes_all_memory_becomes_dead_and_fails_no_other() {
    let workers = Workers::set_up(Stage::open().await.with("PLINTH_WORKER_LEASE", "1s")).await;
    // They take longer than the poison, so at first they run beside it each time.
    let mut long = Vec::new();
    for _ in 0..3 {
        long.push(workers.accept("good", 2_000, MAX_ATTEMPTS).await);
    }
    let poison = workers.accept("devours", 300, MAX_ATTEMPTS).await;
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(workers.accept("good", 5, MAX_ATTEMPTS).await);
    }

    // Restarts the worker, as a container runtime does.
    let mut deaths = 0;
    let finished = async {
        loop {
            let mut worker = workers.worker(300_000).spawn().expect("it starts");
            let done = async {
                while count(&workers.stores, UNFINISHED).await > 0 {
                    sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::select! {
                () = done => return worker.kill().await.expect("kills"),
                ended = worker.wait() => assert!(!ended.expect("waits").success()),
            }
            deaths += 1;
        }
    };
    tokio::time::timeout(PATIENCE, finished)
        .await
        .expect("it ends");

    assert_eq!(
        deaths, MAX_ATTEMPTS,
        "it is not tried more often than its kind says"
    );
    workers.assert_dead(poison, "its workers died").await;
    let mut beside = 0;
    for job in &long {
        beside += usize::from(workers.outcome(*job).await.1 > 1);
    }
    assert!(beside > 0, "some were beside the poison");
    for job in long.into_iter().chain(others) {
        let (state, attempt, error) = workers.outcome(job).await;
        assert!(
            state == "done" && attempt <= MAX_ATTEMPTS,
            "{state} at attempt {attempt}: {error:?}"
        );
    }
    assert_eq!(
        count(&workers.stores, "SELECT count(*) FROM doubles").await,
        0,
        "none ran twice at once"
    );
}

#[tokio::test]
async fn jobs_that_never_end_are_stopped_and_their_worker_continues() {
    let workers =
        Workers::set_up(Stage::open().await.with("PLINTH_WORKER_JOB_TIMEOUT", "1s")).await;
    let endless = workers.accept("good", i32::MAX, 1).await;
    let blocking = workers.accept("blocks", 0, 1).await;
    let mut worker = Process::command("chaos-jobs", &workers.stage)
        .arg("work")
        .spawn()
        .expect("it starts");
    until_none(&workers.stores, "both are stopped", UNFINISHED).await;
    workers.assert_dead(endless, "not done within 1s").await;
    workers.assert_dead(blocking, "not done within 1s").await;
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(workers.accept("good", 5, 1).await);
    }
    until_none(&workers.stores, "the others are done", UNFINISHED).await;
    for job in others {
        assert_eq!(workers.outcome(job).await.0, "done");
    }
    assert!(
        worker.try_wait().expect("returns").is_none(),
        "it is the same process"
    );
}

#[tokio::test]
async fn a_worker_whose_threads_are_all_blocked_aborts() {
    let workers = Workers::set_up(Stage::open().await.with("PLINTH_WORKER_LEASE", "1s")).await;
    for _ in 0..2 {
        workers.accept("blocks", 0, 1).await;
    }
    let mut worker = Process::command("chaos-jobs", &workers.stage);
    let mut worker = worker
        .arg("work")
        .env("TOKIO_WORKER_THREADS", "2")
        .spawn()
        .expect("it starts");
    let ended = tokio::time::timeout(PATIENCE, worker.wait())
        .await
        .expect("it ends in time");
    assert!(!ended.expect("waits").success());
    let next = Process::command("chaos-jobs", &workers.stage)
        .arg("work")
        .spawn();
    let other = workers.accept("good", 5, 1).await;
    until_none(&workers.stores, "the next one does the rest", UNFINISHED).await;
    assert_eq!(workers.outcome(other).await.0, "done");
    drop(next);
}
