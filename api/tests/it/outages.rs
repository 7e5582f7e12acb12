//! Outages of a store: requests are slower or refused, never wrongly allowed, and the process
//! recovers by itself.

use std::time::{Duration, Instant};

use plinth_platform::database;
use plinth_testkit::{RedisServer, Stage, Wire, until};
use reqwest::StatusCode;
use serde_json::json;
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;

use crate::house::House;
use crate::refused_writes::warm;

/// Returns the number of session reads that went to PostgreSQL.
fn misses() -> f64 {
    let page = plinth_platform::telemetry::metrics::page();
    let line = page.lines().find_map(|line| {
        line.strip_prefix("plinth_cache_reads_total{cache=\"session\",outcome=\"miss\"} ")
    });
    line.expect("a sample").parse().expect("a number")
}

#[tokio::test]
async fn without_redis_requests_succeed_and_a_logout_applies_at_once() {
    let mut stage = Stage::open().await;
    let wire = stage.wire_redis().await;
    let house = House::on(stage).await;
    let (stays, goes) = (house.person("ada").await, house.person("bob").await);
    stays.get(&house, "/v1/me").await.expect(StatusCode::OK);
    goes.get(&house, "/v1/me").await.expect(StatusCode::OK);
    wire.tear();
    let before = misses();
    stays.get(&house, "/v1/me").await.expect(StatusCode::OK);
    assert!(misses() > before, "a metric counts failed calls to Redis");
    goes.post(&house, "/v1/auth/logout", &json!({}))
        .await
        .expect(StatusCode::NO_CONTENT);
    goes.get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    let late = house.register("eve").await;
    assert_eq!(
        house.count("registrations").await,
        1,
        "{late} is registered"
    );
    // Old copies are still in Redis when it is back, and must not be used.
    wire.restore();
    goes.get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    stays.get(&house, "/v1/me").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn without_redis_the_process_enforces_the_limits() {
    let mut stage = Stage::open()
        .await
        .with("PLINTH_LIMITS_IP_PER_MINUTE", "12");
    let wire = stage.wire_redis().await;
    wire.tear();
    let house = House::on(stage).await;
    for _ in 0..2 {
        house
            .get("/v1/me")
            .await
            .problem(401, "authentication_required");
    }
    house.get("/v1/me").await.problem(429, "rate_limited");
}

#[tokio::test]
async fn without_postgresql_a_write_is_refused_and_succeeds_later() {
    let mut stage = Stage::open()
        .await
        .with("PLINTH_DATABASE_ACQUIRE_TIMEOUT", "300ms");
    let wire = stage.wire_database().await;
    let house = House::on(stage).await;
    let person = house.person("ada").await;
    // The invalidation of the account's cached copy by the verification has expired.
    house.forget_copies().await;
    person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    wire.tear();
    let body = json!({ "email": "late@example.org", "password": crate::house::PASSWORD });
    let refused = house.post("/v1/auth/register", &body).await;
    refused.problem(503, "unavailable");
    assert!(refused.header("retry-after").is_some());
    // Reads from Redis work all the time.
    person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    wire.restore();
    until("the registration is taken", async || {
        (house.post("/v1/auth/register", &body).await.status == StatusCode::ACCEPTED).then_some(())
    })
    .await;
}

#[tokio::test]
async fn cached_copies_are_used_while_requests_hold_every_connection() {
    let stage = Stage::open().await;
    let direct = stage.stores();
    let house = House::on(stage).await;
    let person = house.person("ada").await;
    // The invalidation of the account's cached copy by the verification has expired.
    house.forget_copies().await;
    let believed_at = async |at: OffsetDateTime| {
        let query =
            sqlx::query_scalar("SELECT count(*) FROM cache_trust WHERE believes_until > $1")
                .bind(at);
        let processes: i64 = query.fetch_one(&direct.db).await.expect("counts");
        (processes == 1).then_some(())
    };
    until("copies are believed", async || {
        believed_at(house.stores.clock.now()).await
    })
    .await;
    warm(&house, &person).await;
    person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    let mut held = Vec::new();
    for _ in 0..house.stage.settings().database.max_connections.0 {
        held.push(house.stores.db.acquire().await.expect("is free"));
    }
    // Longer than a trust lease.
    let later = house.stores.clock.now() + Duration::from_secs(6);
    until("the lease was renewed meanwhile", async || {
        believed_at(later).await
    })
    .await;
    let asked = Instant::now();
    person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    assert!(
        asked.elapsed() < house.stage.settings().database.acquire_timeout,
        "{:?}",
        asked.elapsed()
    );
    drop(held);
}

#[tokio::test]
async fn while_postgresql_is_away_requests_are_refused_at_once() {
    let mut stage = Stage::open().await;
    let wire = stage.wire_database().await;
    let house = House::on(stage).await;
    let person = house.person("ada").await;
    // Connections are refused, then accepted and never answered.
    for break_it in [Wire::tear, Wire::hold] {
        break_it(&wire);
        until("the breaker has opened", async || {
            let asked = Instant::now();
            person
                .get(&house, "/v1/files")
                .await
                .problem(503, "unavailable");
            assert!(
                asked.elapsed() < Duration::from_secs(4),
                "{:?}",
                asked.elapsed()
            );
            (asked.elapsed() < Duration::from_millis(50)).then_some(())
        })
        .await;
        let asked = Instant::now();
        for _ in 0..20 {
            let refused = person.get(&house, "/v1/files").await;
            refused.problem(503, "unavailable");
            assert!(refused.header("retry-after").is_some());
        }
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "{:?}",
            asked.elapsed()
        );
        wire.restore();
        until("requests are served", async || {
            (person.get(&house, "/v1/files").await.status == StatusCode::OK).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_fully_used_pool_is_not_an_outage() {
    let house = House::on(
        Stage::open()
            .await
            .with("PLINTH_DATABASE_ACQUIRE_TIMEOUT", "3s"),
    )
    .await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(house.stores.db.acquire().await.expect("is free"));
    }
    let db = &house.stores.db;
    let waiting = async {
        let begun = Instant::now();
        (db.acquire().await, begun.elapsed())
    };
    let freeing = async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        held.pop();
    };
    let ((connection, waited), ()) = tokio::join!(waiting, freeing);
    connection.expect("it waited for the freed connection");
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
}

#[tokio::test]
async fn a_pool_without_connections_is_stuck_if_postgresql_responds() {
    let mut stage = Stage::open()
        .await
        .with("PLINTH_DATABASE_ACQUIRE_TIMEOUT", "300ms");
    let wire = stage.wire_database().await;
    let house = House::on(stage).await;
    let db = &house.stores.db;
    let patience = Duration::from_millis(100);
    assert!(!db.is_stuck(patience).await, "no request has failed yet");
    wire.tear();
    until("it fails", async || db.acquire().await.err()).await;
    tokio::time::sleep(patience).await;
    assert!(
        !db.is_stuck(patience).await,
        "a restart would not help PostgreSQL"
    );
    wire.restore();
    let mut held = Vec::new();
    until("it recovers", async || db.acquire().await.ok()).await;
    for _ in 0..5 {
        held.push(db.acquire().await.expect("is free"));
    }
    db.acquire().await.expect_err("all are in use");
    tokio::time::sleep(patience).await;
    assert!(db.is_stuck(patience).await);
    held.clear();
    until("it recovers", async || db.acquire().await.ok()).await;
    assert!(!db.is_stuck(patience).await);
}

#[tokio::test]
async fn the_sessions_of_every_pool_have_timeouts() {
    let stage = Stage::open()
        .await
        .with("PLINTH_DATABASE_LOCK_TIMEOUT", "4s");
    let stage = stage.with("PLINTH_DATABASE_STATEMENT_TIMEOUT", "7s");
    let settings = stage.settings().database;
    let pools = [database::pool, database::single, database::pool_by_key];
    for pool in pools.map(|pool| pool(&settings, "test").expect("the settings are valid")) {
        for (setting, expected) in [
            ("tcp_keepalives_idle", "15"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
            // In milliseconds.
            ("tcp_user_timeout", "20000"),
            ("client_connection_check_interval", "2s"),
            ("idle_in_transaction_session_timeout", "20s"),
            ("lock_timeout", "4s"),
            ("statement_timeout", "7s"),
        ] {
            let show = sqlx::query_scalar(AssertSqlSafe(format!("SHOW {setting}")));
            let shown: String = show.fetch_one(&pool).await.expect("answers");
            assert_eq!(shown, expected, "{setting}");
        }
    }
}

#[tokio::test]
async fn a_frozen_redis_costs_one_request_its_timeout() {
    let redis = RedisServer::start().await;
    let house = House::on(Stage::open().await.with("PLINTH_REDIS_URL", &redis.url())).await;
    let person = house.person("ada").await;
    person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    redis.freeze();
    person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    let begun = Instant::now();
    for _ in 0..30 {
        let asked = Instant::now();
        person.get(&house, "/v1/me").await.expect(StatusCode::OK);
        assert!(
            asked.elapsed() < Duration::from_millis(700),
            "{:?}",
            asked.elapsed()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        begun.elapsed() > Duration::from_millis(1_500),
        "several probes failed meanwhile"
    );
    redis.thaw();
    until("Redis is used again", async || {
        house.stores.redis.ping().await.ok()
    })
    .await;
}

#[tokio::test]
async fn a_request_that_misses_its_deadline_gets_503() {
    let house = House::on(
        Stage::open()
            .await
            .with("PLINTH_API_REQUEST_TIMEOUT", "500ms"),
    )
    .await;
    let person = house.person("ada").await;
    let mut obstacle = house.stores.db.begin().await.expect("begins");
    sqlx::query("LOCK TABLE files IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *obstacle)
        .await
        .expect("locks");
    let refused = person.get(&house, "/v1/files").await;
    refused.problem(503, "deadline_exceeded");
    assert_eq!(refused.header("retry-after"), Some("1"));
    obstacle.rollback().await.expect("ends");
    person.get(&house, "/v1/files").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn logins_over_the_hashing_capacity_are_asked_to_retry() {
    let stage = Stage::open()
        .await
        .with("PLINTH_AUTH_HASH_THREADS", "1")
        .with("PLINTH_AUTH_HASH_QUEUE", "1");
    let house = House::on(stage).await;
    // Logins of one account would be slowed down as guesses; the hashes of these cost the same.
    let emails: Vec<_> = (0..30)
        .map(|number| format!("nobody-{number}@example.org"))
        .collect();
    let person = house.person("ada").await;
    let logins = emails
        .iter()
        .map(|email| house.log_in(email, crate::house::PASSWORD));
    let others = (0..30).map(|_| person.get(&house, "/v1/me"));
    let (answers, others) = tokio::join!(
        futures_util::future::join_all(logins),
        futures_util::future::join_all(others)
    );
    assert!(
        others.iter().all(|answer| answer.status == StatusCode::OK),
        "other requests are not affected"
    );
    let (done, busy): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.status == StatusCode::UNAUTHORIZED);
    assert!(
        !done.is_empty() && !busy.is_empty(),
        "{} done, {} busy",
        done.len(),
        busy.len()
    );
    for answer in busy {
        answer.problem(503, "busy");
        assert!(answer.header("retry-after").is_some());
    }
}

#[tokio::test]
async fn no_copy_is_used_before_a_long_list_of_invalidations_is_processed() {
    let mut house = House::open().await;
    let person = house.person("ada").await;
    house.forget_copies().await;
    until("the session's copy is there and believed", async || {
        person.get(&house, "/v1/me").await.expect(StatusCode::OK);
        let key = house
            .stores
            .redis
            .key(&format!("session:{}", person.session_id));
        let held: Option<String> = redis::cmd("GET")
            .arg(key)
            .query_async(&mut house.redis().await)
            .await
            .expect("reads");
        held.filter(|text| text.starts_with('{'))
    })
    .await;
    // The state after a writer that could not reach Redis, with more invalidations than one batch.
    let revoke = "UPDATE sessions SET revoked_at = now() WHERE id = $1";
    sqlx::query(revoke)
        .bind(person.session_id)
        .execute(&house.stores.db)
        .await
        .expect("revokes");
    let session = house
        .stores
        .redis
        .key(&format!("session:{}", person.session_id));
    let note = "INSERT INTO stale_copies (key, changed_at)
                SELECT key, now() FROM (SELECT 'other:' || n AS key FROM generate_series(1, 2500) n) others
                UNION ALL SELECT $1, now()";
    sqlx::query(note)
        .bind(session)
        .execute(&house.stores.db)
        .await
        .expect("notes");
    house.restart().await;
    until("every invalidation is processed", async || {
        person
            .get(&house, "/v1/me")
            .await
            .problem(401, "session_ended");
        (house.count("stale_copies").await == 0).then_some(())
    })
    .await;
    person
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
}

#[tokio::test]
async fn invalidations_that_cannot_be_processed_block_no_others() {
    let house = House::open().await;
    let person = house.person("ada").await;
    for statement in [
        "CREATE FUNCTION refuse_poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF OLD.key = '0 poison' THEN RAISE EXCEPTION 'poison'; END IF; RETURN OLD; END $$",
        "CREATE TRIGGER poison BEFORE DELETE ON stale_copies FOR EACH ROW EXECUTE FUNCTION refuse_poison()",
        "INSERT INTO stale_copies (key, changed_at)
         SELECT key, now() FROM unnest(ARRAY['0 poison', '1 other', '2 other']) AS key",
    ] {
        sqlx::query(statement)
            .execute(&house.stores.db)
            .await
            .expect("executes");
    }
    until("the others are settled", async || {
        (house.count("stale_copies").await == 1).then_some(())
    })
    .await;
    // Redis processed its key: trust is renewed beyond the previous lease.
    tokio::time::sleep(Duration::from_secs(6)).await;
    house.forget_copies().await;
    warm(&house, &person).await;

    // A key that Redis cannot delete, because it is not a string.
    let list = house.stores.redis.key("0 list");
    let push = redis::cmd("RPUSH").arg(&list).arg("x").to_owned();
    let _: u64 = push
        .query_async(&mut house.redis().await)
        .await
        .expect("is written");
    let revoke = "UPDATE sessions SET revoked_at = now() WHERE id = $1";
    sqlx::query(revoke)
        .bind(person.session_id)
        .execute(&house.stores.db)
        .await
        .expect("revokes");
    let note = "INSERT INTO stale_copies (key, changed_at) SELECT $1, now() UNION ALL SELECT 'zz other', now()";
    sqlx::query(note)
        .bind(&list)
        .execute(&house.stores.db)
        .await
        .expect("notes");
    until("the other one is settled", async || {
        (house.count("stale_copies").await == 2).then_some(())
    })
    .await;
    // No renewal succeeds, and the copy of the session is not used.
    person
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
}

#[tokio::test]
async fn a_task_with_an_open_transaction_cannot_take_a_second_connection() {
    let house = House::open().await;
    let db = house.stores.db.clone();
    let nested = tokio::spawn(async move {
        let _open = db.begin().await.expect("begins");
        db.acquire().await.map(drop)
    });
    assert!(nested.await.is_err_and(|error| error.is_panic()));
    let db = house.stores.db.clone();
    let one_after_the_other = tokio::spawn(async move {
        db.begin()
            .await
            .expect("begins")
            .commit()
            .await
            .expect("commits");
        drop(db.begin().await.expect("begins"));
        db.acquire().await.map(drop)
    });
    one_after_the_other
        .await
        .expect("no panic")
        .expect("a connection");
}
