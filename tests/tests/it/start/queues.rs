//! A worker serves only the queues that it is started with.

use plinth_testkit::{Mailbox, Process, Stage};
use serde_json::Value;

use crate::house::{Door, count, fresh_email, store_state};
use crate::picture::jpeg;

#[tokio::test]
async fn a_worker_of_the_email_queue_runs_no_file_jobs() {
    let stage = Stage::open().await;
    let api = Process::api(&stage).await;
    let post = Process::worker_with(&stage, &["--queues", "email"]).await;
    let door = Door::of(&api);
    let person = door.person().await;
    let file = person.upload("photo.jpg", jpeg(200, 100)).await;
    // When a later job is done, the earlier one could have run.
    for _ in 0..3 {
        let email = fresh_email();
        door.register(&email).await;
        Mailbox::first_to(&email).await;
    }
    let stores = stage.stores();
    let untouched = "SELECT count(*) FROM jobs
        WHERE queue = 'files' AND state = 'queued' AND claim = 0";
    assert_eq!(count(&stores, untouched).await, 1);
    assert_eq!(
        count(&stores, "SELECT count(*) FROM jobs WHERE queue = 'cleanup'").await,
        0
    );
    let metrics = post.metrics().await;
    let mut deliveries = metrics
        .lines()
        .filter(|line| line.starts_with("plinth_job_deliveries_total"));
    assert!(
        deliveries.all(|line| !line.contains("queue=\"files\"")),
        "{metrics}"
    );

    let files_worker = Process::worker_with(&stage, &["--queues", "files,notifications"]).await;
    person.until_ready(file).await;
    let metrics = files_worker.metrics().await;
    let mut deliveries = metrics
        .lines()
        .filter(|line| line.starts_with("plinth_job_deliveries_total"));
    assert!(
        deliveries.all(|line| !line.contains("queue=\"email\"")),
        "{metrics}"
    );
    for process in [api, post, files_worker] {
        assert!(process.stop().await.success());
    }
}

#[tokio::test]
async fn a_worker_reports_s3_if_its_queues_need_it_and_is_ready_without_it() {
    let mut stage = Stage::open().await;
    let wire = stage.wire_s3().await;
    let files = Process::worker_with(&stage, &["--queues", "files"]).await;
    let cleanup = Process::worker_with(&stage, &["--queues", "email,cleanup"]).await;
    wire.tear();
    for worker in [&files, &cleanup] {
        assert_eq!(
            store_state(&worker.internal_url, "s3").await,
            "does not answer"
        );
    }
    let post = Process::worker_with(&stage, &["--queues", "email,notifications"]).await;
    let report = reqwest::get(format!("{}/readyz", post.internal_url))
        .await
        .expect("it answers");
    let report: Value = report.json().await.expect("valid JSON");
    assert_eq!(report.get("s3"), None, "nothing of it is in S3");
    assert!(post.stop().await.success());
}
