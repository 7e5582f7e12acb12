//! The mail server refuses mails, is busy, or does not answer.

use plinth_testkit::{Process, Stage, until};

use super::mail_server::MailServer;
use crate::house::{Door, count, until_none};

#[tokio::test]
async fn a_busy_server_gets_the_mail_once_and_a_refusal_is_a_dead_letter() {
    let (server, url) = MailServer::start().await;
    let stage = Stage::open().await.with("PLINTH_SMTP_URL", &url);
    let api = Process::api(&stage).await;
    let worker = Process::worker_with(&stage, &["--queues", "email"]).await;
    let door = Door::of(&api);
    door.register("ada@busy.example").await;
    door.register("bob@refused.example").await;
    let stores = stage.stores();
    let unfinished = "SELECT count(*) FROM jobs WHERE state NOT IN ('done', 'dead')";
    until_none(&stores, "both have ended", unfinished).await;
    assert_eq!(server.taken_for("ada@busy.example").len(), 1);
    assert_eq!(
        count(
            &stores,
            "SELECT count(*) FROM jobs WHERE state = 'done' AND attempt = 1"
        )
        .await,
        1
    );
    assert_eq!(
        count(
            &stores,
            "SELECT count(*) FROM job_attempts WHERE outcome = 'postponed'"
        )
        .await,
        1
    );
    let refused = "SELECT count(*) FROM jobs WHERE state = 'dead' AND attempt = 1 AND last_error LIKE '%550%'";
    assert_eq!(count(&stores, refused).await, 1);
    let accepted = "SELECT count(*) FROM sent_mails WHERE accepted_at IS NOT NULL";
    assert_eq!(count(&stores, accepted).await, 1);
    assert!(worker.stop().await.success());
}

#[tokio::test]
async fn a_domain_that_does_not_answer_delays_only_its_own_mails() {
    let (_server, url) = MailServer::start().await;
    let stage = Stage::open()
        .await
        .with("PLINTH_SMTP_URL", &url)
        .with("PLINTH_SMTP_PER_DOMAIN", "1")
        .with("PLINTH_WORKER_CONCURRENCY", "2");
    let api = Process::api(&stage).await;
    let worker = Process::worker_with(&stage, &["--queues", "email"]).await;
    let door = Door::of(&api);
    for name in ["one", "two", "three", "four"] {
        door.register(&format!("{name}@hangs.example")).await;
    }
    for name in ["one", "two", "three", "four"] {
        door.register(&format!("{name}@quick.example")).await;
    }
    let stores = stage.stores();
    let quick = "SELECT 4 - count(*) FROM sent_mails WHERE accepted_at IS NOT NULL";
    until_none(&stores, "the others have their mails", quick).await;
    // One of the four mails is in progress. The others have no permit.
    assert_eq!(
        count(&stores, "SELECT count(*) FROM jobs WHERE state = 'running'").await,
        1
    );
    assert_eq!(
        count(&stores, "SELECT count(*) FROM jobs WHERE parked").await,
        3
    );
    worker.kill().await;
}

#[tokio::test]
async fn a_mail_that_waits_for_its_domain_is_sent_even_if_its_token_exists_already() {
    let (server, url) = MailServer::start().await;
    let stage = Stage::open()
        .await
        .with("PLINTH_SMTP_URL", &url)
        .with("PLINTH_SMTP_PER_DOMAIN", "1");
    let api = Process::api(&stage).await;
    let worker = Process::worker_with(&stage, &["--queues", "email"]).await;
    let (door, stores) = (Door::of(&api), stage.stores());
    let people = ["ada@slow.example", "bob@slow.example"];
    for email in people {
        door.register(email).await;
    }
    let unfinished = "SELECT count(*) FROM jobs WHERE state <> 'done'";
    until_none(&stores, "both are registered", unfinished).await;
    server.withhold_replies();
    let others = ["cyn@slow.example", "dan@slow.example"];
    for email in others {
        door.register(email).await;
    }
    let parked = "SELECT count(*) FROM jobs WHERE parked";
    until("one waits for the other", async || {
        (server.taken() == 3 && count(&stores, parked).await == 1).then_some(())
    })
    .await;
    server.answer();
    until_none(&stores, "both are done", unfinished).await;
    for email in people.into_iter().chain(others) {
        assert_eq!(server.taken_for(email).len(), 1, "{email}");
    }
    assert!(worker.stop().await.success());
}

#[tokio::test]
async fn a_mail_accepted_during_an_outage_of_postgresql_is_not_sent_again() {
    let (server, url) = MailServer::start().await;
    let mut stage = Stage::open()
        .await
        .with("PLINTH_SMTP_URL", &url)
        .with("PLINTH_DATABASE_ACQUIRE_TIMEOUT", "1s");
    let api = Process::api(&stage).await;
    // Only the worker reaches PostgreSQL through this connection.
    let stores = stage.stores();
    let wire = stage.wire_database().await;
    let worker = Process::worker_with(&stage, &["--queues", "email"]).await;
    server.withhold_replies();
    Door::of(&api).register("ada@example.org").await;
    until("the server has the mail", async || {
        (server.taken() == 1).then_some(())
    })
    .await;
    wire.tear();
    server.answer();
    until("the write waits", async || {
        let metrics = worker.metrics().await;
        let failed =
            |line: &str| line.contains("\"sent_mails.accepted\"") && line.contains("\"error\"");
        metrics.lines().any(failed).then_some(())
    })
    .await;
    wire.restore();
    until_none(
        &stores,
        "it is done",
        "SELECT count(*) FROM jobs WHERE state <> 'done'",
    )
    .await;
    assert_eq!(server.taken(), 1);
    assert_eq!(count(&stores, "SELECT attempt::bigint FROM jobs").await, 1);
    assert!(worker.stop().await.success());
}
