//! Shutdown: running jobs end or are handed back, and no new job starts.

use std::time::{Duration, Instant};

use plinth_testkit::until;

use crate::house::{House, Log, Tally};

#[tokio::test]
async fn a_running_job_ends_before_the_worker() {
    let house = House::open().await;
    let log = Log::default();
    let worker = house.start(log.counting_handlers(Duration::from_secs(1)));
    let job = house.enqueue(&Tally::default()).await;
    house.push(&[job]).await;
    log.until_begun(job).await;
    worker.stop().await;
    assert_eq!(house.job(job).await.state, "done");
}

#[tokio::test]
async fn a_job_that_does_not_end_is_handed_back_and_run_by_the_next_worker() {
    let house = House::open().await;
    let log = Log::default();
    let mut settings = house.settings();
    settings.shutdown_grace = Duration::from_secs(2);
    let worker = house.start_with(settings, log.counting_handlers(Duration::from_hours(1)));
    let job = house.enqueue(&Tally::default()).await;
    house.push(&[job]).await;
    log.until_begun(job).await;
    let requested_at = Instant::now();
    worker.stop().await;
    assert!(
        requested_at.elapsed() < Duration::from_secs(3),
        "stopped after {:?}",
        requested_at.elapsed()
    );
    let row = house.job(job).await;
    assert_eq!((row.state.as_str(), row.attempt), ("queued", 0));

    let started_at = Instant::now();
    let next = house.start(log.counting_handlers(Duration::ZERO));
    house.until_all_are("done", 1).await;
    assert!(
        started_at.elapsed() < Duration::from_secs(5),
        "taken after {:?}",
        started_at.elapsed()
    );
    next.stop().await;
}

#[tokio::test]
async fn a_job_whose_claim_is_in_progress_is_handed_back() {
    let house = House::open().await;
    let log = Log::default();
    let job = house.enqueue(&Tally::default()).await;
    let mut blocker = house.stores.db.begin().await.expect("begins");
    let lock = sqlx::query("SELECT FROM jobs WHERE id = $1 FOR UPDATE").bind(job.0);
    lock.execute(&mut *blocker).await.expect("locks");
    let worker = house.start(log.counting_handlers(Duration::ZERO));
    house.push(&[job]).await;
    until("the claim waits for the row", async || {
        let waiting = sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        );
        (waiting.fetch_one(&house.stores.db).await.expect("counts") > 0).then_some(())
    })
    .await;
    let stopping = tokio::spawn(worker.stop());
    // Long enough for the worker to end if it did not wait for the answer to its claim.
    tokio::time::sleep(Duration::from_millis(200)).await;
    blocker.rollback().await.expect("rolls back");
    stopping.await.expect("does not panic");
    let row = house.job(job).await;
    assert_eq!(
        (row.state.as_str(), row.attempt, log.total()),
        ("queued", 0, 0)
    );
}

#[tokio::test]
async fn a_backlog_is_left_for_the_next_worker() {
    let house = House::open().await;
    let log = Log::default();
    let jobs = house.enqueue_many(500).await;
    house.push(&jobs).await;
    let worker = house.start(log.counting_handlers(Duration::from_millis(20)));
    log.until_begun_some(20).await;
    worker.stop().await;
    let done = house.count("done").await;
    assert!(done < jobs.len(), "the worker ran all jobs");
    assert_eq!(done, log.total(), "every started job ended");
    assert_eq!(done + house.count("queued").await, jobs.len());

    let next = house.start(log.counting_handlers(Duration::ZERO));
    house.until_all_are("done", jobs.len()).await;
    assert!(jobs.iter().all(|job| log.runs(*job) == 1));
    next.stop().await;
}
