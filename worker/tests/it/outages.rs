//! Faults of Redis do not affect running jobs, and lose no job.

use std::time::{Duration, Instant};

use plinth_platform::settings::AtLeast;

use crate::house::{House, Log, Tally};

#[tokio::test]
async fn a_backlog_of_twenty_thousand_is_consumed() {
    let house = House::open().await;
    let log = Log::default();
    let jobs = house.enqueue_many(20_000).await;
    house.push(&jobs).await;
    let mut settings = house.settings();
    settings.concurrency = AtLeast(16);
    let worker = house.start_with(settings, log.counting_handlers(Duration::ZERO));
    house.until_all_are("done", jobs.len()).await;
    assert!(jobs.iter().all(|job| log.runs(*job) == 1));
    worker.stop().await;
    assert_eq!(house.message_count().await, 0, "nothing is left in Redis");
}

#[tokio::test]
async fn a_wipe_of_redis_with_a_thousand_queued_jobs_loses_none() {
    let house = House::open().await;
    let log = Log::default();
    let jobs = house.enqueue_many(1_000).await;
    house.push(&jobs).await;
    let worker = house.start(log.counting_handlers(Duration::from_millis(10)));
    log.until_begun_some(50).await;
    house.wipe_redis().await;
    house.until_all_are("done", jobs.len()).await;
    assert!(
        jobs.iter().all(|job| log.runs(*job) == 1),
        "no job runs twice after a wipe"
    );
    worker.stop().await;
}

#[tokio::test]
async fn broken_connections_do_not_affect_a_running_job() {
    let house = House::open().await;
    let log = Log::default();
    let worker = house.start(log.counting_handlers(Duration::from_secs(2)));
    let job = house.enqueue(&Tally::default()).await;
    house.push(&[job]).await;
    log.until_begun(job).await;
    for _ in 0..5 {
        house.wire.cut();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    house.until_all_are("done", 1).await;
    assert_eq!((log.runs(job), house.job(job).await.attempt), (1, 1));
    // The next job is taken without a restart.
    let next = house.enqueue(&Tally::default()).await;
    house.push(&[next]).await;
    log.until_begun(next).await;
    worker.stop().await;
}

#[tokio::test]
async fn an_idle_worker_takes_a_pushed_job_at_once() {
    let house = House::open().await;
    let log = Log::default();
    let worker = house.start(log.counting_handlers(Duration::ZERO));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut waits = Vec::new();
    for pause in 0..30 {
        // Idle times of different lengths reach every state of the blocking read.
        tokio::time::sleep(Duration::from_millis(pause * 13)).await;
        let job = house.enqueue(&Tally::default()).await;
        let pushed = Instant::now();
        house.push(&[job]).await;
        log.until_begun(job).await;
        waits.push(pushed.elapsed());
    }
    waits.sort_unstable();
    // The limit is far above the usual time and at the dispatcher's interval: a slow machine does
    // not exceed it, a lost message does.
    assert!(waits[29] < Duration::from_secs(1), "{waits:?}");
    worker.stop().await;
}

#[tokio::test]
async fn an_outage_of_redis_under_load_loses_no_job() {
    let house = House::open().await;
    let log = Log::default();
    let worker = house.start(log.counting_handlers(Duration::from_millis(30)));
    let before = house.enqueue_many(200).await;
    house.push(&before).await;
    log.until_begun_some(20).await;
    house.wire.tear();
    // The dispatcher pushes the jobs that are committed during the outage.
    let during_outage = house.enqueue_many(50).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    house.wire.restore();
    house
        .until_all_are("done", before.len() + during_outage.len())
        .await;
    assert!(
        before
            .iter()
            .chain(&during_outage)
            .all(|job| log.runs(*job) == 1)
    );
    assert_eq!(log.overlaps(), 0);
    worker.stop().await;
}
