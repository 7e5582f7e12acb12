//! The life of one job: it runs once, is retried, becomes dead, or is left for another worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use plinth_core::jobs::{AttemptEnd, EndedAttempt, Transport};
use plinth_domain::id::JobId;
use plinth_platform::settings::AtLeast;
use plinth_worker::outcome::Failure;
use plinth_worker::registry::Registry;

use crate::house::{House, Log, Tally, UnknownKind, email_message};

#[tokio::test]
async fn a_job_delivered_ten_times_runs_once() {
    let house = House::open().await;
    let log = Log::default();
    let job = house.enqueue(&Tally::default()).await;
    let worker = house.start(log.counting_handlers(Duration::from_millis(300)));
    for _ in 0..10 {
        house.push(&[job]).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    house.until_all_are("done", 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(log.runs(job), 1);
    assert_eq!(house.job(job).await.attempt, 1);
    worker.stop().await;
}

#[tokio::test]
async fn two_workers_share_jobs_and_never_run_one_twice_at_once() {
    let house = House::open().await;
    let log = Log::default();
    let workers = [
        house.start(log.counting_handlers(Duration::from_millis(2))),
        house.start(log.counting_handlers(Duration::from_millis(2))),
    ];
    let mut jobs = Vec::new();
    for _ in 0..200 {
        let job = house.enqueue(&Tally::default()).await;
        house.push(&[job]).await;
        jobs.push(job);
    }
    house.until_all_are("done", jobs.len()).await;
    assert!(jobs.iter().all(|job| log.runs(*job) == 1));
    assert_eq!(log.overlaps(), 0);
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_lost_push_is_repeated() {
    let house = House::open().await;
    let log = Log::default();
    let worker = house.start(log.counting_handlers(Duration::ZERO));
    let job = house.enqueue(&Tally::default()).await;
    // It is not pushed, as if its process had been killed after the commit.
    house.until_all_are("done", 1).await;
    assert_eq!(log.runs(job), 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_failed_job_is_retried_until_it_succeeds() {
    let house = House::open().await;
    let log = Log::default();
    let seen = log.clone();
    let worker = house.start(Registry::default().with(move |_: Tally, attempt| {
        seen.begin(attempt.job);
        async move {
            if attempt.number < 3 {
                Err(anyhow::anyhow!("not yet").into())
            } else {
                Ok(())
            }
        }
    }));
    let job = house.enqueue(&Tally::default()).await;
    house.push(&[job]).await;
    house.until_all_are("done", 1).await;
    assert_eq!(log.runs(job), 3);
    worker.stop().await;
}

#[tokio::test]
async fn a_panicking_job_is_retried_and_then_dead() {
    let house = House::open().await;
    let log = Log::default();
    let seen = log.clone();
    let worker = house.start(Registry::default().with(move |_: Tally, attempt| {
        seen.begin(attempt.job);
        async move { panic!("out of {}", "cheese") }
    }));
    let job = house.enqueue(&Tally::default()).await;
    house.push(&[job]).await;
    house.until_all_are("dead", 1).await;
    assert_eq!(log.runs(job), 3, "as many attempts as the kind has");
    assert_eq!(
        house.job(job).await.last_error.as_deref(),
        Some("panicked: out of cheese")
    );
    // The worker continues.
    let other = house.enqueue(&UnknownKind {}).await;
    house.push(&[other]).await;
    house.until_all_are("retrying", 1).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_permanent_failure_makes_the_job_dead_at_once_with_its_causes() {
    let house = House::open().await;
    let worker = house.start(Registry::default().with(|_: Tally, _| async {
        Err(Failure::permanent(
            anyhow::anyhow!("550 no such user").context("the mail was refused"),
        ))
    }));
    let job = house.enqueue(&Tally::default()).await;
    house.push(&[job]).await;
    house.until_all_are("dead", 1).await;
    let row = house.job(job).await;
    assert_eq!(
        (row.attempt, row.last_error.as_deref()),
        (1, Some("the mail was refused: 550 no such user"))
    );
    worker.stop().await;
}

#[tokio::test]
async fn errors_with_a_nul_character_are_recorded() {
    let house = House::open().await;
    let worker = house.start(Registry::default().with(|_: Tally, attempt| async move {
        assert!(attempt.number > 1, "out of \0 cheese");
        Err(Failure::permanent(anyhow::anyhow!("550 no\0such user")))
    }));
    let job = house.enqueue(&Tally::default()).await;
    house.push(&[job]).await;
    house.until_all_are("dead", 1).await;
    assert_eq!(
        house.job(job).await.last_error.as_deref(),
        Some("550 no\u{fffd}such user")
    );
    assert_eq!(house.attempts(job).await, ["retried", "dead"]);
    worker.stop().await;
}

#[tokio::test]
async fn an_outcome_that_the_ledger_refuses_does_not_delay_others() {
    let house = House::open().await;
    for statement in [
        "CREATE FUNCTION refuse_poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.last_error = 'poison' THEN RAISE EXCEPTION 'poison'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER poison BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION refuse_poison()",
    ] {
        sqlx::query(statement).execute(&house.stores.db).await.expect("executes");
    }
    let jobs = house.enqueue_many(30).await;
    let poison = jobs[0];
    let worker = house.start(
        Registry::default().with(move |_: Tally, attempt| async move {
            if attempt.job == poison {
                Err(Failure::permanent(anyhow::anyhow!("poison")))
            } else {
                Ok(())
            }
        }),
    );
    house.push(&jobs).await;
    house.until_all_are("dead", 1).await;
    house.until_all_are("done", 29).await;
    let error = house.job(poison).await.last_error;
    assert_eq!(
        error.as_deref(),
        Some("the outcome of the attempt could not be written")
    );
    assert_eq!(house.attempts(poison).await, ["dead"]);
    worker.stop().await;
}

#[tokio::test]
async fn an_attempt_that_never_ends_is_stopped() {
    let house = House::open().await;
    let log = Log::default();
    let seen = log.clone();
    let mut settings = house.settings();
    settings.job_timeout = Duration::from_millis(200);
    let worker = house.start_with(
        settings,
        Registry::default().with(move |_: Tally, attempt| {
            seen.begin(attempt.job);
            std::future::pending()
        }),
    );
    let job = house.enqueue(&Tally::default()).await;
    house.push(&[job]).await;
    house.until_all_are("dead", 1).await;
    assert_eq!(
        house.job(job).await.last_error.as_deref(),
        Some("not done within 200ms")
    );
    assert_eq!(log.runs(job), 3);
    worker.stop().await;
}

#[tokio::test]
async fn a_job_longer_than_its_lease_keeps_it() {
    let house = House::open().await;
    let log = Log::default();
    let mut settings = house.settings();
    settings.lease = Duration::from_millis(900);
    let workers = [0, 1].map(|_| {
        house.start_with(
            settings.clone(),
            log.counting_handlers(Duration::from_secs(3)),
        )
    });
    let job = house.enqueue(&Tally::default()).await;
    house.push(&[job]).await;
    house.until_all_are("done", 1).await;
    assert_eq!((log.runs(job), house.job(job).await.attempt), (1, 1));
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn jobs_claimed_ahead_of_long_ones_keep_their_leases_until_they_start() {
    let house = House::open().await;
    let (log, takes_long) = (Log::default(), Arc::new(AtomicBool::new(false)));
    let mut settings = house.settings();
    settings.lease = Duration::from_millis(900);
    settings.concurrency = AtLeast(1);
    let workers = [0, 1].map(|_| {
        let (log, takes_long) = (log.clone(), takes_long.clone());
        let registry = Registry::default().with(move |_: Tally, attempt| {
            let (log, takes_long) = (log.clone(), takes_long.clone());
            async move {
                log.begin(attempt.job);
                let takes = if takes_long.load(Ordering::Relaxed) {
                    500
                } else {
                    0
                };
                tokio::time::sleep(Duration::from_millis(takes)).await;
                log.end(attempt.job);
                Ok(())
            }
        });
        house.start_with(settings.clone(), registry)
    });
    // After short jobs a worker claims ahead.
    let short = house.enqueue_many(200).await;
    house.push(&short).await;
    house.until_all_are("done", short.len()).await;
    takes_long.store(true, Ordering::Relaxed);
    let jobs = house.enqueue_many(12).await;
    house.push(&jobs).await;
    house.until_all_are("done", short.len() + jobs.len()).await;
    assert!(
        jobs.iter().all(|job| log.runs(*job) == 1),
        "no waiting job is taken over"
    );
    assert_eq!(log.overlaps(), 0);
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_job_with_an_expired_lease_is_taken_over() {
    let house = House::open().await;
    let log = Log::default();
    let job = house.enqueue(&Tally::default()).await;
    let claim = house
        .claim_and_die(job, Duration::from_millis(500))
        .await
        .expect("it is due");
    let worker = house.start(log.counting_handlers(Duration::ZERO));
    house.until_all_are("done", 1).await;
    assert_eq!((log.runs(job), house.job(job).await.attempt), (1, 2));
    let late = house
        .ledger
        .record(&[EndedAttempt {
            claim,
            outcome: AttemptEnd::Done,
        }])
        .await
        .expect("answers");
    assert!(
        late.written.is_empty(),
        "an outcome of the expired claim changes nothing"
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_job_that_kills_its_workers_becomes_dead() {
    let house = House::open().await;
    let log = Log::default();
    let job = house.enqueue(&Tally::default()).await;
    for _ in 0..3 {
        house
            .claim_and_die(job, Duration::ZERO)
            .await
            .expect("it is due");
    }
    let worker = house.start(log.counting_handlers(Duration::ZERO));
    house.until_all_are("dead", 1).await;
    assert_eq!(log.runs(job), 0);
    worker.stop().await;
}

#[tokio::test]
async fn a_job_of_a_newer_version_is_left_for_a_newer_worker() {
    let house = House::open().await;
    let log = Log::default();
    let job = house.enqueue(&Tally::default()).await;
    house.set_version(job, 2).await;
    let worker = house.start(log.counting_handlers(Duration::ZERO));
    house.push(&[job]).await;
    house.until_all_are("retrying", 1).await;
    let row = house.job(job).await;
    assert_eq!((row.attempt, log.runs(job)), (0, 0));
    assert!(
        row.last_error
            .is_some_and(|error| error.contains("up to version 1"))
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_job_with_an_invalid_payload_is_dead() {
    let house = House::open().await;
    let log = Log::default();
    let job = house.enqueue(&Tally::default()).await;
    house.spoil_payload(job).await;
    let worker = house.start(log.counting_handlers(Duration::ZERO));
    house.push(&[job]).await;
    house.until_all_are("dead", 1).await;
    worker.stop().await;
}

#[tokio::test]
async fn invalid_messages_in_redis_are_dropped() {
    let house = House::open().await;
    let log = Log::default();
    let worker = house.start(log.counting_handlers(Duration::ZERO));
    let unknown = JobId(uuid::Uuid::from_u128(7));
    Transport::new(&house.stores.redis)
        .push(&[email_message(unknown)])
        .await
        .expect("pushes");
    house.push_raw_message("garbage \u{1}{]").await;
    house.push_raw_message("").await;
    let job = house.enqueue(&Tally::default()).await;
    house.push(&[job]).await;
    house.until_all_are("done", 1).await;
    assert_eq!(log.runs(job), 1);
    worker.stop().await;
}
