//! Limits by key: what shares something slow waits for it without holding up anybody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plinth_core::jobs::{Hold, SentMails, Standing};
use plinth_domain::job::{JobPayload, Queue};
use plinth_platform::settings::AtLeast;
use plinth_worker::registry::Registry;
use serde::{Deserialize, Serialize};

use crate::house::{House, Tally};

/// A job that needs something of a name.
#[derive(Debug, Serialize, Deserialize)]
struct Needy {
    name: String,
}

impl JobPayload for Needy {
    const KIND: &'static str = "test.needy";
    const QUEUE: Queue = Queue::Email;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 3;
}

/// In which order jobs ended, and how many of a name ran at once at most.
#[derive(Debug, Clone, Default)]
struct Traffic(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    ended: Vec<String>,
    running: HashMap<String, usize>,
    most: usize,
}

impl Traffic {
    fn registry(&self, limit: u32) -> Registry {
        let traffic = self.clone();
        Registry::default().with(move |job: Needy, attempt| {
            let traffic = traffic.clone();
            async move {
                attempt.hold(&job.name, limit).await?;
                traffic.begin(&job.name);
                tokio::time::sleep(Duration::from_millis(if job.name == "slow" {
                    100
                } else {
                    1
                }))
                .await;
                traffic.end(job.name);
                Ok(())
            }
        })
    }

    fn begin(&self, name: &str) {
        let Seen { running, most, .. } = &mut *self.0.lock().expect("no holder panics");
        let running = running.entry(name.to_owned()).or_default();
        *running += 1;
        *most = (*most).max(*running);
    }

    fn end(&self, name: String) {
        let Seen { ended, running, .. } = &mut *self.0.lock().expect("no holder panics");
        *running.entry(name.clone()).or_default() -= 1;
        ended.push(name);
    }
}

#[tokio::test]
async fn a_slow_domain_holds_up_itself_only() {
    let house = House::open().await;
    let traffic = Traffic::default();
    for _ in 0..20 {
        house
            .enqueue(&Needy {
                name: "slow".to_owned(),
            })
            .await;
    }
    for n in 0..5 {
        house
            .enqueue(&Needy {
                name: format!("quick {n}"),
            })
            .await;
    }
    let mut settings = house.settings();
    settings.concurrency = AtLeast(2);
    // Fewer slots than slow jobs, in two workers: without the limit the quick ones would wait for most of them.
    let workers = [0, 1].map(|_| house.start_with(settings.clone(), traffic.registry(1)));
    house.until_all_are("done", 25).await;
    {
        let Seen { ended, most, .. } = &*traffic.0.lock().expect("no holder panics");
        assert_eq!(*most, 1, "one of a name at once, in both workers together");
        let last_quick = ended
            .iter()
            .rposition(|name| name != "slow")
            .expect("they ended");
        assert!(last_quick < 12, "{ended:?}");
    }
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_parked_job_goes_on_when_its_holder_was_killed() {
    let house = House::open().await;
    let traffic = Traffic::default();
    let [first, second] = [0, 1].map(|_| Needy {
        name: "slow".to_owned(),
    });
    let first = house.enqueue(&first).await;
    let claim = house
        .claim_and_die(first, Duration::from_secs(2))
        .await
        .expect("it is due");
    assert_eq!(
        house.ledger.hold(claim, "slow", 1).await.expect("answers"),
        Hold::Granted
    );
    let second = house.enqueue(&second).await;
    let worker = house.start(traffic.registry(1));
    house.until_all_are("done", 2).await;
    assert_eq!(
        house.job(second).await.attempt,
        1,
        "the attempt that was parked does not count"
    );
    assert_eq!(
        house.ledger.hold(claim, "slow", 1).await.expect("answers"),
        Hold::Lost
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_mail_is_new_then_uncertain_then_accepted() {
    let house = House::open().await;
    let job = house.enqueue(&Tally::default()).await;
    let sent = SentMails::new(&house.stores);
    for expected in [Standing::New, Standing::Uncertain, Standing::Uncertain] {
        assert_eq!(sent.begin(job).await.expect("answers"), expected);
    }
    sent.accepted(job).await.expect("answers");
    assert_eq!(sent.begin(job).await.expect("answers"), Standing::Accepted);
}
