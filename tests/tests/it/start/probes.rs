//! Probes: a process is unready only if every request would fail, and not live only if a restart
//! would help.

use std::process::Stdio;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use plinth_core::readiness;
use plinth_platform::internal::{self, Readiness};
use plinth_testkit::{PATIENCE, Process, Stage, until};
use reqwest::{Method, StatusCode};

use crate::house::{
    Answer, Door, assert_unready, count, lift_idle_timeout, readiness as report, store_state,
};

const PROGRAMS: [&str; 2] = ["plinth-api", "plinth-worker"];

async fn health(internal_url: &str) -> (StatusCode, String) {
    let answer = reqwest::get(format!("{internal_url}/healthz"))
        .await
        .expect("it answers");
    (answer.status(), answer.text().await.expect("it is text"))
}

#[tokio::test]
async fn a_process_is_ready_without_redis_and_s3_and_names_them() {
    let mut stage = Stage::open().await;
    let (redis, s3) = (stage.wire_redis().await, stage.wire_s3().await);
    let (api, worker) = (Process::api(&stage).await, Process::worker(&stage).await);
    for process in [&api, &worker] {
        for store in ["redis", "s3"] {
            assert_eq!(store_state(&process.internal_url, store).await, "answers");
        }
    }
    redis.tear();
    s3.tear();
    for process in [&api, &worker] {
        for store in ["redis", "s3"] {
            assert_eq!(
                store_state(&process.internal_url, store).await,
                "does not answer"
            );
        }
    }
    // A store that does not answer does not delay the probe either.
    redis.restore();
    redis.hold();
    for process in [&api, &worker] {
        let requested_at = Instant::now();
        assert_eq!(
            store_state(&process.internal_url, "redis").await,
            "does not answer"
        );
        assert!(
            requested_at.elapsed() < Duration::from_secs(3),
            "{:?}",
            requested_at.elapsed()
        );
    }
}

#[tokio::test]
async fn a_process_with_a_fully_used_pool_is_ready() {
    let stage = Stage::open().await;
    let api = Process::api(&stage).await;
    let worker = Process::worker(&stage).await;
    let person = Door::of(&api).person().await;
    let stores = stage.stores();
    let mut obstacle = stores.db.begin().await.expect("begins");
    sqlx::query("LOCK TABLE files IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *obstacle)
        .await
        .expect("locks");
    let lists = join_all((0..20).map(|_| person.get("/v1/files")));
    let probe = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                       AND application_name = 'plinth-api' AND wait_event_type = 'Lock'";
        until("the pool is in full use", async || {
            (count(&stores, waiting).await == 5).then_some(())
        })
        .await;
        for _ in 0..5 {
            assert_eq!(report(&api.internal_url).await.0, StatusCode::OK);
        }
        obstacle.rollback().await.expect("ends");
    };
    let (answers, ()) = tokio::join!(lists, probe);
    for answer in answers {
        answer.expect(StatusCode::OK);
    }
    assert!(worker.stop().await.success());
}

#[tokio::test]
async fn a_process_is_ready_on_a_newer_schema_and_not_on_an_older_one() {
    let stage = Stage::open().await;
    let stores = stage.stores();
    let newest = "SELECT max(version) FROM _sqlx_migrations";
    let newest = count(&stores, newest).await;
    let newer =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (99999, 'of the next release', true, 'x', 0)";
    sqlx::query(newer)
        .execute(&stores.db)
        .await
        .expect("inserts");
    for program in PROGRAMS {
        let process = Process::alive(program, &stage, Stdio::inherit()).await;
        until("the process is ready", async || {
            (report(&process.internal_url).await.0 == StatusCode::OK).then_some(())
        })
        .await;
    }
    let undo = "DELETE FROM _sqlx_migrations WHERE version = $1";
    sqlx::query(undo)
        .bind(newest)
        .execute(&stores.db)
        .await
        .expect("deletes");
    for program in PROGRAMS {
        let process = Process::alive(program, &stage, Stdio::inherit()).await;
        assert_unready(&process.internal_url, "schema").await;
        assert_eq!(
            health(&process.internal_url).await.0,
            StatusCode::OK,
            "a restart does not help"
        );
    }
    sqlx::query("DROP TABLE _sqlx_migrations")
        .execute(&stores.db)
        .await
        .expect("drops");
    let process = Process::alive("plinth-api", &stage, Stdio::inherit()).await;
    assert_unready(&process.internal_url, "schema").await;
}

#[tokio::test]
async fn a_process_with_another_root_key_is_not_ready() {
    let stage = Stage::open().await;
    let api = Process::api(&stage).await;
    // Waits until the first signing key exists.
    until("a signing key exists", async || {
        (count(&stage.stores(), "SELECT count(*) FROM signing_keys").await > 0).then_some(())
    })
    .await;
    let stage = stage.with(
        "PLINTH_SECRET_KEY",
        "dGVzdHMgaGF2ZSBhbm90aGVyIGtleSB0aGF0IGlzIG5vIHNlY3JldA==",
    );
    for program in PROGRAMS {
        let process = Process::alive(program, &stage, Stdio::inherit()).await;
        assert_unready(&process.internal_url, "root_key").await;
    }
    assert!(api.stop().await.success());
}

