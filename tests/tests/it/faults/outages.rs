//! What jobs need is away for long: no job dies of it, and operators see it.

use std::time::{Duration, Instant};

use plinth_core::Stores;
use plinth_domain::job::{JobPayload as _, ScanBlob};
use plinth_testkit::{Mailbox, Process, Stage, Wire, until};
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::mail_server::MailServer;
use super::scanner::{self, Scanner};
use crate::house::{Answer, Door, PASSWORD, Person, count, fresh_email, until_none};
use crate::mails::mail_about;
use crate::picture::jpeg;

/// As if so much time had gone by, as PostgreSQL writes an interval. What runs is awaited first: when its outcome is
/// written, the next try is set by the real time.
async fn later(stores: &Stores, interval: &str) {
    until_none(
        stores,
        "nothing runs",
        "SELECT count(*) FROM jobs WHERE state = 'running'",
    )
    .await;
    for (table, columns) in [
        ("jobs", &["run_at", "created_at", "deadline"][..]),
        ("paused_queues", &["until", "paused_at"]),
        ("registration_tokens", &["expires_at", "created_at"]),
        ("one_time_tokens", &["expires_at", "created_at"]),
        ("email_undos", &["expires_at", "changed_at"]),
    ] {
        let columns: Vec<_> = columns
            .iter()
            .map(|one| format!("{one} = {one} - interval '{interval}'"))
            .collect();
        let sql = format!("UPDATE {table} SET {}", columns.join(", "));
        sqlx::query(AssertSqlSafe(sql))
            .execute(&stores.db)
            .await
            .expect("updates");
    }
}

const PAUSED: &str = "SELECT count(*) FROM paused_queues WHERE queue = 'email' AND until > now()";
const DEAD: &str = "SELECT count(*) FROM jobs WHERE state = 'dead'";
const NOT_DONE: &str = "SELECT count(*) FROM jobs WHERE state <> 'done'";

#[tokio::test]
async fn a_mail_server_that_is_away_for_days_costs_no_mail() {
    let mut stage = Stage::open().await;
    let smtp = stage.wire_smtp().await;
    let api = Process::api(&stage).await;
    let worker = Process::worker_with(&stage, &["--queues", "email"]).await;
    let (door, stores) = (Door::of(&api), stage.stores());
    smtp.tear();
    let emails = [fresh_email(), fresh_email(), fresh_email()];
    for email in &emails {
        door.register(email).await;
    }
    until("operators see it", async || {
        let metrics = worker.metrics().await;
        let seen = |line: &str| metrics.lines().any(|one| one == line);
        (seen("plinth_queue_paused{queue=\"email\"} 1")
            && metrics.lines().any(|line| {
                line.starts_with("plinth_jobs_in_state{")
                    && line.contains("\"retrying\"")
                    && !line.ends_with(" 0")
            }))
        .then_some(())
    })
    .await;
    // Three days and eight hours.
    for _ in 0..20 {
        later(&stores, "4 hours").await;
        until("it was tried again", async || {
            (count(&stores, PAUSED).await == 1).then_some(())
        })
        .await;
    }
    assert_eq!(count(&stores, DEAD).await, 0);
    assert_eq!(
        count(&stores, "SELECT count(*) FROM jobs WHERE attempt > 1").await,
        0,
        "nothing was charged to a mail"
    );
    let tokens = "SELECT count(*) FROM registration_tokens WHERE expires_at < now()";
    assert!(
        count(&stores, tokens).await > 0,
        "links have expired meanwhile"
    );
    smtp.mend();
    later(&stores, "4 hours").await;
    until_none(&stores, "all are sent", NOT_DONE).await;
    assert_eq!(
        count(&stores, "SELECT count(*) FROM paused_queues").await,
        0,
        "the queue goes on"
    );
    for email in &emails {
        let mail = Mailbox::first_to(email).await;
        door.verify(&mail.token()).await;
    }
    assert!(worker.stop().await.success());
}

