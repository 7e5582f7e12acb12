//! A job that takes down whatever runs it: it ends as a dead letter, and those that ran beside it are done.

use std::time::Duration;

use plinth_core::Stores;
use plinth_testkit::{PATIENCE, Process, Stage};
use tokio::process::Command;
use tokio::time::sleep;
use uuid::Uuid;

use crate::house::{count, until_none};

/// What the handlers of `chaos-jobs` leave behind.
const TRACES: &str =
    "CREATE TABLE effects (job_id uuid PRIMARY KEY, runs integer NOT NULL DEFAULT 1);
    CREATE TABLE doubles (job_id uuid NOT NULL)";

/// As few as any kind has.
const ATTEMPTS: i16 = 3;

const UNFINISHED: &str = "SELECT count(*) FROM jobs WHERE state NOT IN ('done', 'dead')";

/// Workers whose handlers know how to misbehave.
struct Colony {
    stage: Stage,
    stores: Stores,
}

impl Colony {
    async fn settle(stage: Stage) -> Self {
        let stores = stage.stores();
        sqlx::raw_sql(TRACES)
            .execute(&stores.db)
            .await
            .expect("makes the tables");
        Self { stage, stores }
    }

    /// Accepts a deed that takes so long before it shows its manner, and may be begun so often.
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

    /// How a job ended: state, attempt, and what the ledger says of its last error.
    async fn end_of(&self, job: Uuid) -> (String, i16, Option<String>) {
        let query =
            sqlx::query_as("SELECT state, attempt, last_error FROM jobs WHERE id = $1").bind(job);
        query.fetch_one(&self.stores.db).await.expect("reads")
    }

    async fn assert_dead(&self, job: Uuid, reason: &str) {
        let (state, _, error) = self.end_of(job).await;
        let error = error.unwrap_or_default();
        assert!(
            state == "dead" && error.contains(reason),
            "{state}: {error}"
        );
    }

    /// A worker that gets no more than so many KiB of memory for its data.
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
async fn a_job_that_takes_all_memory_ends_as_dead_and_takes_nobody_with_it() {
    let colony = Colony::settle(Stage::open().await.with("PLINTH_WORKER_LEASE", "1s")).await;
    // Longer than the poison needs: at first they run beside it each time.
    let mut long = Vec::new();
    for _ in 0..3 {
        long.push(colony.accept("good", 2_000, ATTEMPTS).await);
    }
    let poison = colony.accept("devours", 300, ATTEMPTS).await;
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(colony.accept("good", 5, ATTEMPTS).await);
    }

    // Whatever starts containers does no more than this.
    let mut deaths = 0;
    let finished = async {
        loop {
            let mut worker = colony.worker(300_000).spawn().expect("it starts");
            let done = async {
                while count(&colony.stores, UNFINISHED).await > 0 {
                    sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::select! {
                () = done => return worker.kill().await.expect("it can be killed"),
                ended = worker.wait() => assert!(!ended.expect("it can be waited for").success()),
            }
            deaths += 1;
        }
    };
    tokio::time::timeout(PATIENCE, finished)
        .await
        .expect("it comes to an end");

    assert_eq!(
        deaths, ATTEMPTS,
        "it is not tried more often than its kind says"
    );
    colony.assert_dead(poison, "its workers died").await;
    let mut beside = 0;
    for job in &long {
        beside += usize::from(colony.end_of(*job).await.1 > 1);
    }
    assert!(beside > 0, "some were beside the poison");
    for job in long.into_iter().chain(others) {
        let (state, attempt, error) = colony.end_of(job).await;
        assert!(
            state == "done" && attempt <= ATTEMPTS,
            "{state} at attempt {attempt}: {error:?}"
        );
    }
    assert_eq!(
        count(&colony.stores, "SELECT count(*) FROM doubles").await,
        0,
        "none ran twice at once"
    );
}

#[tokio::test]
async fn jobs_that_never_end_are_stopped_and_their_worker_goes_on() {
    let colony = Colony::settle(Stage::open().await.with("PLINTH_WORKER_JOB_TIMEOUT", "1s")).await;
    let endless = colony.accept("good", i32::MAX, 1).await;
    let blocking = colony.accept("blocks", 0, 1).await;
    let mut worker = Process::command("chaos-jobs", &colony.stage)
        .arg("work")
        .spawn()
        .expect("it starts");
    until_none(&colony.stores, "both are stopped", UNFINISHED).await;
    colony.assert_dead(endless, "not done within 1s").await;
    colony.assert_dead(blocking, "not done within 1s").await;
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(colony.accept("good", 5, 1).await);
    }
    until_none(&colony.stores, "the others are done", UNFINISHED).await;
    for job in others {
        assert_eq!(colony.end_of(job).await.0, "done");
    }
    assert!(
        worker.try_wait().expect("it can be asked").is_none(),
        "it is the same process"
    );
}

#[tokio::test]
async fn a_worker_whose_threads_are_all_blocked_ends_by_itself() {
    let colony = Colony::settle(Stage::open().await.with("PLINTH_WORKER_LEASE", "1s")).await;
    for _ in 0..2 {
        colony.accept("blocks", 0, 1).await;
    }
    let mut worker = Process::command("chaos-jobs", &colony.stage);
    let mut worker = worker
        .arg("work")
        .env("TOKIO_WORKER_THREADS", "2")
        .spawn()
        .expect("it starts");
    let ended = tokio::time::timeout(PATIENCE, worker.wait())
        .await
        .expect("it does not hang for ever");
    assert!(!ended.expect("it can be waited for").success());
    let next = Process::command("chaos-jobs", &colony.stage)
        .arg("work")
        .spawn();
    let other = colony.accept("good", 5, 1).await;
    until_none(&colony.stores, "the next one does the rest", UNFINISHED).await;
    assert_eq!(colony.end_of(other).await.0, "done");
    drop(next);
}
