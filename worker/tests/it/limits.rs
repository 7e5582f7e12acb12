//! Limits by key: jobs that share a slow resource wait for it without delaying others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plinth_core::jobs::{LimitDecision, SendState, SentMails};
use plinth_domain::job::{JobPayload, Queue};
use plinth_platform::settings::AtLeast;
use plinth_worker::registry::Registry;
use serde::{Deserialize, Serialize};

use crate::house::{House, Tally};

/// A job that needs a share of a limit.
#[derive(Debug, Serialize, Deserialize)]
struct LimitedJob {
    name: String,
}

impl JobPayload for LimitedJob {
    const KIND: &'static str = "test.needy";
    const QUEUE: Queue = Queue::Email;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 3;
}

/// A record of the order in which jobs ended, and of the largest number with one key at once.
#[derive(Debug, Clone, Default)]
struct Concurrency(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    ended: Vec<String>,
    running: HashMap<String, usize>,
    max_at_once: usize,
}

impl Concurrency {
    fn registry(&self, limit: u32) -> Registry {
        let concurrency = self.clone();
        Registry::default().with(move |job: LimitedJob, attempt| {
            let concurrency = concurrency.clone();
            async move {
                attempt.acquire_limit(&job.name, limit).await?;
                concurrency.begin(&job.name);
                tokio::time::sleep(Duration::from_millis(if job.name == "slow" {
                    100
                } else {
                    1
                }))
                .await;
                concurrency.end(job.name);
                Ok(())
            }
        })
    }

    fn begin(&self, name: &str) {
        let Seen {
            running,
            max_at_once,
            ..
        } = &mut *self.0.lock().expect("no holder panics");
        let running = running.entry(name.to_owned()).or_default();
        *running += 1;
        *max_at_once = (*max_at_once).max(*running);
    }

    fn end(&self, name: String) {
        let Seen { ended, running, .. } = &mut *self.0.lock().expect("no holder panics");
        *running.entry(name.clone()).or_default() -= 1;
        ended.push(name);
    }
}

#[tokio::test]
async fn a_slow_domain_delays_only_its_own_jobs() {
    let house = House::open().await;
    let concurrency = Concurrency::default();
    for _ in 0..20 {
        house
            .enqueue(&LimitedJob {
                name: "slow".to_owned(),
            })
            .await;
    }
    for n in 0..5 {
        house
            .enqueue(&LimitedJob {
                name: format!("quick {n}"),
            })
            .await;
    }
    let mut settings = house.settings();
    settings.concurrency = AtLeast(2);
    // Two workers have fewer permits than there are slow jobs. Without the limit the quick jobs
    // would wait for most of the slow ones.
    let workers = [0, 1].map(|_| house.start_with(settings.clone(), concurrency.registry(1)));
    house.until_all_are("done", 25).await;
    {
        let Seen {
            ended, max_at_once, ..
        } = &*concurrency.0.lock().expect("no holder panics");
        assert_eq!(*max_at_once, 1, "one job per key in both workers together");
        let last_quick = ended
            .iter()
            .rposition(|name| name != "slow")
            .expect("the quick jobs ended");
        assert!(last_quick < 12, "{ended:?}");
    }
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_parked_job_is_released_after_its_holder_was_killed() {
    let house = House::open().await;
    let concurrency = Concurrency::default();
    let [first, second] = [0, 1].map(|_| LimitedJob {
        name: "slow".to_owned(),
    });
    let first = house.enqueue(&first).await;
    let claim = house
        .claim_and_die(first, Duration::from_secs(2))
        .await
        .expect("it is due");
    assert_eq!(
        house
            .ledger
            .acquire_limit(claim, "slow", 1)
            .await
            .expect("answers"),
        LimitDecision::Granted
    );
    let second = house.enqueue(&second).await;
    let worker = house.start(concurrency.registry(1));
    house.until_all_are("done", 2).await;
    assert_eq!(
        house.job(second).await.attempt,
        1,
        "the parked attempt does not count"
    );
    assert_eq!(
        house
            .ledger
            .acquire_limit(claim, "slow", 1)
            .await
            .expect("answers"),
        LimitDecision::LeaseLost
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_mail_is_new_then_uncertain_then_accepted() {
    let house = House::open().await;
    let job = house.enqueue(&Tally::default()).await;
    let sent = SentMails::new(&house.stores);
    for expected in [SendState::New, SendState::Uncertain, SendState::Uncertain] {
        assert_eq!(sent.begin(job).await.expect("answers"), expected);
    }
    sent.accepted(job).await.expect("answers");
    assert_eq!(sent.begin(job).await.expect("answers"), SendState::Accepted);
}