#[tokio::test]
async fn every_link_that_expires_while_the_mail_server_is_away_is_replaced() {
    let mut stage = Stage::open()
        .await
        .with("PLINTH_AUTH_EMAIL_UNDO_LIFETIME", "24h");
    let smtp = stage.wire_smtp().await;
    let api = Process::api(&stage).await;
    let worker = Process::worker_with(&stage, &["--queues", "email"]).await;
    let (door, stores) = (Door::of(&api), stage.stores());
    let (forgetful, moving, moved) = (
        door.person().await,
        door.person().await,
        door.person().await,
    );
    let (next, left) = (fresh_email(), fresh_email());
    let change = async |person: &Person, email: &str| {
        let change = person
            .request(Method::POST, "/v1/me/email")
            .json(&json!({ "email": email }));
        Answer::of(change).await.expect(StatusCode::ACCEPTED);
    };
    let confirm = async |token: String| {
        let proof = json!({ "token": token, "password": PASSWORD });
        door.post("/v1/auth/email/confirm", &proof)
            .await
            .expect(StatusCode::NO_CONTENT);
    };
    change(&moved, &left).await;
    let token = Mailbox::first_to(&left).await.token();
    smtp.tear();
    let forgot = json!({ "email": forgetful.email });
    door.post("/v1/auth/password/forgot", &forgot)
        .await
        .expect(StatusCode::ACCEPTED);
    change(&moving, &next).await;
    confirm(token).await;
    let minted = "SELECT count(DISTINCT purpose) FROM one_time_tokens";
    until("a link of each kind was made", async || {
        if count(&stores, PAUSED).await == 1 {
            later(&stores, "1 hour").await;
        }
        (count(&stores, minted).await == 3).then_some(())
    })
    .await;
    later(&stores, "25 hours").await;
    let expired = "SELECT count(DISTINCT purpose) FROM one_time_tokens WHERE expires_at < now()";
    assert_eq!(count(&stores, expired).await, 3);
    smtp.mend();
    later(&stores, "4 hours").await;
    until_none(&stores, "all are sent", NOT_DONE).await;

    let mail = mail_about(&forgetful.email, "Choose another password").await;
    let reset = json!({ "token": mail.token(), "password": "quite another battery" });
    door.post("/v1/auth/password/reset", &reset)
        .await
        .expect(StatusCode::OK);
    confirm(Mailbox::first_to(&next).await.token()).await;
    let undo =
        json!({ "token": mail_about(&moved.email, "Your address was changed").await.token() });
    door.post("/v1/auth/email/undo", &undo)
        .await
        .expect(StatusCode::OK);
    assert!(worker.stop().await.success());
}

