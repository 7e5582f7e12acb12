//! Processes whose clocks are minutes wrong: leases and due times use PostgreSQL's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use plinth_core::unit::Unit;
use plinth_domain::audit::Origin;
use plinth_domain::id::JobId;
use plinth_domain::job::{JobPayload, Queue};
use plinth_platform::database::PgPool;
use plinth_worker::registry::Registry;
use serde::{Deserialize, Serialize};

use crate::house::{House, Log};

/// A clock that is behind, one that is right and one that is ahead.
const CLOCK_OFFSETS: [time::Duration; 3] = [
    time::Duration::minutes(-5),
    time::Duration::ZERO,
    time::Duration::minutes(5),
];

const LEASE: Duration = Duration::from_millis(900);

/// A job that takes longer than a lease. Its first attempt fails if `fails_first`.
#[derive(Debug, Serialize, Deserialize)]
struct Long {
    fails_first: bool,
}

impl JobPayload for Long {
    const KIND: &'static str = "test.long";
    const QUEUE: Queue = Queue::Email;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 3;
}

/// The number of jobs that started before they were due, by PostgreSQL's clock.
#[derive(Clone, Default)]
struct EarlyStarts(Arc<AtomicUsize>);

impl EarlyStarts {
    async fn check(&self, db: &PgPool, job: JobId) {
        let query = sqlx::query_scalar("SELECT run_at > now() FROM jobs WHERE id = $1").bind(job.0);
        let is_early: bool = query.fetch_one(db).await.expect("the job is in the ledger");
        self.0.fetch_add(usize::from(is_early), Ordering::Relaxed);
    }
}

fn registry(log: &Log, early_starts: &EarlyStarts, db: &PgPool) -> Registry {
    let (log, early_starts, db) = (log.clone(), early_starts.clone(), db.clone());
    Registry::default().with(move |job: Long, attempt| {
        let (log, early_starts, db) = (log.clone(), early_starts.clone(), db.clone());
        async move {
            log.begin(attempt.job);
            early_starts.check(&db, attempt.job).await;
            let fails = job.fails_first && attempt.number == 1;
            tokio::time::sleep(if fails { Duration::ZERO } else { LEASE * 2 }).await;
            log.end(attempt.job);
            if fails {
                Err(anyhow::anyhow!("first attempt").into())
            } else {
                Ok(())
            }
        }
    })
}

#[tokio::test]
async fn workers_with_wrong_clocks_start_no_job_early_or_twice() {
    let house = House::open().await;
    let (log, early_starts) = (Log::default(), EarlyStarts::default());
    let mut settings = house.settings();
    settings.lease = LEASE;
    let (mut due_now, mut failing, mut later) = (Vec::new(), Vec::new(), Vec::new());
    for ahead in CLOCK_OFFSETS {
        let stores = house.stores_at(ahead);
        for _ in 0..4 {
            let mut unit = Unit::begin(&stores, &Origin::system())
                .await
                .expect("begins");
            due_now.push(
                unit.enqueue(&Long { fails_first: false })
                    .await
                    .expect("inserts"),
            );
            failing.push(
                unit.enqueue(&Long { fails_first: true })
                    .await
                    .expect("inserts"),
            );
            let job = unit
                .enqueue(&Long { fails_first: false })
                .await
                .expect("inserts");
            sqlx::query("UPDATE jobs SET run_at = now() + interval '2 seconds' WHERE id = $1")
                .bind(job.0)
                .execute(unit.connection())
                .await
                .expect("updates");
            later.push(job);
            unit.commit().await.expect("commits");
        }
    }
    let workers = CLOCK_OFFSETS.map(|ahead| {
        house.start_at(
            ahead,
            settings.clone(),
            registry(&log, &early_starts, &house.stores.db),
        )
    });
    house
        .until_all_are("done", due_now.len() + failing.len() + later.len())
        .await;
    assert!(
        due_now.iter().chain(&later).all(|job| log.runs(*job) == 1),
        "{log:?}"
    );
    assert!(failing.iter().all(|job| log.runs(*job) == 2), "{log:?}");
    assert_eq!(
        (log.overlaps(), early_starts.0.load(Ordering::Relaxed)),
        (0, 0),
        "jobs that ran twice at once, early starts"
    );
    for worker in workers {
        worker.stop().await;
    }
}
