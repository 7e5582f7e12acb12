//! A store that falls silent: it refuses nothing, answers nothing and closes no connection. New
//! connections work.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use plinth_platform::database::{Connection, PgPool, named};
use plinth_testkit::{Stage, until};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::house::House;

/// The size of a stage's pool.
const POOL_SIZE: usize = 5;

/// Takes every connection of the pool.
async fn all_connections(db: &PgPool) -> Vec<Connection> {
    join_all((0..POOL_SIZE).map(|_| db.acquire()))
        .await
        .into_iter()
        .map(|slot| slot.expect("is free"))
        .collect()
}

#[tokio::test]
async fn every_connection_of_the_pool_recovers_after_postgresql_was_silent_twice() {
    let mut stage = Stage::open()
        .await
        .with("PLINTH_DATABASE_STATEMENT_TIMEOUT", "2s");
    let direct = stage.stores();
    let wire = stage.wire_database().await;
    let house = House::on(stage).await;
    let db = &house.stores.db;
    let person = house.person("ada").await;
    for _ in 0..2 {
        // One connection in each state: a running statement, a transaction to commit, an abandoned
        // transaction, a returned connection, and an idle one.
        drop(all_connections(db).await);
        let commits = db.begin().await.expect("begins");
        let given_up = db.begin().await.expect("begins");
        let returned = db.acquire().await.expect("is free");
        let sleeping = db.clone();
        let in_flight = tokio::spawn(async move {
            named(
                "test.sleep",
                sqlx::query("SELECT pg_sleep(1.5)").execute(&sleeping),
            )
            .await
        });
        until("the statement runs", async || {
            let active = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(1.5)' AND state = 'active'
                          AND datname = current_database()";
            let count: i64 = sqlx::query_scalar(active).fetch_one(&direct.db).await.expect("counts");
            (count == 1).then_some(())
        })
        .await;

        wire.silence();
        let silent = Instant::now();
        drop((given_up, returned));
        let (committed, slept) = tokio::join!(commits.commit(), in_flight);
        committed.expect_err("the server is silent");
        slept.expect("no panic").expect_err("the server is silent");
        assert!(
            silent.elapsed() < Duration::from_secs(8),
            "{:?}",
            silent.elapsed()
        );

        let mut slots = until("every slot is free", async || {
            let slots = join_all((0..POOL_SIZE).map(|_| db.acquire())).await;
            slots.into_iter().collect::<Result<Vec<_>, _>>().ok()
        })
        .await;
        for slot in &mut slots {
            sqlx::query("SELECT 1")
                .execute(&mut **slot)
                .await
                .expect("answers");
        }
        drop(slots);
        person.get(&house, "/v1/files").await.expect(StatusCode::OK);
    }
}

#[tokio::test]
async fn running_requests_are_refused_in_time_when_postgresql_falls_silent() {
    let mut stage = Stage::open()
        .await
        .with("PLINTH_DATABASE_STATEMENT_TIMEOUT", "1s");
    let direct = stage.stores();
    let wire = stage.wire_database().await;
    let house = House::on(stage).await;
    let person = house.person("ada").await;
    let mut obstacle = direct.db.begin().await.expect("begins");
    sqlx::query("LOCK TABLE files IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *obstacle)
        .await
        .expect("locks");
    let requests = (0..POOL_SIZE).map(|_| person.get(&house, "/v1/files"));
    let falls_silent = async {
        until("they are in flight", async || {
            let waiting = "SELECT count(*) FROM pg_stat_activity
                           WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let count: i64 = sqlx::query_scalar(waiting)
                .fetch_one(&direct.db)
                .await
                .expect("counts");
            (count > 0).then_some(())
        })
        .await;
        wire.silence();
    };
    let (answers, ()) = tokio::join!(join_all(requests), falls_silent);
    assert!(
        answers
            .iter()
            .any(|answer| answer.status == StatusCode::SERVICE_UNAVAILABLE)
    );
    obstacle.rollback().await.expect("ends");
    until("requests are served", async || {
        (person.get(&house, "/v1/files").await.status == StatusCode::OK).then_some(())
    })
    .await;
    assert_eq!(all_connections(&house.stores.db).await.len(), POOL_SIZE);
}

#[tokio::test]
async fn locks_of_a_disconnected_client_are_released_in_time() {
    let mut stage = Stage::open()
        .await
        .with("PLINTH_DATABASE_LOCK_TIMEOUT", "500ms");
    let direct = stage.stores();
    let wire = stage.wire_database().await;
    let house = House::on(stage).await;
    let person = house.person("ada").await;
    let mut orphan = house.stores.db.begin().await.expect("begins");
    let lock = "SELECT FROM users WHERE id = $1 FOR UPDATE";
    sqlx::query(lock)
        .bind(person.id.0)
        .execute(&mut *orphan)
        .await
        .expect("locks");
    // The server does not learn that its client is gone.
    wire.silence();
    drop(orphan);
    let rename = async || {
        person
            .send(
                &house,
                Method::PATCH,
                "/v1/me",
                &json!({ "display_name": "Ada" }),
            )
            .await
    };
    let refused = rename().await;
    refused.problem(503, "busy");
    assert!(refused.header("retry-after").is_some());
    let held = Instant::now();
    until("the lock is released", async || {
        (rename().await.status == StatusCode::OK).then_some(())
    })
    .await;
    assert!(
        held.elapsed() < Duration::from_secs(40),
        "{:?}",
        held.elapsed()
    );
    drop(direct);
}

#[tokio::test]
async fn a_silent_redis_connection_is_replaced() {
    let mut stage = Stage::open().await;
    let wire = stage.wire_redis().await;
    let house = House::on(stage).await;
    let person = house.person("ada").await;
    for _ in 0..2 {
        person.get(&house, "/v1/me").await.expect(StatusCode::OK);
        wire.silence();
        person.get(&house, "/v1/me").await.expect(StatusCode::OK);
        until("Redis answers", async || {
            house.stores.redis.ping().await.ok()
        })
        .await;
    }
}

#[tokio::test]
async fn an_upload_ends_in_time_when_s3_falls_silent_and_the_next_one_succeeds() {
    let mut stage = Stage::open().await.with("PLINTH_S3_TIMEOUT", "1s");
    let wire = stage.wire_s3().await;
    let house = House::on(stage).await;
    let person = house.person("ada").await;
    person.upload(&house, "a.txt", b"some bytes".to_vec()).await;
    for name in ["b.txt", "c.txt"] {
        wire.silence();
        let silent = Instant::now();
        let answer = person
            .try_upload(&house, name, b"other bytes".to_vec())
            .await;
        assert!(
            [StatusCode::CREATED, StatusCode::SERVICE_UNAVAILABLE].contains(&answer.status),
            "{answer:?}"
        );
        assert!(
            silent.elapsed() < Duration::from_secs(15),
            "{:?}",
            silent.elapsed()
        );
        until("uploads are taken", async || {
            let answer = person
                .try_upload(&house, name, b"third bytes".to_vec())
                .await;
            (answer.status == StatusCode::CREATED).then_some(())
        })
        .await;
    }
}
