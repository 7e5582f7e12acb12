//! Workers, and whoever asks for jobs, with clocks that are minutes wrong: leases and due times are PostgreSQL's.

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

/// Behind, right and ahead.
const CLOCKS: [time::Duration; 3] = [
    time::Duration::minutes(-5),
    time::Duration::ZERO,
    time::Duration::minutes(5),
];

const LEASE: Duration = Duration::from_millis(900);

/// A job that takes some leases, and fails at first where it is said to.
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

/// What was begun before it was due, as PostgreSQL sees it.
#[derive(Clone, Default)]
struct Early(Arc<AtomicUsize>);

impl Early {
    async fn watch(&self, db: &PgPool, job: JobId) {
        let query = sqlx::query_scalar("SELECT run_at > now() FROM jobs WHERE id = $1").bind(job.0);
        let early: bool = query.fetch_one(db).await.expect("the job is in the ledger");
        self.0.fetch_add(usize::from(early), Ordering::Relaxed);
    }
}

fn registry(log: &Log, early: &Early, db: &PgPool) -> Registry {
    let (log, early, db) = (log.clone(), early.clone(), db.clone());
    Registry::default().with(move |job: Long, attempt| {
        let (log, early, db) = (log.clone(), early.clone(), db.clone());
        async move {
            log.begin(attempt.job);
            early.watch(&db, attempt.job).await;
            let fails = job.fails_first && attempt.number == 1;
            tokio::time::sleep(if fails { Duration::ZERO } else { LEASE * 2 }).await;
            log.end(attempt.job);
            if fails {
                Err(anyhow::anyhow!("at first").into())
            } else {
                Ok(())
            }
        }
    })
}

#[tokio::test]
async fn clocks_that_are_five_minutes_wrong_begin_nothing_early_and_nothing_twice() {
    let house = House::open().await;
    let (log, early) = (Log::default(), Early::default());
    let mut settings = house.settings();
    settings.lease = LEASE;
    let (mut at_once, mut again, mut later) = (Vec::new(), Vec::new(), Vec::new());
    for ahead in CLOCKS {
        let stores = house.stores_at(ahead);
        for _ in 0..4 {
            let mut unit = Unit::begin(&stores, &Origin::system())
                .await
                .expect("begins");
            at_once.push(
                unit.enqueue(&Long { fails_first: false })
                    .await
                    .expect("inserts"),
            );
            again.push(
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
    let workers = CLOCKS.map(|ahead| {
        house.start_at(
            ahead,
            settings.clone(),
            registry(&log, &early, &house.stores.db),
        )
    });
    house
        .until_all_are("done", at_once.len() + again.len() + later.len())
        .await;
    assert!(
        at_once.iter().chain(&later).all(|job| log.runs(*job) == 1),
        "{log:?}"
    );
    assert!(again.iter().all(|job| log.runs(*job) == 2), "{log:?}");
    assert_eq!(
        (log.overlaps(), early.0.load(Ordering::Relaxed)),
        (0, 0),
        "twice at once, early"
    );
    for worker in workers {
        worker.stop().await;
    }
}
