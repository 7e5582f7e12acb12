//! Periodic tasks: a tick makes one job, whatever the number of schedulers and their clocks.

use std::time::Duration;

use futures_util::future::join_all;
use plinth_core::Stores;
use plinth_core::jobs::{Ledger, Periodic};
use plinth_domain::job::{CleanUp, Queue};
use plinth_domain::periodic::{PeriodicTask, Schedule};
use plinth_testkit::{Stage, until};
use plinth_worker::registry::Registry;
use plinth_worker::supervisor::Supervisor;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

/// Returns a schedule with an hourly clean-up, some minutes from now by PostgreSQL's clock. No test
/// lasts until then.
async fn hourly(stores: &Stores, minutes_ahead: i64) -> String {
    let now: OffsetDateTime = sqlx::query_scalar("SELECT now()")
        .fetch_one(&stores.db)
        .await
        .expect("reads");
    format!(
        "cleanup={} * * * *",
        (now + time::Duration::minutes(minutes_ahead)).minute()
    )
}

fn periodic(stores: &Stores, schedule: &str) -> Periodic {
    Periodic::new(stores, schedule.parse::<Schedule>().expect("valid"))
}

async fn enqueue_due(periodic: &Periodic) -> usize {
    periodic.ask().await.expect("enqueues").asked.len()
}

async fn jobs(stores: &Stores) -> i64 {
    let count = "SELECT count(*) FROM jobs WHERE kind = 'cleanup.expired'";
    sqlx::query_scalar(count)
        .fetch_one(&stores.db)
        .await
        .expect("counts")
}

async fn set_last_tick(stores: &Stores, ago: &str) {
    sqlx::query(
        "INSERT INTO periodic_tasks (name, last_tick) VALUES ('cleanup', now() - $1::text::interval)",
    )
    .bind(ago)
    .execute(&stores.db)
    .await
    .expect("inserts");
}

#[tokio::test]
async fn four_schedulers_make_one_job_of_a_tick() {
    let stage = Stage::open().await;
    let stores: Vec<_> = (0..4).map(|_| stage.stores()).collect();
    let table = hourly(&stores[0], 30).await;
    let schedulers: Vec<_> = stores
        .iter()
        .map(|stores| periodic(stores, &table))
        .collect();
    let total: usize = join_all(schedulers.iter().map(enqueue_due))
        .await
        .into_iter()
        .sum();
    assert_eq!((total, jobs(&stores[0]).await), (1, 1));
    let total: usize = join_all(schedulers.iter().map(enqueue_due))
        .await
        .into_iter()
        .sum();
    assert_eq!((total, jobs(&stores[0]).await), (0, 1));
}

#[tokio::test]
async fn a_scheduler_with_a_fast_clock_enqueues_nothing_twice() {
    let stage = Stage::open().await;
    let (stores, ahead) = (stage.stores(), stage.stores());
    ahead.clock.advance(time::Duration::minutes(5));
    // By the clock that is ahead the tick has passed.
    let table = hourly(&stores, 3).await;
    assert_eq!(enqueue_due(&periodic(&stores, &table)).await, 1);
    assert_eq!(enqueue_due(&periodic(&ahead, &table)).await, 0);
    assert_eq!(enqueue_due(&periodic(&stores, &table)).await, 0);
    assert_eq!(jobs(&stores).await, 1);
}

#[tokio::test]
async fn only_the_last_missed_tick_is_made_up_for() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    set_last_tick(&stores, "5 hours").await;
    let periodic = periodic(&stores, &hourly(&stores, 30).await);
    assert_eq!(enqueue_due(&periodic).await, 1);
    assert_eq!(enqueue_due(&periodic).await, 0);
    assert_eq!(jobs(&stores).await, 1);
    let line = periodic
        .lines()
        .await
        .expect("reads")
        .pop()
        .expect("one task");
    let (last, next) = (
        line.last_tick.expect("has a last tick"),
        line.next_tick.expect("has a next tick"),
    );
    assert_eq!(
        (line.task, next - last),
        (PeriodicTask::CleanUp, time::Duration::HOUR)
    );
}

#[tokio::test]
async fn a_task_that_is_not_due_is_not_enqueued() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    // The next tick is half an hour after the last one, so none was missed.
    set_last_tick(&stores, "0 seconds").await;
    let look = periodic(&stores, &hourly(&stores, 30).await)
        .ask()
        .await
        .expect("enqueues");
    assert!(look.asked.is_empty());
    let next = look.next.expect("has a next tick");
    assert!(
        next > Duration::from_mins(28) && next <= Duration::from_mins(30),
        "{next:?}"
    );
    assert_eq!(jobs(&stores).await, 0);
}

#[tokio::test]
async fn a_schedule_without_tasks_enqueues_nothing() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    let look = periodic(&stores, "").ask().await.expect("enqueues");
    assert!(look.asked.is_empty() && look.next.is_none());
    assert_eq!(jobs(&stores).await, 0);
}

#[tokio::test]
async fn four_workers_clean_up_once_per_tick() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    let table = hourly(&stores, 30).await;
    let stop = CancellationToken::new();
    let workers = (0..4).map(|_| {
        let settings = stage
            .settings_with(&[("PLINTH_WORKER_SCHEDULE", &table)])
            .worker;
        let registry = Registry::default().with(|_: CleanUp, _| async { Ok(()) });
        let ledger = Ledger::new(&stage.settings().database, "test").expect("a valid URL");
        let queues = vec![(Queue::Cleanup, 1)];
        let supervisor = Supervisor {
            stores: stage.stores(),
            ledger,
            settings,
            queues,
            registry,
        };
        tokio::spawn(supervisor.run(stop.clone()))
    });
    let workers: Vec<_> = workers.collect();
    let done = "SELECT count(*) FROM jobs WHERE kind = 'cleanup.expired' AND state = 'done'";
    until("the clean-up is done", async || {
        let count: i64 = sqlx::query_scalar(done)
            .fetch_one(&stores.db)
            .await
            .expect("counts");
        (count > 0).then_some(())
    })
    .await;
    stop.cancel();
    join_all(workers).await;
    assert_eq!(jobs(&stores).await, 1);
}
