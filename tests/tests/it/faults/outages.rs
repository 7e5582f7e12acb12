//! Long outages of stores and servers that jobs need: no job becomes dead, and operators see the
//! outage.

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

/// Shifts all times back by a PostgreSQL interval, as if that time had passed. Waits for running
/// jobs first, because their outcomes set the next attempt by the real time.
async fn shift_times_back(stores: &Stores, interval: &str) {
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
async fn an_outage_of_the_mail_server_for_days_loses_no_mail() {
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
    until("the metric shows it", async || {
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
    // Three days and eight hours in all.
    for _ in 0..20 {
        shift_times_back(&stores, "4 hours").await;
        until("the job was retried", async || {
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
        "links have expired during the outage"
    );
    smtp.restore();
    shift_times_back(&stores, "4 hours").await;
    until_none(&stores, "all mails are sent", NOT_DONE).await;
    assert_eq!(
        count(&stores, "SELECT count(*) FROM paused_queues").await,
        0,
        "the queue continues"
    );
    for email in &emails {
        let mail = Mailbox::first_to(email).await;
        door.verify(&mail.token()).await;
    }
    assert!(worker.stop().await.success());
}

#[tokio::test]
async fn every_link_that_expires_during_an_outage_of_the_mail_server_is_replaced() {
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
    until("a link of each kind exists", async || {
        if count(&stores, PAUSED).await == 1 {
            shift_times_back(&stores, "1 hour").await;
        }
        (count(&stores, minted).await == 3).then_some(())
    })
    .await;
    shift_times_back(&stores, "25 hours").await;
    let expired = "SELECT count(DISTINCT purpose) FROM one_time_tokens WHERE expires_at < now()";
    assert_eq!(count(&stores, expired).await, 3);
    smtp.restore();
    shift_times_back(&stores, "4 hours").await;
    until_none(&stores, "all mails are sent", NOT_DONE).await;

    let mail = mail_about(&forgetful.email, "Choose a new password").await;
    let reset = json!({ "token": mail.token(), "password": "quite another battery" });
    door.post("/v1/auth/password/reset", &reset)
        .await
        .expect(StatusCode::OK);
    confirm(Mailbox::first_to(&next).await.token()).await;
    let undo = json!({ "token": mail_about(&moved.email, "Your email address was changed").await.token() });
    door.post("/v1/auth/email/undo", &undo)
        .await
        .expect(StatusCode::OK);
    assert!(worker.stop().await.success());
}

#[tokio::test]
async fn a_mail_that_is_never_accepted_is_a_dead_letter_after_its_deadline() {
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
    shift_times_back(&stores, "47 hours").await;
    until("the job was retried", async || {
        (count(&stores, PAUSED).await == 1).then_some(())
    })
    .await;
    assert_eq!(count(&stores, DEAD).await, 0);
    shift_times_back(&stores, "2 hours").await;
    until("it is dead", async || {
        (count(&stores, DEAD).await == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_mail_that_is_not_accepted_yet_delays_no_other_and_costs_no_attempt() {
    let (server, url) = MailServer::start().await;
    let stage = Stage::open().await.with("PLINTH_SMTP_URL", &url);
    let api = Process::api(&stage).await;
    let _worker = Process::worker_with(&stage, &["--queues", "email"]).await;
    let (door, stores) = (Door::of(&api), stage.stores());
    door.register("ada@busy.example").await;
    until("the job is postponed", async || {
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
    // The server said that it does not have the mail, so the next attempt is no repetition.
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
        until("the job is postponed", async || {
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
async fn a_mail_server_that_accepts_connections_and_does_not_answer_pauses_the_queue_and_loses_no_mail()
 {
    let (server, url) = MailServer::start().await;
    let stage = Stage::open()
        .await
        .with("PLINTH_SMTP_URL", &url)
        .with("PLINTH_SMTP_TIMEOUT", "1s");
    let api = Process::api(&stage).await;
    let worker = Process::worker_with(&stage, &["--queues", "email"]).await;
    let (door, stores) = (Door::of(&api), stage.stores());
    // A connection exists when the server stops answering.
    door.register("ada@example.org").await;
    until_none(&stores, "the first is sent", NOT_DONE).await;
    server.stop_replying();
    let started_at = Instant::now();
    for email in ["bob@example.org", "cyn@example.org"] {
        door.register(email).await;
    }
    until("the queue is paused", async || {
        (count(&stores, PAUSED).await == 1).then_some(())
    })
    .await;
    // The timeout of a command, the check whether the server answers, and some time for a slow
    // machine.
    assert!(
        started_at.elapsed() < Duration::from_secs(15),
        "{:?}",
        started_at.elapsed()
    );
    for _ in 0..3 {
        shift_times_back(&stores, "4 hours").await;
        until("the job was retried", async || {
            (count(&stores, PAUSED).await == 1).then_some(())
        })
        .await;
    }
    assert_eq!(count(&stores, DEAD).await, 0);
    // No conversation about a mail has begun, so no later attempt is a repetition.
    let uncertain = "SELECT count(*) FROM sent_mails WHERE accepted_at IS NULL";
    until_none(&stores, "no mail may have gone", uncertain).await;
    server.resume_replying();
    until("all mails are sent", async || {
        shift_times_back(&stores, "5 minutes").await;
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
async fn an_outage_of_the_object_store_makes_no_dead_letters() {
    let mut stage = Stage::open().await;
    let api = Process::api(&stage).await;
    let s3 = stage.wire_s3().await;
    let (door, stores) = (Door::of(&api), stage.stores());
    let worker = Process::worker(&stage).await;
    let person = door.person().await;
    s3.tear();
    let file = person.upload("a.jpg", jpeg(60, 40)).await;
    // More attempts than a job of this kind has.
    for tries in 1..=7 {
        until("the job is postponed", async || {
            let query = "SELECT count(*) FROM job_attempts WHERE outcome = 'postponed'";
            (count(&stores, query).await >= tries).then_some(())
        })
        .await;
        shift_times_back(&stores, "4 hours").await;
    }
    assert_eq!(count(&stores, DEAD).await, 0);
    s3.restore();
    shift_times_back(&stores, "4 hours").await;
    person.until_ready(file).await;
    assert!(worker.stop().await.success());
}

#[tokio::test]
async fn an_outage_of_the_scanner_makes_no_dead_letters() {
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
        until("the job is postponed", async || {
            let query = "SELECT count(*) FROM job_attempts WHERE outcome = 'postponed'";
            (count(&stores, query).await >= tries).then_some(())
        })
        .await;
        shift_times_back(&stores, "1 hour").await;
    }
    assert_eq!(count(&stores, DEAD).await, 0);
    person
        .get(&format!("{path}/content"))
        .await
        .problem(409, "file_not_scanned");
    clamd.restore();
    shift_times_back(&stores, "1 hour").await;
    until("the file is scanned", async || {
        let file = person.get(&path).await.expect(StatusCode::OK);
        (file["scan"]["state"] == "clean").then_some(())
    })
    .await;
    assert!(worker.stop().await.success());
}

#[tokio::test]
async fn queue_gauges_are_updated_during_an_outage_of_redis() {
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
    until("the jobs are counted", async || {
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
