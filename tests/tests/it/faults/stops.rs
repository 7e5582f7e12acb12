//! SIGTERM: accepted work is finished, and the exit status is 0.

use std::io;
use std::time::{Duration, Instant};

use futures_util::stream;
use plinth_testkit::{Mailbox, Process, Stage, until};
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Method, StatusCode};

use crate::house::{Door, count, fresh_email, lift_idle_timeout, readiness, until_none};
use crate::picture::jpeg;

/// Registers users until the API refuses connections, and returns those that it accepted.
async fn register_on_and_on(door: Door) -> Vec<String> {
    let mut answered = Vec::new();
    loop {
        let email = fresh_email();
        match door.try_register(&email).await {
            Ok(answer) => {
                answer.expect(StatusCode::ACCEPTED);
                answered.push(email);
            }
            Err(_) => return answered,
        }
    }
}

#[tokio::test]
async fn a_stopping_api_answers_the_requests_it_has_accepted() {
    let stage = Stage::open().await;
    let api = Process::api(&stage).await;
    let worker = Process::worker(&stage).await;
    let stores = stage.stores();
    let people: Vec<_> = (0..6)
        .map(|_| tokio::spawn(register_on_and_on(Door::of(&api))))
        .collect();
    until("some requests are accepted", async || {
        (count(&stores, "SELECT count(*) FROM registrations").await > 12).then_some(())
    })
    .await;
    let requested_at = Instant::now();
    assert!(api.stop().await.success());
    assert!(
        requested_at.elapsed() < Duration::from_secs(12),
        "it took {:?}",
        requested_at.elapsed()
    );
    let mut answered = Vec::new();
    for person in people {
        answered.extend(person.await.expect("every answer was expected"));
    }
    let mut registered: Vec<String> = sqlx::query_scalar("SELECT email FROM registrations")
        .fetch_all(&stores.db)
        .await
        .expect("reads");
    answered.sort();
    registered.sort();
    assert_eq!(
        registered, answered,
        "accepted and stored registrations are the same"
    );
    for email in &answered {
        Mailbox::first_to(email).await;
    }
    assert!(worker.stop().await.success());
}

#[tokio::test]
async fn a_stopping_api_finishes_a_running_upload() {
    let stage = Stage::open().await;
    let api = Process::api(&stage).await;
    let worker = Process::worker(&stage).await;
    let person = Door::of(&api).person().await;
    let photo = jpeg(400, 300);
    let (beginning, end) = photo.split_at(photo.len() / 2);
    let (sender, receiver) = tokio::sync::mpsc::channel::<io::Result<Vec<u8>>>(1);
    let bytes = stream::unfold(receiver, async |mut receiver| {
        Some((receiver.recv().await?, receiver))
    });
    let form = Form::new().part(
        "file",
        Part::stream(Body::wrap_stream(bytes)).file_name("photo.jpg"),
    );
    let upload = tokio::spawn(
        person
            .request(Method::POST, "/v1/files")
            .multipart(form)
            .send(),
    );
    sender
        .send(Ok(beginning.to_vec()))
        .await
        .expect("it is read");
    let stores = stage.stores();
    let begun = "SELECT count(*) FROM blobs WHERE state = 'receiving'";
    until("the upload is in progress", async || {
        (count(&stores, begun).await == 1).then_some(())
    })
    .await;

    let internal_url = api.internal_url.clone();
    let stopping = tokio::spawn(api.stop());
    until("it drains", async || {
        (readiness(&internal_url).await.1 == "draining").then_some(())
    })
    .await;
    sender
        .send(Ok(end.to_vec()))
        .await
        .expect("it is still read");
    drop(sender);
    let answer = upload.await.expect("no panic").expect("an answer");
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert!(stopping.await.expect("no panic").success());
    until_none(
        &stores,
        "its thumbnails are made",
        "SELECT count(*) FROM file_variants WHERE state <> 'ready'",
    )
    .await;
    assert!(worker.stop().await.success());
}

#[tokio::test]
async fn a_stopping_worker_leaves_the_rest_to_the_next() {
    let stage = Stage::open().await;
    let api = Process::api(&stage).await;
    let stores = stage.stores();
    let door = Door::of(&api);
    let emails: Vec<String> = (0..40).map(|_| fresh_email()).collect();
    for answer in
        futures_util::future::join_all(emails.iter().map(|email| door.try_register(email))).await
    {
        answer
            .expect("the API answers")
            .expect(StatusCode::ACCEPTED);
    }
    let worker = Process::worker(&stage).await;
    let done = "SELECT count(*) FROM jobs WHERE queue = 'email' AND state = 'done'";
    until("it has begun", async || {
        (count(&stores, done).await > 0).then_some(())
    })
    .await;
    assert!(worker.stop().await.success());
    assert_eq!(
        count(&stores, "SELECT count(*) FROM jobs WHERE state = 'running'").await,
        0,
        "nothing is left held"
    );

    let second = Process::worker(&stage).await;
    until_none(
        &stores,
        "every job is done",
        "SELECT count(*) FROM jobs WHERE state <> 'done'",
    )
    .await;
    for email in &emails {
        assert_eq!(Mailbox::to(email).await.len(), 1, "a stop repeats nothing");
    }
    assert!(second.stop().await.success());
}

#[tokio::test]
async fn a_job_that_does_not_end_is_handed_back() {
    let stage = Stage::open()
        .await
        .with("PLINTH_WORKER_SHUTDOWN_GRACE", "2s");
    let api = Process::api(&stage).await;
    let worker = Process::worker(&stage).await;
    let person = Door::of(&api).person().await;
    let stores = stage.stores();
    let mut obstacle = stores.db.begin().await.expect("begins");
    lift_idle_timeout(&mut obstacle).await;
    sqlx::query("LOCK TABLE notifications IN EXCLUSIVE MODE")
        .execute(&mut *obstacle)
        .await
        .expect("locks");
    let file = person.upload("photo.jpg", jpeg(200, 100)).await;
    let held = "SELECT count(*) FROM jobs WHERE queue = 'notifications' AND state = 'running'";
    until("the job is blocked", async || {
        (count(&stores, held).await == 1).then_some(())
    })
    .await;
    assert!(worker.stop().await.success());
    let handed_back = "SELECT count(*) FROM jobs WHERE queue = 'notifications' AND state = 'queued' AND attempt = 0";
    assert_eq!(count(&stores, handed_back).await, 1);
    obstacle.rollback().await.expect("ends");

    let second = Process::worker(&stage).await;
    until_none(
        &stores,
        "every job is done",
        "SELECT count(*) FROM jobs WHERE state <> 'done'",
    )
    .await;
    person.until_ready(file).await;
    assert_eq!(
        count(&stores, "SELECT count(*) FROM notifications").await,
        1
    );
    assert!(second.stop().await.success());
}
