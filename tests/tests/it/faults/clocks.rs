//! Worker processes whose system clock is minutes wrong.

use std::time::Duration;

use futures_util::future::join_all;
use plinth_testkit::{Process, Services, Stage, until};

use super::mail_server::MailServer;
use crate::house::{Door, count, until_none};

/// Long enough for renewals in time on a busy machine.
const LEASE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn workers_with_clocks_five_minutes_apart_take_no_jobs_from_each_other() {
    let Some(faketime) = &Services::get().faketime else {
        return;
    };
    let (server, url) = MailServer::start().await;
    let mut stage = Stage::open()
        .await
        .with("PLINTH_SMTP_URL", &url)
        .with("PLINTH_WORKER_LEASE", &format!("{}s", LEASE.as_secs()))
        .with("PLINTH_WORKER_CONCURRENCY", "3")
        .with("PLINTH_SMTP_PER_DOMAIN", "6");
    let api = Process::api(&stage).await;
    let stores = stage.stores();
    let mut workers = Vec::new();
    for clock in ["-300", "+300"] {
        // Only the time of day changes, not the monotonic clock.
        stage = stage
            .with("LD_PRELOAD", &faketime.to_string_lossy())
            .with("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .with("FAKETIME", clock);
        workers.push(Process::worker_with(&stage, &["--queues", "email"]).await);
    }
    server.withhold_replies();
    let door = Door::of(&api);
    let emails: Vec<String> = (0..6).map(|n| format!("ada-{n}@example.org")).collect();
    join_all(emails.iter().map(|email| door.register(email))).await;
    until("both are full", async || {
        (server.taken() == 6).then_some(())
    })
    .await;
    // For some leases each worker holds jobs whose leases the other would consider expired.
    tokio::time::sleep(LEASE * 2).await;
    server.answer();
    // A job that fails at first is retried when it is due by PostgreSQL's clock.
    door.register("bob@busy.example").await;
    until_none(
        &stores,
        "every job is done",
        "SELECT count(*) FROM jobs WHERE state <> 'done'",
    )
    .await;
    let apart = "SELECT extract(epoch FROM max(expires_at) - min(expires_at))::bigint FROM registration_tokens";
    assert!(
        count(&stores, apart).await > 500,
        "the tokens that they mint show it"
    );
    let attempts = "SELECT sum(attempt) FROM jobs";
    assert_eq!(
        (server.taken(), count(&stores, attempts).await),
        (7, 7),
        "each once"
    );
    let put_off = "SELECT count(*) FROM job_attempts WHERE outcome = 'postponed'";
    assert_eq!(count(&stores, put_off).await, 1, "bob's again");
    for worker in workers {
        assert!(worker.stop().await.success());
    }
}
