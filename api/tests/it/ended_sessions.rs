//! Sessions in which a change does not happen although its request was admitted: they end before it is made, or have not
//! proved the second factor that the account has by now.

use std::collections::BTreeMap;

use plinth_api::http::document;
use plinth_testkit::{Stage, until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::authenticator::Authenticator;
use crate::house::{Answer, House, PASSWORD, Person, text};
use crate::second_factors::App;

const ORIGIN: &str = "http://localhost:8080";
const DOMAIN: &str = "localhost";
const ONE_FACTOR: &[&str] = &["pwd"];
const MULTI_FACTOR: &[&str] = &["pwd", "otp", "mfa"];

/// The name of each operation that needs a fresh proof, e.g. `DELETE /v1/me`.
fn operations_with_step_up() -> Vec<String> {
    operations(|_, _, operation| operation["x-step-up"] == true)
}

/// The name of each operation that adds or removes second factors of the caller.
fn changes_of_factors() -> Vec<String> {
    let of_factors = ["/v1/me/mfa", "/v1/me/passkeys"];
    operations(|method, path, _| {
        of_factors.iter().any(|prefix| path.starts_with(prefix))
            && method != "get"
            && method != "patch"
    })
}

/// The name of each operation that is wanted by its method, path and description.
fn operations(wanted: impl Fn(&str, &str, &Value) -> bool) -> Vec<String> {
    let document: Value = serde_json::from_str(&document::document()).expect("JSON");
    let mut names = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            if wanted(method, path, operation) {
                names.push(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    names
}

/// A request that nothing but the end of its session can refuse.
struct Prepared {
    method: Method,
    path: String,
    body: Value,
}

impl Prepared {
    async fn send(&self, house: &House, person: &Person) -> Answer {
        person
            .send(house, self.method.clone(), &self.path, &self.body)
            .await
    }
}

/// Prepares what the operation needs, for a caller who is an administrator.
async fn prepare(house: &House, operation: &str, caller: &Person) -> Prepared {
    let (method, path) = operation.split_once(' ').expect("a method and a path");
    let of_account = path.starts_with("/v1/me");
    let (path, body) = if of_account {
        own(house, operation, caller).await
    } else {
        others(house, operation).await
    };
    Prepared {
        method: method.parse().expect("a method"),
        path,
        body,
    }
}

/// The path and the body of an operation on the caller's own account.
async fn own(house: &House, operation: &str, caller: &Person) -> (String, Value) {
    let (_, path) = operation.split_once(' ').expect("a method and a path");
    let plain = |body: Value| (path.to_owned(), body);
    match operation {
        "DELETE /v1/me" | "DELETE /v1/me/sessions" | "POST /v1/me/passkeys/start" => {
            plain(Value::Null)
        }
        "POST /v1/me/api-keys" => plain(json!({ "name": "deploy", "scopes": ["profile:read"] })),
        "POST /v1/me/email" => plain(json!({ "email": format!("{}@example.org", Uuid::new_v4()) })),
        "POST /v1/me/mfa/totp" => plain(json!({ "name": "Phone" })),
        "PUT /v1/me/password" => {
            plain(json!({ "current_password": PASSWORD, "new_password": "quite another battery" }))
        }
        "POST /v1/me/mfa/recovery-codes" | "DELETE /v1/me/password" => {
            passkey_of(house, caller).await;
            set_methods(house, caller, MULTI_FACTOR).await;
            plain(Value::Null)
        }
        "DELETE /v1/me/email/undo" => {
            // A change of an owner who has had a second factor for long.
            set_methods(house, caller, MULTI_FACTOR).await;
            for row in [
                "INSERT INTO email_undos (user_id, email_key, changed_at, expires_at)
                 VALUES ($1, $1::text || '@example.org', now(), now() + interval '7 days')
                 ON CONFLICT DO NOTHING",
                "INSERT INTO totp_factors (id, user_id, name, secret, confirmed_at, created_at)
                 VALUES (gen_random_uuid(), $1, 'Phone', 'x', now() - interval '30 days', now())",
            ] {
                sqlx::query(row)
                    .bind(caller.id.0)
                    .execute(&house.stores.db)
                    .await
                    .expect("writes");
            }
            plain(Value::Null)
        }
        "DELETE /v1/me/passkeys/{id}" => {
            let id = passkey_of(house, caller).await;
            set_methods(house, caller, MULTI_FACTOR).await;
            (format!("/v1/me/passkeys/{id}"), Value::Null)
        }
        "POST /v1/me/passkeys/finish" => {
            let asked = caller
                .post(house, "/v1/me/passkeys/start", &json!({}))
                .await
                .expect(StatusCode::OK);
            let credential = Authenticator::at(ORIGIN, DOMAIN).create(&asked["public_key"]);
            plain(
                json!({ "challenge": asked["challenge"], "name": "phone", "credential": credential }),
            )
        }
        "DELETE /v1/me/mfa/totp/{id}" => {
            let id = app_of(house, caller).await;
            set_methods(house, caller, MULTI_FACTOR).await;
            (format!("/v1/me/mfa/totp/{id}"), Value::Null)
        }
        "POST /v1/me/mfa/totp/{id}/confirm" => {
            let started = caller
                .post(house, "/v1/me/mfa/totp", &json!({ "name": "Phone" }))
                .await;
            let started = started.expect(StatusCode::CREATED);
            let code = App::with(&text(&started["secret"])).code(house, 0);
            (
                format!("/v1/me/mfa/totp/{}/confirm", text(&started["id"])),
                json!({ "code": code }),
            )
        }
        "DELETE /v1/me/sessions/{id}" => {
            let third = house.elsewhere(caller).await;
            (format!("/v1/me/sessions/{}", third.session_id), Value::Null)
        }
        other => panic!("{other}: say here what it is asked"),
    }
}

/// Sets what the sessions of the account have proved.
async fn set_methods(house: &House, person: &Person, methods: &[&str]) {
    let update = sqlx::query("UPDATE sessions SET amr = $2 WHERE user_id = $1").bind(person.id.0);
    update
        .bind(methods)
        .execute(&house.stores.db)
        .await
        .expect("updates");
}

/// The id of an authenticator app of the caller that nobody has.
async fn app_of(house: &House, caller: &Person) -> Uuid {
    let insert = "INSERT INTO totp_factors (id, user_id, name, secret, confirmed_at, created_at)
                  VALUES ($1, $2, 'Phone', 'x', now(), now())";
    let id = Uuid::new_v4();
    let insert = sqlx::query(insert).bind(id).bind(caller.id.0);
    insert.execute(&house.stores.db).await.expect("inserts");
    id
}

/// The id of the caller's only passkey.
async fn passkey_of(house: &House, caller: &Person) -> Uuid {
    let query = "SELECT id FROM passkeys WHERE user_id = $1";
    let find = async || {
        let find = sqlx::query_scalar(query).bind(caller.id.0);
        find.fetch_optional(&house.stores.db).await.expect("reads")
    };
    if let Some(id) = find().await {
        return id;
    }
    house.passkey_row(caller.id).await;
    find().await.expect("it was inserted")
}

/// The path and the body of an operation on a role or on another account.
async fn others(house: &House, operation: &str) -> (String, Value) {
    if operation.contains("/v1/roles") {
        let name = format!("role-{}", Uuid::new_v4().simple());
        if operation == "POST /v1/roles" {
            return (
                "/v1/roles".to_owned(),
                json!({ "name": name, "permissions": [] }),
            );
        }
        let insert =
            sqlx::query("INSERT INTO roles (name, permissions) VALUES ($1, '{}')").bind(&name);
        insert.execute(&house.stores.db).await.expect("inserts");
        let body = if operation.starts_with("PATCH") {
            json!({ "requires_mfa": true })
        } else {
            Value::Null
        };
        return (format!("/v1/roles/{name}"), body);
    }
    let person = house.person("other").await;
    let body = match operation {
        "DELETE /v1/users/{id}"
        | "DELETE /v1/users/{id}/sessions"
        | "DELETE /v1/users/{id}/sessions/{session_id}" => Value::Null,
        "POST /v1/users/{id}/restore" => {
            let delete =
                "UPDATE users SET status = 'deleting', deletion_due_at = now() WHERE id = $1";
            sqlx::query(delete)
                .bind(person.id.0)
                .execute(&house.stores.db)
                .await
                .expect("updates");
            Value::Null
        }
        "POST /v1/users/{id}/reactivate" => {
            let suspend = sqlx::query("UPDATE users SET status = 'suspended' WHERE id = $1");
            suspend
                .bind(person.id.0)
                .execute(&house.stores.db)
                .await
                .expect("updates");
            Value::Null
        }
        "PUT /v1/users/{id}/roles" => json!({ "roles": ["member", "admin"] }),
        "POST /v1/users/{id}/impersonate"
        | "POST /v1/users/{id}/mfa/reset"
        | "POST /v1/users/{id}/password/reset"
        | "POST /v1/users/{id}/suspend" => {
            json!({ "reason": "called back on the number that we have" })
        }
        other => panic!("{other}: say here what it is asked"),
    };
    let (_, path) = operation.split_once(' ').expect("a method and a path");
    let path = path.replace("{session_id}", &person.session_id.to_string());
    (path.replace("{id}", &person.id.to_string()), body)
}

/// A digest of each table as this connection sees it, without those that a process writes when no request asks it to.
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
async fn send_as_the_session_ends(house: &House, request: &Prepared, caller: &Person) -> Answer {
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
    assert_eq!(
        contents(&mut connection).await,
        before,
        "nothing is changed"
    );
    answer
}

async fn open() -> House {
    let stage = Stage::open()
        .await
        .with("PLINTH_AUTH_PASSKEY_DOMAIN", DOMAIN);
    House::on(stage.with("PLINTH_AUTH_PASSKEY_ORIGINS", ORIGIN)).await
}

#[tokio::test]
async fn no_second_factor_is_changed_in_a_session_that_has_proved_none() {
    let house = open().await;
    let operations = changes_of_factors();
    assert!(operations.len() >= 7, "{operations:?}");
    for operation in operations {
        eprintln!("{operation}");
        let caller = house.administrator().await;
        let request = prepare(&house, &operation, &caller).await;
        // The account has got a factor since this session was opened.
        app_of(&house, &caller).await;
        set_methods(&house, &caller, ONE_FACTOR).await;
        request
            .send(&house, &caller)
            .await
            .problem(403, "second_factor_required");
        set_methods(&house, &caller, MULTI_FACTOR).await;
        let answer = request.send(&house, &caller).await;
        assert!(answer.status.is_success(), "{operation}: {answer:?}");
    }
}

#[tokio::test]
async fn no_operation_with_a_step_up_is_done_by_a_session_that_ends_in_between() {
    let house = open().await;
    // One who stays, so that no other one is the last.
    house.administrator().await;
    let operations = operations_with_step_up();
    assert!(operations.len() >= 25, "{operations:?}");
    for operation in operations {
        eprintln!("{operation}");
        let caller = house.administrator().await;
        let later = house.elsewhere(&caller).await;
        let request = prepare(&house, &operation, &caller).await;
        send_as_the_session_ends(&house, &request, &caller)
            .await
            .problem(401, "session_ended");
        // The same with a session that lives, so that it was the session which refused it.
        house.stores.clock.advance(time::Duration::seconds(30));
        let request = prepare(&house, &operation, &later).await;
        let answer = request.send(&house, &later).await;
        assert!(answer.status.is_success(), "{operation}: {answer:?}");
    }
}

#[tokio::test]
async fn a_password_that_was_replaced_since_it_was_checked_changes_nothing() {
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
