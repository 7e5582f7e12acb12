//! Periodic work: a tick becomes one job, whoever looks at which clock.

use std::time::Duration;

use futures_util::future::join_all;
use plinth_core::Stores;
use plinth_core::jobs::{Ledger, Periodic};
use plinth_domain::job::{CleanUp, Queue};
use plinth_domain::periodic::{PeriodicTask, Schedule};
use plinth_testkit::{Stage, until};
use plinth_worker::fleet::Fleet;
use plinth_worker::registry::Registry;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

/// A clean-up each hour, so many minutes from now as PostgreSQL has it: no test lasts until then.
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
    Periodic::new(stores, schedule.parse::<Schedule>().expect("a table"))
}

async fn asked(periodic: &Periodic) -> usize {
    periodic.ask().await.expect("looks").asked.len()
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
async fn a_tick_is_turned_into_one_job_by_four_at_once() {
    let stage = Stage::open().await;
    let stores: Vec<_> = (0..4).map(|_| stage.stores()).collect();
    let table = hourly(&stores[0], 30).await;
    let schedulers: Vec<_> = stores
        .iter()
        .map(|stores| periodic(stores, &table))
        .collect();
    let total: usize = join_all(schedulers.iter().map(asked))
        .await
        .into_iter()
        .sum();
    assert_eq!((total, jobs(&stores[0]).await), (1, 1));
    let total: usize = join_all(schedulers.iter().map(asked))
        .await
        .into_iter()
        .sum();
    assert_eq!((total, jobs(&stores[0]).await), (0, 1));
}

#[tokio::test]
async fn a_clock_that_is_ahead_asks_for_nothing_twice() {
    let stage = Stage::open().await;
    let (stores, ahead) = (stage.stores(), stage.stores());
    ahead.clock.advance(time::Duration::minutes(5));
    // By the clock that is ahead the tick is over.
    let table = hourly(&stores, 3).await;
    assert_eq!(asked(&periodic(&stores, &table)).await, 1);
    assert_eq!(asked(&periodic(&ahead, &table)).await, 0);
    assert_eq!(asked(&periodic(&stores, &table)).await, 0);
    assert_eq!(jobs(&stores).await, 1);
}

#[tokio::test]
async fn of_the_ticks_that_were_missed_the_last_is_made_up_for() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    set_last_tick(&stores, "5 hours").await;
    let periodic = periodic(&stores, &hourly(&stores, 30).await);
    assert_eq!(asked(&periodic).await, 1);
    assert_eq!(asked(&periodic).await, 0);
    assert_eq!(jobs(&stores).await, 1);
    let line = periodic
        .lines()
        .await
        .expect("reads")
        .pop()
        .expect("a line");
    let (last, next) = (line.last_tick.expect("was"), line.next_tick.expect("comes"));
    assert_eq!(
        (line.task, next - last),
        (PeriodicTask::CleanUp, time::Duration::HOUR)
    );
}

#[tokio::test]
async fn what_is_not_due_is_waited_for() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    // Half an hour after the last tick: nothing was missed since.
    set_last_tick(&stores, "0 seconds").await;
    let look = periodic(&stores, &hourly(&stores, 30).await)
        .ask()
        .await
        .expect("looks");
    assert!(look.asked.is_empty());
    let next = look.next.expect("a tick comes");
    assert!(
        next > Duration::from_mins(28) && next <= Duration::from_mins(30),
        "{next:?}"
    );
    assert_eq!(jobs(&stores).await, 0);
}

#[tokio::test]
async fn a_table_without_tasks_asks_for_nothing() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    let look = periodic(&stores, "").ask().await.expect("looks");
    assert!(look.asked.is_empty() && look.next.is_none());
    assert_eq!(jobs(&stores).await, 0);
}

#[tokio::test]
async fn four_workers_clean_up_once_a_tick() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    let table = hourly(&stores, 30).await;
    let stop = CancellationToken::new();
    let fleets = (0..4).map(|_| {
        let settings = stage
            .settings_with(&[("PLINTH_WORKER_SCHEDULE", &table)])
            .worker;
        let registry = Registry::default().with(|_: CleanUp, _| async { Ok(()) });
        let ledger = Ledger::new(&stage.settings().database, "test").expect("the URL is one");
        let queues = vec![(Queue::Cleanup, 1)];
        let fleet = Fleet {
            stores: stage.stores(),
            ledger,
            settings,
            queues,
            registry,
        };
        tokio::spawn(fleet.run(stop.clone()))
    });
    let fleets: Vec<_> = fleets.collect();
    let done = "SELECT count(*) FROM jobs WHERE kind = 'cleanup.expired' AND state = 'done'";
    until("it is done", async || {
        let count: i64 = sqlx::query_scalar(done)
            .fetch_one(&stores.db)
            .await
            .expect("counts");
        (count > 0).then_some(())
    })
    .await;
    stop.cancel();
    join_all(fleets).await;
    assert_eq!(jobs(&stores).await, 1);
}
