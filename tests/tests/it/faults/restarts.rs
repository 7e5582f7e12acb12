//! Servers of the test die under load and come back: every accepted job is done once, without
//! manual repair.

use std::time::Duration;

use plinth_core::Stores;
use plinth_core::unit::Unit;
use plinth_domain::audit::Origin;
use plinth_domain::id::{JobId, UserId};
use plinth_domain::job::DeliverNotification;
use plinth_domain::notification::NewNotification;
use plinth_testkit::{PostgresServer, Process, RedisServer, Stage, until};
use uuid::Uuid;

use super::load::Load;
use super::mail_server::MailServer;
use crate::house::{Door, count, lift_idle_timeout, until_none};

/// Longer than a lease and than every timeout.
const OUTAGE: Duration = Duration::from_secs(20);

const UNFINISHED: &str = "SELECT count(*) FROM jobs WHERE state <> 'done'";

/// Enqueues a notification to a new account.
async fn accept_notification(stores: &Stores) -> JobId {
    let user: Uuid = sqlx::query_scalar(
        "INSERT INTO users (id, email, email_key, created_at, updated_at)
         SELECT id, id::text, id::text, now(), now() FROM gen_random_uuid() AS id RETURNING id",
    )
    .fetch_one(&stores.db)
    .await
    .expect("inserts");
    let notification = NewNotification {
        user_id: UserId(user),
        kind: "test".to_owned().into(),
        title: "A test".to_owned(),
        body: "It is one.".to_owned(),
        subject: "a test".to_owned(),
    };
    let mut unit = Unit::begin(stores, &Origin::system())
        .await
        .expect("begins");
    let job = unit
        .enqueue(&DeliverNotification { notification })
        .await
        .expect("inserts");
    unit.commit().await.expect("commits");
    job
}

/// Asserts that every accepted registration exists, and that every existing one has one mail.
async fn assert_one_mail_each(stores: &Stores, server: &MailServer, accepted: &[String]) {
    let registered: Vec<String> = sqlx::query_scalar("SELECT email FROM registrations")
        .fetch_all(&stores.db)
        .await
        .expect("reads");
    for email in accepted {
        assert!(
            registered.contains(email),
            "{email} was accepted and is missing"
        );
    }
    for email in &registered {
        assert_eq!(server.taken_for(email).len(), 1, "{email}");
    }
}

#[tokio::test]
async fn redis_dead_for_twenty_seconds_under_load() {
    let (server, smtp) = MailServer::start().await;
    let mut redis = RedisServer::start().await;
    let stage = Stage::open()
        .await
        .with("PLINTH_REDIS_URL", &redis.url())
        .with("PLINTH_SMTP_URL", &smtp)
        // All addresses are in one domain.
        .with("PLINTH_SMTP_PER_DOMAIN", "16")
        .with("PLINTH_WORKER_LEASE", "5s")
        // A statement of a handler waits for longer than the outage.
        .with("PLINTH_DATABASE_STATEMENT_TIMEOUT", "2m")
        .with("PLINTH_DATABASE_LOCK_TIMEOUT", "2m");
    let (api, worker) = (Process::api(&stage).await, Process::worker(&stage).await);
    let stores = stage.stores();
    let load = Load::begin(&Door::of(&api));
    load.until_more(5).await;
    let mut obstacle = stores.db.begin().await.expect("begins");
    lift_idle_timeout(&mut obstacle).await;
    sqlx::query("LOCK TABLE notifications IN EXCLUSIVE MODE")
        .execute(&mut *obstacle)
        .await
        .expect("locks");
    let long = accept_notification(&stores).await;
    let running = "SELECT count(*) FROM jobs WHERE queue = 'notifications' AND state = 'running'";
    until("it runs", async || {
        (count(&stores, running).await == 1).then_some(())
    })
    .await;

    redis.kill().await;
    let before = load.accepted();
    tokio::time::sleep(OUTAGE).await;
    assert!(
        load.accepted() > before + 10,
        "people are accepted without Redis"
    );
    redis.start_again().await;
    load.until_more(10).await;
    obstacle.rollback().await.expect("ends");

    let accepted = load.end().await;
    until_none(&stores, "every job is done", UNFINISHED).await;
    assert_one_mail_each(&stores, &server, &accepted).await;
    assert_eq!(
        count(&stores, "SELECT count(*) FROM jobs WHERE attempt <> 1").await,
        0,
        "each ran once"
    );
    assert_eq!(
        count(&stores, "SELECT count(*) FROM notifications").await,
        1,
        "{long}"
    );
    assert!(worker.stop().await.success());
    assert!(api.stop().await.success());
}

#[tokio::test]
async fn postgresql_crashes_again_and_again_under_load() {
    let (server, smtp) = MailServer::start().await;
    let mut postgres = PostgresServer::start().await;
    let stage = Stage::open()
        .await
        .with("PLINTH_DATABASE_URL", &postgres.url())
        .with("PLINTH_SMTP_URL", &smtp)
        // The lease of a claim whose answer is lost with the connection.
        .with("PLINTH_WORKER_LEASE", "8s");
    let migrated = Process::run("plinth-api", &["migrate"], &stage).await;
    assert!(migrated.status.success(), "{migrated:?}");
    let (api, worker) = (Process::api(&stage).await, Process::worker(&stage).await);
    let stores = stage.stores();
    let load = Load::begin(&Door::of(&api));
    for _ in 0..3 {
        load.until_more(8).await;
        postgres.crash().await;
        postgres.start_again().await;
    }
    load.until_more(8).await;

    let accepted = load.end().await;
    until_none(&stores, "every job is done", UNFINISHED).await;
    assert_one_mail_each(&stores, &server, &accepted).await;
    let half = "SELECT count(*) FROM registrations WHERE NOT EXISTS
        (SELECT FROM jobs WHERE payload ->> 'registration_id' = registrations.id::text)";
    assert_eq!(
        count(&stores, half).await,
        0,
        "a registration is whole or not there"
    );
    assert!(worker.stop().await.success());
    assert!(api.stop().await.success());
}
