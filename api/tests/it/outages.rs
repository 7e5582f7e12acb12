//! A store is away: slower or refused, never open, and well again by itself.

use std::time::{Duration, Instant};

use plinth_platform::database;
use plinth_testkit::{RedisServer, Stage, Wire, until};
use reqwest::StatusCode;
use serde_json::json;
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;

use crate::house::House;
use crate::refused_writes::warm;

/// Sessions that this process had to ask PostgreSQL for.
fn misses() -> f64 {
    let page = plinth_platform::telemetry::metrics::page();
    let line = page.lines().find_map(|line| {
        line.strip_prefix("plinth_cache_reads_total{cache=\"session\",outcome=\"miss\"} ")
    });
    line.expect("a sample").parse().expect("a number")
}

#[tokio::test]
async fn without_redis_requests_go_on_and_a_logout_still_acts_at_once() {
    let mut stage = Stage::open().await;
    let wire = stage.wire_redis().await;
    let house = House::on(stage).await;
    let (stays, goes) = (house.person("ada").await, house.person("bob").await);
    stays.get(&house, "/v1/me").await.expect(StatusCode::OK);
    goes.get(&house, "/v1/me").await.expect(StatusCode::OK);
    wire.tear();
    let before = misses();
    stays.get(&house, "/v1/me").await.expect(StatusCode::OK);
    assert!(
        misses() > before,
        "a metric counts what Redis does not answer"
    );
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
    // The copies from before are still in Redis when it is back, and must not be believed.
    wire.mend();
    goes.get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    stays.get(&house, "/v1/me").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn without_redis_the_limits_are_kept_by_the_process() {
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
async fn without_postgresql_a_write_is_refused_and_then_taken() {
    let mut stage = Stage::open()
        .await
        .with("PLINTH_DATABASE_ACQUIRE_TIMEOUT", "300ms");
    let wire = stage.wire_database().await;
    let house = House::on(stage).await;
    let person = house.person("ada").await;
    // The doubt that the verification raised about the account's copy has faded.
    house.forget_copies().await;
    person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    wire.tear();
    let body = json!({ "email": "late@example.org", "password": crate::house::PASSWORD });
    let refused = house.post("/v1/auth/register", &body).await;
    refused.problem(503, "unavailable");
    assert!(refused.header("retry-after").is_some());
    // What Redis knows is answered all the while.
    person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    wire.mend();
    until("the registration is taken", async || {
        (house.post("/v1/auth/register", &body).await.status == StatusCode::ACCEPTED).then_some(())
    })
    .await;
}

#[tokio::test]
async fn copies_are_believed_though_requests_hold_every_connection() {
    let stage = Stage::open().await;
    let direct = stage.stores();
    let house = House::on(stage).await;
    let person = house.person("ada").await;
    // The doubt that the verification raised about the account's copy has faded.
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
    // More than a lease of trust lasts.
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
    // Connections are refused, then taken and never answered.
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
        wire.mend();
        until("requests are served", async || {
            (person.get(&house, "/v1/files").await.status == StatusCode::OK).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_pool_in_full_use_is_not_taken_for_an_outage() {
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
    connection.expect("it waited for the one that was freed");
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
}

#[tokio::test]
async fn a_pool_that_gives_out_nothing_though_postgresql_answers_is_stuck() {
    let mut stage = Stage::open()
        .await
        .with("PLINTH_DATABASE_ACQUIRE_TIMEOUT", "300ms");
    let wire = stage.wire_database().await;
    let house = House::on(stage).await;
    let db = &house.stores.db;
    let patience = Duration::from_millis(100);
    assert!(!db.is_stuck(patience).await, "it was never asked in vain");
    wire.tear();
    until("it fails", async || db.acquire().await.err()).await;
    tokio::time::sleep(patience).await;
    assert!(
        !db.is_stuck(patience).await,
        "a restart does not bring PostgreSQL back"
    );
    wire.mend();
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
async fn the_sessions_of_every_pool_have_their_timeouts() {
    let stage = Stage::open()
        .await
        .with("PLINTH_DATABASE_LOCK_TIMEOUT", "4s");
    let stage = stage.with("PLINTH_DATABASE_STATEMENT_TIMEOUT", "7s");
    let settings = stage.settings().database;
    let pools = [database::pool, database::single, database::pool_by_key];
    for pool in pools.map(|pool| pool(&settings, "test").expect("the settings are good")) {
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
async fn a_frozen_redis_costs_one_request_its_timeout_and_not_each() {
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
        "several probes have failed meanwhile"
    );
    redis.thaw();
    until("Redis is used again", async || {
        house.stores.redis.ping().await.ok()
    })
    .await;
}

#[tokio::test]
async fn a_request_that_the_service_cannot_answer_in_time_gets_503() {
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
async fn more_logins_than_can_be_hashed_are_told_to_come_again() {
    let stage = Stage::open()
        .await
        .with("PLINTH_AUTH_HASH_THREADS", "1")
        .with("PLINTH_AUTH_HASH_QUEUE", "1");
    let house = House::on(stage).await;
    // One account's logins would be slowed down as guesses; the hashes of these cost the same.
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
        "the rest does not notice"
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
async fn no_copy_is_believed_before_every_note_of_a_long_list_is_told() {
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
    // As a writer leaves it that could not reach Redis, behind more notes than are read at once.
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
    until("every note is told", async || {
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
async fn notes_that_cannot_be_settled_keep_no_others() {
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
    // Redis was told of its key: trust is renewed beyond the lease of before.
    tokio::time::sleep(Duration::from_secs(6)).await;
    house.forget_copies().await;
    warm(&house, &person).await;

    // A key that Redis does not forget: what is not a text is no copy.
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
    // No renewal comes through, and the copy of the session is not believed.
    person
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
}

#[tokio::test]
async fn a_task_with_an_open_transaction_takes_no_second_connection() {
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
