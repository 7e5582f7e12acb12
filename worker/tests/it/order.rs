//! The order of jobs, jobs that may not start any more, and late outcomes of earlier claims.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plinth_core::jobs::{
    AttemptEnd, Cancellation, EndedAttempt, JobAdministration, JobRef, READY_SET_SIZE, Transport,
};
use plinth_domain::audit::Origin;
use plinth_domain::id::JobId;
use plinth_domain::job::{JobPayload, Priority, Queue};
use plinth_platform::settings::AtLeast;
use plinth_testkit::until;
use plinth_worker::registry::Registry;
use serde::{Deserialize, Serialize};

use crate::house::{House, Log, Tally};

/// A job of high priority.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Urgent {}

impl JobPayload for Urgent {
    const KIND: &'static str = "test.urgent";
    const QUEUE: Queue = Queue::Email;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 10;
    const PRIORITY: Priority = Priority::High;
}

/// A job with a shorter time limit than the settings.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Hasty {}

impl JobPayload for Hasty {
    const KIND: &'static str = "test.hasty";
    const QUEUE: Queue = Queue::Email;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 1;
    const TIMEOUT: Option<Duration> = Some(Duration::from_millis(100));
}

#[tokio::test]
async fn high_priority_runs_before_normal_even_if_it_came_later() {
    let house = House::open().await;
    let order: Arc<Mutex<Vec<JobId>>> = Arc::default();
    let (all, urgent) = (order.clone(), order.clone());
    let registry = Registry::default()
        .with(move |_: Tally, attempt| {
            all.lock().expect("no holder panics").push(attempt.job);
            async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok(())
            }
        })
        .with(move |_: Urgent, attempt| {
            urgent.lock().expect("no holder panics").push(attempt.job);
            async { Ok(()) }
        });
    for _ in 0..10 {
        house.enqueue(&Tally::default()).await;
    }
    let late = house.enqueue(&Urgent::default()).await;
    let mut settings = house.settings();
    settings.concurrency = AtLeast(1);
    let worker = house.start_with(settings, registry);
    house.until_all_are("done", 11).await;
    let order = order.lock().expect("no holder panics").clone();
    assert_eq!(order.first(), Some(&late), "{order:?}");
    worker.stop().await;
}

#[tokio::test]
async fn a_job_past_its_deadline_is_dead_and_never_runs() {
    let house = House::open().await;
    let log = Log::default();
    let job = house.enqueue(&Tally::default()).await;
    house.set_deadline(job, "-1 s").await;
    let worker = house.start(log.counting_handlers(Duration::ZERO));
    house.until_all_are("dead", 1).await;
    assert_eq!(log.runs(job), 0);
    assert!(
        house
            .job(job)
            .await
            .last_error
            .is_some_and(|error| error.contains("the deadline passed"))
    );
    worker.stop().await;
}

#[tokio::test]
async fn the_third_panic_in_a_row_is_final() {
    let house = House::open().await;
    let log = Log::default();
    let seen = log.clone();
    let worker = house.start(Registry::default().with(move |_: Urgent, attempt| {
        seen.begin(attempt.job);
        async { panic!("always") }
    }));
    let job = house.enqueue(&Urgent::default()).await;
    house.until_all_are("dead", 1).await;
    assert_eq!(log.runs(job), 3, "although it has ten attempts");
    assert_eq!(house.attempts(job).await, ["retried", "retried", "dead"]);
    worker.stop().await;
}

