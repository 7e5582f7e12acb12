//! Changes whose session ends after the request was admitted, or lacks a second factor that the
//! account has by now. They must not happen.

use std::collections::BTreeMap;

use plinth_testkit::{Stage, until};
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::house::{Answer, House, PASSWORD, Person};
use crate::operations::{Operation, operations, present_document};
use crate::requests::{
    DOMAIN, MULTI_FACTOR, ORIGIN, PreparedRequest, app_of, prepare, set_methods,
};

const ONE_FACTOR: &[&str] = &["pwd"];

/// Returns the operations that require a step-up.
fn operations_with_step_up() -> Vec<Operation> {
    operations(&present_document())
        .into_iter()
        .filter(Operation::needs_step_up)
        .collect()
}

/// Returns the operations that add or remove second factors of the caller.
fn changes_of_factors() -> Vec<Operation> {
    let of_factors = ["/v1/me/mfa", "/v1/me/passkeys"];
    let is_change = |operation: &Operation| {
        of_factors
            .iter()
            .any(|prefix| operation.path.starts_with(prefix))
            && !matches!(operation.method, Method::GET | Method::PATCH)
    };
    operations(&present_document())
        .into_iter()
        .filter(is_change)
        .collect()
}

/// Returns a digest of each table, except those that the process writes without a request.
async fn contents(connection: &mut PgConnection) -> BTreeMap<String, String> {
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'cache_trust'";
    let tables: Vec<String> = sqlx::query_scalar(tables)
        .fetch_all(&mut *connection)
        .await
        .expect("lists");
    let mut contents = BTreeMap::new();
    for table in tables {
        let digest = format!(
            "SELECT md5(coalesce(string_agg(one::text, ',' ORDER BY one::text), '')) FROM \"{table}\" AS one"
        );
        let digest = sqlx::query_scalar(AssertSqlSafe(digest))
            .fetch_one(&mut *connection)
            .await;
        contents.insert(table, digest.expect("reads"));
    }
    contents
}

/// Sends the request, and ends its session while the change waits for the caller's account.
async fn send_as_the_session_ends(
    house: &House,
    request: &PreparedRequest,
    caller: &Person,
) -> Answer {
    let mut obstacle = house.stores.db.begin().await.expect("begins");
    let lock = sqlx::query("SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE").bind(caller.id.0);
    lock.execute(&mut *obstacle).await.expect("locks");
    let end = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        until("the change waits for the account", async || {
            let waits: i64 = sqlx::query_scalar(waiting)
                .fetch_one(&house.stores.db)
                .await
                .expect("counts");
            (waits == 1).then_some(())
        })
        .await;
        let end = sqlx::query("UPDATE sessions SET revoked_at = now() WHERE id = $1")
            .bind(caller.session_id);
        end.execute(&mut *obstacle).await.expect("ends the session");
        let before = contents(&mut obstacle).await;
        obstacle.commit().await.expect("commits");
        before
    };
    let (answer, before) = tokio::join!(request.send(house, caller), end);
    let mut connection = house.stores.db.acquire().await.expect("connects");
    assert_eq!(contents(&mut connection).await, before, "no table changes");
    answer
}

async fn open() -> House {
    let stage = Stage::open()
        .await
        .with("PLINTH_AUTH_PASSKEY_DOMAIN", DOMAIN);
    House::on(stage.with("PLINTH_AUTH_PASSKEY_ORIGINS", ORIGIN)).await
}

#[tokio::test]
async fn no_second_factor_is_changed_in_a_session_without_one() {
    let house = open().await;
    let operations = changes_of_factors();
    assert!(operations.len() >= 7, "{}", operations.len());
    for operation in operations {
        eprintln!("{}", operation.name());
        let caller = house.administrator().await;
        let request = prepare(&house, &operation, &caller).await;
        // The account got a factor after this session was opened.
        app_of(&house, &caller).await;
        set_methods(&house, &caller, ONE_FACTOR).await;
        request
            .send(&house, &caller)
            .await
            .problem(403, "second_factor_required");
        set_methods(&house, &caller, MULTI_FACTOR).await;
        let answer = request.send(&house, &caller).await;
        assert!(
            answer.status.is_success(),
            "{}: {answer:?}",
            operation.name()
        );
    }
}

#[tokio::test]
async fn no_step_up_operation_completes_in_a_session_that_ends_meanwhile() {
    let house = open().await;
    // A second administrator, so that the caller is not the last one.
    house.administrator().await;
    let operations = operations_with_step_up();
    assert!(operations.len() >= 25, "{}", operations.len());
    for operation in operations {
        eprintln!("{}", operation.name());
        let caller = house.administrator().await;
        let later = house.elsewhere(&caller).await;
        let request = prepare(&house, &operation, &caller).await;
        send_as_the_session_ends(&house, &request, &caller)
            .await
            .problem(401, "session_ended");
        // The same request with a live session, to show that the session was the reason.
        house.stores.clock.advance(time::Duration::seconds(30));
        let request = prepare(&house, &operation, &later).await;
        let answer = request.send(&house, &later).await;
        assert!(
            answer.status.is_success(),
            "{}: {answer:?}",
            operation.name()
        );
    }
}

#[tokio::test]
async fn a_password_that_changed_after_it_was_checked_authorizes_nothing() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let mut obstacle = house.stores.db.begin().await.expect("begins");
    let lock = sqlx::query("SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE").bind(person.id.0);
    lock.execute(&mut *obstacle).await.expect("locks");
    let replace = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        until("the change waits for the account", async || {
            let waits: i64 = sqlx::query_scalar(waiting)
                .fetch_one(&house.stores.db)
                .await
                .expect("counts");
            (waits == 1).then_some(())
        })
        .await;
        let replace = sqlx::query("UPDATE users SET password_changed_at = now() WHERE id = $1");
        replace
            .bind(person.id.0)
            .execute(&mut *obstacle)
            .await
            .expect("updates");
        obstacle.commit().await.expect("commits");
    };
    let body = json!({ "current_password": PASSWORD, "new_password": "quite another battery" });
    let (changed, ()) = tokio::join!(person.put(&house, "/v1/me/password", &body), replace);
    changed.problem(409, "account_changed");
    assert!(house.notices(person.id).await.is_empty());
    house
        .log_in(&person.email, PASSWORD)
        .await
        .expect(StatusCode::OK);
}