#[tokio::test]
async fn a_mail_that_is_never_taken_is_a_dead_letter_after_its_time() {
    let mut stage = Stage::open().await.with("PLINTH_SMTP_RETRY_FOR", "2d");
    let smtp = stage.wire_smtp().await;
    let api = Process::api(&stage).await;
    let _worker = Process::worker_with(&stage, &["--queues", "email"]).await;
    let stores = stage.stores();
    smtp.tear();
    Door::of(&api).register(&fresh_email()).await;
    until("the queue is paused", async || {
        (count(&stores, PAUSED).await == 1).then_some(())
    })
    .await;
    later(&stores, "47 hours").await;
    until("it was tried again", async || {
        (count(&stores, PAUSED).await == 1).then_some(())
    })
    .await;
    assert_eq!(count(&stores, DEAD).await, 0);
    later(&stores, "2 hours").await;
    until("it is dead", async || {
        (count(&stores, DEAD).await == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_mail_that_is_not_taken_yet_holds_up_no_other_and_is_charged_nothing() {
    let (server, url) = MailServer::start().await;
    let stage = Stage::open().await.with("PLINTH_SMTP_URL", &url);
    let api = Process::api(&stage).await;
    let _worker = Process::worker_with(&stage, &["--queues", "email"]).await;
    let (door, stores) = (Door::of(&api), stage.stores());
    door.register("ada@busy.example").await;
    until("it is put off", async || {
        (count(
            &stores,
            "SELECT count(*) FROM job_attempts WHERE outcome = 'postponed'",
        )
        .await
            == 1)
            .then_some(())
    })
    .await;
    assert_eq!(
        count(&stores, "SELECT count(*) FROM paused_queues").await,
        0
    );
    // The server has said that it has not got it: its next sending is no repetition.
    assert_eq!(count(&stores, "SELECT count(*) FROM sent_mails").await, 0);
    until_none(&stores, "it is sent", NOT_DONE).await;
    assert_eq!(server.taken_for("ada@busy.example").len(), 1);
}

#[tokio::test]
async fn a_reply_about_the_service_to_one_recipient_does_not_pause_the_queue() {
    let (server, url) = MailServer::start().await;
    let stage = Stage::open().await.with("PLINTH_SMTP_URL", &url);
    let api = Process::api(&stage).await;
    let _worker = Process::worker_with(&stage, &["--queues", "email"]).await;
    let (door, stores) = (Door::of(&api), stage.stores());
    let recipients = ["ada@closing.example", "bob@unready.example"];
    for (email, put_off) in recipients.into_iter().zip(1..) {
        door.register(email).await;
        until("it is put off", async || {
            let query = "SELECT count(*) FROM job_attempts WHERE outcome = 'postponed'";
            (count(&stores, query).await == put_off).then_some(())
        })
        .await;
        assert_eq!(
            count(&stores, "SELECT count(*) FROM paused_queues").await,
            0,
            "{email}"
        );
    }
    until_none(&stores, "both are sent", NOT_DONE).await;
    for email in recipients {
        assert_eq!(server.taken_for(email).len(), 1, "{email}");
    }
    assert_eq!(
        count(&stores, "SELECT count(*) FROM jobs WHERE attempt > 1").await,
        0,
        "charged to no mail"
    );
}

#[tokio::test]
async fn a_mail_server_that_takes_connections_and_says_nothing_pauses_the_queue_and_costs_no_mail()
{
    let (server, url) = MailServer::start().await;
    let stage = Stage::open()
        .await
        .with("PLINTH_SMTP_URL", &url)
        .with("PLINTH_SMTP_TIMEOUT", "1s");
    let api = Process::api(&stage).await;
    let worker = Process::worker_with(&stage, &["--queues", "email"]).await;
    let (door, stores) = (Door::of(&api), stage.stores());
    // A connection is there already when the server falls silent.
    door.register("ada@example.org").await;
    until_none(&stores, "the first is sent", NOT_DONE).await;
    server.fall_silent();
    let asked = Instant::now();
    for email in ["bob@example.org", "cyn@example.org"] {
        door.register(email).await;
    }
    until("the queue is paused", async || {
        (count(&stores, PAUSED).await == 1).then_some(())
    })
    .await;
    // A step of the conversation, the question whether the server answers at all, and room for a slow machine.
    assert!(
        asked.elapsed() < Duration::from_secs(15),
        "{:?}",
        asked.elapsed()
    );
    for _ in 0..3 {
        later(&stores, "4 hours").await;
        until("it was tried again", async || {
            (count(&stores, PAUSED).await == 1).then_some(())
        })
        .await;
    }
    assert_eq!(count(&stores, DEAD).await, 0);
    // No mail was begun, so that no sending later is a repetition.
    let uncertain = "SELECT count(*) FROM sent_mails WHERE accepted_at IS NULL";
    until_none(&stores, "no mail may have gone", uncertain).await;
    server.speak();
    until("all are sent", async || {
        later(&stores, "5 minutes").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        (count(&stores, NOT_DONE).await == 0).then_some(())
    })
    .await;
    for email in ["ada@example.org", "bob@example.org", "cyn@example.org"] {
        assert_eq!(server.taken_for(email).len(), 1, "{email}");
    }
    assert_eq!(
        count(&stores, "SELECT count(*) FROM jobs WHERE attempt > 1").await,
        0,
        "charged to no mail"
    );
    assert!(worker.stop().await.success());
}

#[tokio::test]
async fn an_object_store_that_is_away_makes_no_dead_letters() {
    let mut stage = Stage::open().await;
    let api = Process::api(&stage).await;
    let s3 = stage.wire_s3().await;
    let (door, stores) = (Door::of(&api), stage.stores());
    let worker = Process::worker(&stage).await;
    let person = door.person().await;
    s3.tear();
    let file = person.upload("a.jpg", jpeg(60, 40)).await;
    // More often than a job of this kind may fail.
    for tries in 1..=7 {
        until("it is put off", async || {
            let query = "SELECT count(*) FROM job_attempts WHERE outcome = 'postponed'";
            (count(&stores, query).await >= tries).then_some(())
        })
        .await;
        later(&stores, "4 hours").await;
    }
    assert_eq!(count(&stores, DEAD).await, 0);
    s3.mend();
    later(&stores, "4 hours").await;
    person.until_ready(file).await;
    assert!(worker.stop().await.success());
}

#[tokio::test]
async fn a_scanner_that_is_away_makes_no_dead_letters() {
    let (_scanner, address) = Scanner::start().await;
    let clamd = Wire::to(address).await;
    let stage = Stage::open()
        .await
        .with("PLINTH_CLAMAV_ADDRESS", &clamd.address.to_string());
    let (api, worker) = (Process::api(&stage).await, Process::worker(&stage).await);
    let stores = stage.stores();
    let person = Door::of(&api).person().await;
    clamd.tear();
    let file = person.upload("a.txt", scanner::CLEAN.into()).await;
    let path = format!("/v1/files/{file}");
    for tries in 1..=i64::from(ScanBlob::MAX_ATTEMPTS) + 1 {
        until("it is put off", async || {
            let query = "SELECT count(*) FROM job_attempts WHERE outcome = 'postponed'";
            (count(&stores, query).await >= tries).then_some(())
        })
        .await;
        later(&stores, "1 hour").await;
    }
    assert_eq!(count(&stores, DEAD).await, 0);
    person
        .get(&format!("{path}/content"))
        .await
        .problem(409, "file_not_scanned");
    clamd.mend();
    later(&stores, "1 hour").await;
    until("it is scanned", async || {
        let file = person.get(&path).await.expect(StatusCode::OK);
        (file["scan"]["state"] == "clean").then_some(())
    })
    .await;
    assert!(worker.stop().await.success());
}

#[tokio::test]
async fn figures_go_on_while_redis_is_away() {
    let mut stage = Stage::open().await;
    let redis = stage.wire_redis().await;
    let stores = stage.stores();
    let worker = Process::worker_with(&stage, &["--queues", "email"]).await;
    redis.tear();
    sqlx::query(
        "INSERT INTO jobs (id, queue, kind, payload, payload_version, max_attempts, run_at, created_at)
         SELECT gen_random_uuid(), 'files', 'files.variants', '{}', 1, 3, now(), now() FROM generate_series(1, 5)",
    )
    .execute(&stores.db)
    .await
    .expect("inserts");
    until("they are counted", async || {
        let metrics = worker.metrics().await;
        let counted = |line: &str| {
            line.starts_with("plinth_jobs_due{")
                && line.contains("files.variants")
                && line.ends_with(" 5")
        };
        metrics.lines().any(counted).then_some(())
    })
    .await;
    worker.kill().await;
}