#[tokio::test]
async fn liveness_fails_while_a_check_requires_a_restart() {
    let (verdict, seen) = tokio::sync::watch::channel(false);
    let readiness = Readiness::default().with_liveness_check("database pool", move || {
        let is_stuck = *seen.borrow();
        async move {
            if is_stuck {
                Err("it gives out nothing")
            } else {
                Ok(())
            }
        }
    });
    let bind = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a free port")
        .local_addr()
        .expect("bound");
    let serving = tokio::spawn(internal::serve(bind, readiness, std::future::pending()));
    let url = format!("http://{bind}");
    let ok = (StatusCode::OK, "ok".to_owned());
    until("it answers", async || {
        reqwest::get(format!("{url}/healthz")).await.ok()
    })
    .await;
    assert_eq!(health(&url).await, ok);
    verdict.send_replace(true);
    let stuck = (StatusCode::SERVICE_UNAVAILABLE, "database pool".to_owned());
    until("it is noticed", async || {
        (health(&url).await == stuck).then_some(())
    })
    .await;
    verdict.send_replace(false);
    until("the process has recovered", async || {
        (health(&url).await == ok).then_some(())
    })
    .await;
    serving.abort();
}

#[tokio::test]
async fn liveness_fails_after_a_minute_without_a_connection_from_the_pool() {
    let mut stage = Stage::open()
        .await
        .with("PLINTH_DATABASE_ACQUIRE_TIMEOUT", "1s");
    let worker = Process::worker(&stage).await;
    // No timeout frees a connection before liveness fails.
    for name in [
        "DATABASE_LOCK_TIMEOUT",
        "DATABASE_STATEMENT_TIMEOUT",
        "API_REQUEST_TIMEOUT",
    ] {
        stage = stage.with(&format!("PLINTH_{name}"), "3m");
    }
    let api = Process::api(&stage).await;
    let person = Door::of(&api).person().await;
    assert!(worker.stop().await.success());
    let stores = stage.stores();
    let mut obstacle = stores.db.begin().await.expect("begins");
    lift_idle_timeout(&mut obstacle).await;
    sqlx::query("LOCK TABLE files IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *obstacle)
        .await
        .expect("locks");
    let reader = person.clone();
    let lists =
        tokio::spawn(async move { join_all((0..8).map(|_| reader.get("/v1/files"))).await });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                   AND application_name = 'plinth-api' AND wait_event_type = 'Lock'";
    until("the pool is in full use", async || {
        (count(&stores, waiting).await == 5).then_some(())
    })
    .await;

    let ok = (StatusCode::OK, "ok".to_owned());
    let stuck = (StatusCode::SERVICE_UNAVAILABLE, "database pool".to_owned());
    let begun = Instant::now();
    person.get("/v1/files").await.problem(503, "unavailable");
    loop {
        let health = health(&api.internal_url).await;
        if health == stuck {
            break;
        }
        assert_eq!(health, ok);
        assert!(begun.elapsed() < 2 * PATIENCE, "it is not noticed");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(
        begun.elapsed() > Duration::from_secs(50),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        report(&api.internal_url).await.0,
        StatusCode::OK,
        "PostgreSQL takes new connections"
    );

    obstacle.rollback().await.expect("ends");
    let answers = lists.await.expect("it does not panic");
    assert_eq!(
        answers
            .iter()
            .filter(|answer| answer.status == StatusCode::OK)
            .count(),
        5
    );
    until("the process has recovered", async || {
        (health(&api.internal_url).await == ok).then_some(())
    })
    .await;
}

#[tokio::test]
async fn liveness_watches_every_pool() {
    let stage = Stage::open()
        .await
        .with("PLINTH_DATABASE_ACQUIRE_TIMEOUT", "300ms");
    let stores = stage.stores();
    let readiness = readiness::watching(Readiness::default(), &stores, Duration::from_millis(100));
    let bind = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a free port")
        .local_addr()
        .expect("bound");
    let serving = tokio::spawn(internal::serve(bind, readiness, std::future::pending()));
    let url = format!("http://{bind}");
    until("it answers", async || {
        reqwest::get(format!("{url}/healthz")).await.ok()
    })
    .await;
    for (name, pool) in stores.pools() {
        let mut held = Vec::new();
        while let Ok(connection) = pool.acquire().await {
            held.push(connection);
        }
        let stuck = (StatusCode::SERVICE_UNAVAILABLE, name.to_owned());
        until("it is noticed", async || {
            (health(&url).await == stuck).then_some(())
        })
        .await;
        drop(held);
        let ok = (StatusCode::OK, "ok".to_owned());
        until("the process has recovered", async || {
            (health(&url).await == ok).then_some(())
        })
        .await;
    }
    serving.abort();
}

#[tokio::test]
async fn an_unread_log_blocks_neither_requests_nor_the_shutdown() {
    let stage = Stage::open().await.with("PLINTH_LOG_LEVEL", "trace");
    let api = Process::alive("plinth-api", &stage, Stdio::piped()).await;
    let dropped = async || {
        let page = api.metrics().await;
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix("plinth_log_lines_dropped_total "));
        line.expect("a sample").parse::<f64>().expect("a number")
    };
    let door = Door::of(&api);
    until("lines are dropped", async || {
        join_all((0..50).map(|_| Answer::of(door.request(Method::GET, "/v1/me")))).await;
        (dropped().await > 100.0).then_some(())
    })
    .await;
    Answer::of(door.request(Method::GET, "/v1/me"))
        .await
        .problem(401, "authentication_required");
    assert_eq!(health(&api.internal_url).await.0, StatusCode::OK);
    assert!(api.stop().await.success());
}