#[tokio::test]
async fn a_kind_may_have_a_shorter_time_limit_than_the_settings() {
    let house = House::open().await;
    let worker = house.start(Registry::default().with(|_: Hasty, _| std::future::pending()));
    let job = house.enqueue(&Hasty::default()).await;
    house.until_all_are("dead", 1).await;
    assert_eq!(
        house.job(job).await.last_error.as_deref(),
        Some("not done within 100ms")
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_repeated_outcome_of_an_earlier_claim_changes_nothing() {
    let house = House::open().await;
    let job = house.enqueue(&Tally::default()).await;
    let first = house
        .claim_and_die(job, Duration::from_secs(30))
        .await
        .expect("it is due");
    let back = [EndedAttempt {
        claim: first,
        outcome: AttemptEnd::HandedBack,
    }];
    assert_eq!(
        house
            .ledger
            .record(&back)
            .await
            .expect("answers")
            .written
            .len(),
        1
    );
    // The next claim has another number, but the same attempt.
    let second = house
        .claim_and_die(job, Duration::from_secs(30))
        .await
        .expect("it is due again");
    assert_eq!(house.job(job).await.attempt, 1);
    assert!(
        house
            .ledger
            .record(&back)
            .await
            .expect("answers")
            .written
            .is_empty()
    );
    assert_eq!(house.job(job).await.state, "running");
    let done = [EndedAttempt {
        claim: second,
        outcome: AttemptEnd::Done,
    }];
    assert_eq!(
        house
            .ledger
            .record(&done)
            .await
            .expect("answers")
            .written
            .len(),
        1
    );
    assert_eq!(house.attempts(job).await, ["handed_back"]);
}

#[tokio::test]
async fn one_transaction_records_every_kind_of_outcome() {
    let house = House::open().await;
    let outcomes = [
        AttemptEnd::Done,
        AttemptEnd::Retried {
            error: "no".to_owned(),
            wait: Duration::from_hours(1),
            panicked: false,
        },
        AttemptEnd::Dead {
            error: "never".to_owned(),
        },
        AttemptEnd::HandedBack,
        AttemptEnd::Unsupported {
            reason: "newer".to_owned(),
            wait: Duration::from_mins(1),
        },
        AttemptEnd::Cancelled,
    ];
    let mut ended = Vec::new();
    for outcome in outcomes {
        let job = house.enqueue(&Tally::default()).await;
        let claim = house
            .claim_and_die(job, Duration::from_secs(30))
            .await
            .expect("it is due");
        ended.push(EndedAttempt { claim, outcome });
    }
    assert_eq!(
        house
            .ledger
            .record(&ended)
            .await
            .expect("answers")
            .written
            .len(),
        ended.len()
    );
    let mut states = Vec::new();
    for one in &ended {
        let job = house.job(one.claim.job).await;
        states.push((job.state, job.attempt));
    }
    let expected = [
        ("done", 1),
        ("retrying", 1),
        ("dead", 1),
        ("queued", 0),
        ("retrying", 0),
        ("cancelled", 1),
    ];
    assert_eq!(
        states,
        expected.map(|(state, attempt)| (state.to_owned(), attempt))
    );
}

#[tokio::test]
async fn redis_holds_a_bounded_ready_set_of_a_backlog() {
    let house = House::open().await;
    let log = Log::default();
    let jobs = house.enqueue_many(5_000).await;
    house.push(&jobs).await;
    assert_eq!(house.message_count().await, READY_SET_SIZE);
    let worker = house.start(log.counting_handlers(Duration::ZERO));
    house.until_all_are("done", jobs.len()).await;
    assert!(jobs.iter().all(|job| log.runs(*job) == 1));
    worker.stop().await;
}

#[tokio::test]
async fn a_backlog_passes_the_ready_set_completely_while_urgent_jobs_arrive() {
    let house = House::open().await;
    let jobs = house.enqueue_many(5_000).await;
    sqlx::query(
        "UPDATE jobs SET run_at = now() - make_interval(secs => late.row * 0.01)
         FROM (SELECT id, row_number() OVER () AS row FROM jobs) AS late WHERE jobs.id = late.id",
    )
    .execute(&house.stores.db)
    .await
    .expect("updates");
    let transport = Transport::new(&house.stores.redis);
    let size = i64::try_from(READY_SET_SIZE).expect("fits");
    let mut first = house.ledger.due(size).await.expect("reads");
    transport
        .refill(
            Queue::Email,
            &first.remove(&Queue::Email).expect("jobs are due"),
        )
        .await
        .expect("fills");
    let mut urgent = Vec::new();
    let mut seen = HashSet::new();
    loop {
        // They come before the backlog, which is dropped from the full set.
        let now = house.stores.clock.now();
        let urgent_job = || JobRef {
            queue: Queue::Email,
            job: JobId::mint(now),
            rank: 0,
            due: now,
        };
        let pushed: Vec<_> = (0..300).map(|_| urgent_job()).collect();
        transport.push(&pushed).await.expect("pushes");
        urgent.extend(pushed.iter().map(|pushed| pushed.job));
        let popped = transport.pop(Queue::Email, 800).await.expect("pops").jobs;
        // The ledger considers them claimed, so they do not come again.
        let ids: Vec<_> = popped.iter().map(|job| job.0).collect();
        sqlx::query(
            "UPDATE jobs SET state = 'running', lease_until = now() + interval '1 h' WHERE id = ANY($1)",
        )
        .bind(ids)
        .execute(&house.stores.db)
        .await
        .expect("updates");
        seen.extend(popped);
        let Some(gap) = transport.gap(Queue::Email).await.expect("reads") else {
            break;
        };
        assert!(house.message_count().await + gap.capacity == READY_SET_SIZE);
        let capacity = i64::try_from(gap.capacity).expect("fits");
        let due = house
            .ledger
            .due_from(Queue::Email, gap.from, capacity)
            .await
            .expect("reads");
        transport.refill(Queue::Email, &due).await.expect("fills");
    }
    seen.extend(
        transport
            .pop(Queue::Email, READY_SET_SIZE)
            .await
            .expect("pops")
            .jobs,
    );
    let missing = jobs
        .iter()
        .chain(&urgent)
        .filter(|job| !seen.contains(job))
        .count();
    assert_eq!(missing, 0);
}

#[tokio::test]
async fn no_job_is_taken_from_a_paused_queue() {
    let house = House::open().await;
    let log = Log::default();
    let operators = JobAdministration::new(&house.stores);
    assert!(
        operators
            .pause(&Origin::system(), Queue::Email)
            .await
            .expect("pauses")
    );
    let worker = house.start(log.counting_handlers(Duration::ZERO));
    let job = house.enqueue(&Tally::default()).await;
    house.push(&[job]).await;
    // The message is taken, and the ledger refuses the claim.
    until("the message is taken", async || {
        (house.message_count().await == 0).then_some(())
    })
    .await;
    worker.stop().await;
    // The same after a restart.
    let worker = house.start(log.counting_handlers(Duration::ZERO));
    house.push(&[job]).await;
    until("the message is taken", async || {
        (house.message_count().await == 0).then_some(())
    })
    .await;
    assert_eq!((log.runs(job), house.job(job).await.attempt), (0, 0));
    assert!(
        operators
            .resume(&Origin::system(), Queue::Email)
            .await
            .expect("resumes")
    );
    house.until_all_are("done", 1).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_running_job_is_stopped_when_it_is_cancelled() {
    let house = House::open().await;
    let log = Log::default();
    let mut settings = house.settings();
    settings.lease = Duration::from_millis(900);
    let worker = house.start_with(settings, log.counting_handlers(Duration::from_hours(1)));
    let job = house.enqueue(&Tally::default()).await;
    house.push(&[job]).await;
    log.until_begun(job).await;
    let operators = JobAdministration::new(&house.stores);
    let cancellation = operators
        .cancel(&Origin::system(), job)
        .await
        .expect("cancels");
    assert_eq!(cancellation, Cancellation::Asked);
    house.until_all_are("cancelled", 1).await;
    operators
        .retry(&Origin::system(), job)
        .await
        .expect("a cancelled job can be retried");
    until("it starts again", async || {
        (log.runs(job) == 2).then_some(())
    })
    .await;
    operators
        .cancel(&Origin::system(), job)
        .await
        .expect("cancels");
    house.until_all_are("cancelled", 1).await;
    worker.stop().await;
}
