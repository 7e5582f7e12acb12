//! `kill -9`: accepted work is still done.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use plinth_testkit::{Mailbox, Process, Stage, until};
use reqwest::StatusCode;
use uuid::Uuid;

use crate::house::{Door, count, fresh_email, lift_idle_timeout, until_none};
use crate::picture::jpeg;

const HALF_REGISTERED: &str = "SELECT count(*) FROM registrations WHERE NOT EXISTS
    (SELECT FROM jobs WHERE payload ->> 'registration_id' = registrations.id::text) OR NOT EXISTS
    (SELECT FROM audit_events WHERE target_id = registrations.id AND action = 'registration.created')";
const NOT_DONE: &str = "SELECT count(*) FROM jobs WHERE queue <> 'cleanup' AND state <> 'done'";

#[tokio::test]
async fn a_second_worker_finishes_the_jobs_of_a_killed_one() {
    let stage = Stage::open()
        .await
        .with("PLINTH_WORKER_LEASE", "2s")
        .with("PLINTH_WORKER_FILES_PER_OWNER", "8")
        .with("PLINTH_DATABASE_MAX_CONNECTIONS", "8");
    let api = Process::api(&stage).await;
    let post = Process::worker_with(&stage, &["--queues", "email"]).await;
    let person = Door::of(&api).person().await;
    let stores = stage.stores();
    // Different images, because equal ones would be stored and rendered once.
    let uploads = (0..8).map(|n| person.uploading("photo.jpg", jpeg(400 + n, 300)).send());
    for answer in join_all(uploads).await {
        assert_eq!(
            answer.expect("the API answers").status(),
            StatusCode::CREATED
        );
    }

    // Until this transaction ends no thumbnail can be recorded, so the jobs stay running.
    let mut obstacle = stores.db.begin().await.expect("begins");
    lift_idle_timeout(&mut obstacle).await;
    sqlx::query("SELECT FROM file_variants FOR UPDATE")
        .execute(&mut *obstacle)
        .await
        .expect("locks");
    let worker = Process::worker(&stage).await;
    let held = until("the worker is full", async || {
        // A job without a share of its owner's limit may still be parked, and its attempt would not
        // count.
        let query = "SELECT id FROM jobs
                     WHERE kind = 'files.thumbnails' AND state = 'running' AND limit_key IS NOT NULL";
        let held: Vec<Uuid> = sqlx::query_scalar(query).fetch_all(&stores.db).await.expect("reads");
        (held.len() == 4).then_some(held)
    })
    .await;
    worker.kill().await;
    let killed = Instant::now();
    obstacle.rollback().await.expect("ends");

    let second = Process::worker(&stage).await;
    until_none(&stores, "every job is done", NOT_DONE).await;
    // The leases of two seconds, the dispatcher's interval, and some time for a slow machine.
    assert!(
        killed.elapsed() < Duration::from_secs(25),
        "it took {:?}",
        killed.elapsed()
    );
    let attempts: Vec<(Uuid, i16)> =
        sqlx::query_as("SELECT id, attempt FROM jobs WHERE kind = 'files.thumbnails'")
            .fetch_all(&stores.db)
            .await
            .expect("reads");
    assert_eq!(attempts.len(), 8);
    for (job, attempt) in attempts {
        assert_eq!(attempt, if held.contains(&job) { 2 } else { 1 }, "{job}");
    }
    assert_eq!(
        count(
            &stores,
            "SELECT count(*) FROM file_variants WHERE state = 'ready'"
        )
        .await,
        16
    );
    assert_eq!(
        count(&stores, "SELECT count(*) FROM notifications").await,
        8,
        "one notification for each"
    );
    assert!(second.stop().await.success());
    assert!(post.stop().await.success());
}

#[tokio::test]
async fn every_accepted_registration_gets_its_mail_even_if_the_api_is_killed() {
    let stage = Stage::open().await;
    let api = Process::api(&stage).await;
    let worker = Process::worker(&stage).await;
    let door = Door::of(&api);
    let emails: Vec<String> = (0..40).map(|_| fresh_email()).collect();
    let mut answers: FuturesUnordered<_> = emails
        .iter()
        .map(|email| {
            let door = &door;
            async move {
                (
                    email,
                    door.try_register(email)
                        .await
                        .ok()
                        .map(|answer| answer.status),
                )
            }
        })
        .collect();
    let mut answered = Vec::new();
    while answered.len() < 5 {
        let (email, status) = answers.next().await.expect("another answer");
        assert_eq!(status, Some(StatusCode::ACCEPTED));
        answered.push(email);
    }
    api.kill().await;
    // Requests that were answered until the end count too.
    while let Some((email, status)) = answers.next().await {
        answered.extend((status == Some(StatusCode::ACCEPTED)).then_some(email));
    }
    for email in &answered {
        assert!(Mailbox::first_to(email).await.html.is_some());
    }
    assert_eq!(
        count(&stage.stores(), HALF_REGISTERED).await,
        0,
        "a registration is whole or not there"
    );
    until_none(
        &stage.stores(),
        "those without an answer have their mail too",
        NOT_DONE,
    )
    .await;
    assert!(worker.stop().await.success());
}

#[tokio::test]
async fn jobs_that_a_killed_api_never_pushed_are_done() {
    let mut stage = Stage::open().await;
    let worker = Process::worker(&stage).await;
    // Only the API reaches Redis through this connection.
    let wire = stage.wire_redis().await;
    let api = Process::api(&stage).await;
    wire.tear();
    let email = fresh_email();
    Door::of(&api).register(&email).await;
    api.kill().await;
    assert!(Mailbox::first_to(&email).await.html.is_some());
    assert!(worker.stop().await.success());
}

#[tokio::test]
async fn a_job_is_done_even_if_the_api_is_killed_between_its_commit_and_its_push() {
    // Longer than it takes to kill the API.
    let mut stage = Stage::open().await.with("PLINTH_REDIS_TIMEOUT", "10s");
    let worker = Process::worker_with(&stage, &["--queues", "email"]).await;
    let wire = stage.wire_redis().await;
    let api = Process::api(&stage).await;
    let (door, stores, email) = (Door::of(&api), stage.stores(), fresh_email());
    // The request waits right before it inserts the job.
    let mut obstacle = stores.db.begin().await.expect("begins");
    lift_idle_timeout(&mut obstacle).await;
    sqlx::query("LOCK TABLE jobs IN EXCLUSIVE MODE")
        .execute(&mut *obstacle)
        .await
        .expect("locks");
    let request = tokio::spawn({
        let email = email.clone();
        async move { door.try_register(&email).await }
    });
    let inserting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'plinth-api' AND wait_event_type = 'Lock'";
    until("it waits", async || {
        (count(&stores, inserting).await == 1).then_some(())
    })
    .await;
    wire.hold();
    obstacle.rollback().await.expect("ends");
    until("it is committed", async || {
        (count(&stores, "SELECT count(*) FROM jobs").await == 1).then_some(())
    })
    .await;
    api.kill().await;
    assert!(
        request.await.expect("no panic").is_err(),
        "no answer was sent"
    );

    assert!(Mailbox::first_to(&email).await.html.is_some());
    until_none(&stores, "it is done", NOT_DONE).await;
    assert_eq!(count(&stores, "SELECT attempt::bigint FROM jobs").await, 1);
    let dispatched = worker.metrics().await;
    assert!(
        !dispatched.contains("plinth_jobs_dispatched_total{queue=\"email\"} 0\n"),
        "{dispatched}"
    );
    assert!(worker.stop().await.success());
}
