//! Concurrent changes of one account: locks are taken in one order, so that they cannot deadlock.

use plinth_platform::database::Transaction;
use plinth_testkit::{Stage, until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::authenticator::Authenticator;
use crate::house::{Answer, House, PASSWORD, Person, text};
use crate::mailed::{CONFIRM, RESET, UNDO};
use crate::second_factors::{App, challenge, enrol, prove};

const ORIGIN: &str = "http://localhost:8080";
const DOMAIN: &str = "localhost";
const ACCOUNT: &str = "SELECT FROM users WHERE id = $1 FOR UPDATE";
/// Does not block rows that reference the account.
const HELD_ACCOUNT: &str = "SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE";
const APPS: &str = "SELECT FROM totp_factors WHERE user_id = $1 FOR UPDATE";

/// Starts an API with a passkey domain.
async fn open() -> House {
    let stage = Stage::open().await;
    House::on(
        stage
            .with("PLINTH_AUTH_PASSKEY_DOMAIN", DOMAIN)
            .with("PLINTH_AUTH_PASSKEY_ORIGINS", ORIGIN),
    )
    .await
}

/// Starts an API that deletes accounts without a grace period.
async fn without_grace() -> House {
    House::on(Stage::open().await.with("PLINTH_AUTH_DELETION_GRACE", "0s")).await
}

/// Locks rows of a person, so that later requests wait for them.
async fn obstruct(house: &House, rows: &'static str, person: &Person) -> Transaction {
    let mut obstacle = house.stores.db.begin().await.expect("begins");
    sqlx::query(rows)
        .bind(person.id.0)
        .execute(&mut *obstacle)
        .await
        .expect("locks");
    obstacle
}

/// Returns the responses to two concurrent requests. The second one is sent once the first one
/// waits for the lock, which is released once both wait.
async fn meet(
    house: &House,
    obstacle: Transaction,
    first: impl Future<Output = Answer>,
    second: impl Future<Output = Answer>,
) -> (Answer, Answer) {
    let second = async {
        until_waiting(house, 1).await;
        second.await
    };
    let release = async {
        until_waiting(house, 2).await;
        obstacle.rollback().await.expect("ends");
    };
    let (first, second, ()) = tokio::join!(first, second, release);
    (first, second)
}

async fn until_waiting(house: &House, transactions: i64) {
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("they wait for locks", async || {
        let waits: i64 = sqlx::query_scalar(waiting)
            .fetch_one(&house.stores.db)
            .await
            .expect("counts");
        (waits == transactions).then_some(())
    })
    .await;
}

/// Adds a passkey, except for the last request.
async fn passkey(house: &House, person: &Person) -> Value {
    let asked = person
        .post(house, "/v1/me/passkeys/start", &json!({}))
        .await
        .expect(StatusCode::OK);
    let credential = Authenticator::at(ORIGIN, DOMAIN).create(&asked["public_key"]);
    json!({ "challenge": asked["challenge"], "name": "phone", "credential": credential })
}

async fn finish(house: &House, person: &Person, passkey: &Value) -> Answer {
    person.post(house, "/v1/me/passkeys/finish", passkey).await
}

async fn passkeys_of(house: &House, person: &Person) -> i64 {
    let count = "SELECT count(*) FROM passkeys WHERE user_id = $1";
    sqlx::query_scalar(count)
        .bind(person.id.0)
        .fetch_one(&house.stores.db)
        .await
        .expect("counts")
}

#[tokio::test]
async fn a_passkey_is_added_before_a_password_reset_or_not_at_all() {
    let house = open().await;
    let person = house.person("ada").await;
    let (body, token) = (
        passkey(&house, &person).await,
        house.reset_token(&person.email).await,
    );
    let obstacle = obstruct(&house, ACCOUNT, &person).await;
    let (reset, added) = meet(
        &house,
        obstacle,
        house.present(RESET, &token),
        finish(&house, &person, &body),
    )
    .await;
    reset.expect(StatusCode::OK);
    added.problem(401, "session_ended");
    assert_eq!(passkeys_of(&house, &person).await, 0);

    let person = house.person("bob").await;
    let (body, token) = (
        passkey(&house, &person).await,
        house.reset_token(&person.email).await,
    );
    let obstacle = obstruct(&house, ACCOUNT, &person).await;
    let (added, reset) = meet(
        &house,
        obstacle,
        finish(&house, &person, &body),
        house.present(RESET, &token),
    )
    .await;
    added.expect(StatusCode::CREATED);
    reset.expect(StatusCode::OK);
    // The reset removes recently added factors.
    assert_eq!(passkeys_of(&house, &person).await, 0);
}

#[tokio::test]
async fn a_passkey_and_a_reset_succeed_in_either_order() {
    let house = open().await;
    for round in 0..20 {
        let person = house.person("ada").await;
        let (body, token) = (
            passkey(&house, &person).await,
            house.reset_token(&person.email).await,
        );
        let (reset, added) = (house.present(RESET, &token), finish(&house, &person, &body));
        // The second request is sent once the first one continues.
        let obstacle = obstruct(&house, ACCOUNT, &person).await;
        let go_on = async {
            until_waiting(&house, 1).await;
            obstacle.rollback().await.expect("ends");
        };
        let (reset, added) = if round % 2 == 0 {
            let then_added = async {
                go_on.await;
                added.await
            };
            tokio::join!(reset, then_added)
        } else {
            let then_reset = async {
                go_on.await;
                reset.await
            };
            tokio::join!(then_reset, added)
        };
        reset.expect(StatusCode::OK);
        if added.status != StatusCode::CREATED {
            added.problem(401, "session_ended");
        }
        // Added before the reset, it was removed by it. After the reset, there is no session to add
        // it.
        assert_eq!(passkeys_of(&house, &person).await, 0);
    }
}

#[tokio::test]
async fn no_credential_is_added_after_a_concurrent_reset() {
    let house = open().await;
    for name in [
        "start a passkey",
        "start an app",
        "confirm an app",
        "new codes",
        "a key",
        "step up",
    ] {
        let person = house.person("ada").await;
        let (method, path, body) = addition(&house, &person, name).await;
        let token = house.reset_token(&person.email).await;
        let obstacle = obstruct(&house, ACCOUNT, &person).await;
        let added = person.send(&house, method, &path, &body);
        let (reset, added) = meet(&house, obstacle, house.present(RESET, &token), added).await;
        reset.expect(StatusCode::OK);
        added.problem(401, "session_ended");
    }
}

/// Returns the last request that adds a credential, or the first one that starts to.
async fn addition(house: &House, person: &Person, name: &str) -> (Method, String, Value) {
    let app = json!({ "name": "Phone" });
    let (path, body) = match name {
        "start a passkey" => ("/v1/me/passkeys/start".to_owned(), json!({})),
        "start an app" => ("/v1/me/mfa/totp".to_owned(), app),
        "confirm an app" => {
            let started = person
                .post(house, "/v1/me/mfa/totp", &app)
                .await
                .expect(StatusCode::CREATED);
            let code = App::with(&text(&started["secret"])).code(house, 0);
            (
                format!("/v1/me/mfa/totp/{}/confirm", text(&started["id"])),
                json!({ "code": code }),
            )
        }
        "new codes" => {
            enrol(house, person).await;
            ("/v1/me/mfa/recovery-codes".to_owned(), json!({}))
        }
        "a key" => (
            "/v1/me/api-keys".to_owned(),
            json!({ "name": "deploy", "scopes": ["profile:read"] }),
        ),
        _ => {
            enrol(house, person).await;
            (
                "/v1/auth/step-up".to_owned(),
                json!({ "password": PASSWORD }),
            )
        }
    };
    (Method::POST, path, body)
}

#[tokio::test]
async fn a_second_factor_that_is_reset_concurrently_opens_no_session() {
    let house = House::open().await;
    let admin = house.administrator().await;
    for reset_is_first in [true, false] {
        let person = house.person("ada").await;
        let (app, _) = enrol(&house, &person).await;
        let asked = challenge(&house, &person).await;
        let path = format!("/v1/users/{}/mfa/reset", person.id);
        let reason = json!({ "reason": "called back on the number that we have" });
        let reset = admin.post(&house, &path, &reason);
        let code = app.code(&house, 0);
        let proof = prove(&house, &asked, "code", &code);
        let obstacle = obstruct(&house, APPS, &person).await;
        if reset_is_first {
            let (reset, proved) = meet(&house, obstacle, reset, proof).await;
            reset.expect(StatusCode::NO_CONTENT);
            proved.problem(401, "invalid_challenge");
        } else {
            // The reset holds the account, so that the session would be opened after it.
            let (proved, reset) = meet(&house, obstacle, proof, reset).await;
            proved.problem(401, "account_changed");
            reset.expect(StatusCode::NO_CONTENT);
        }
    }
}

#[tokio::test]
async fn a_login_whose_factor_is_removed_concurrently_opens_no_session() {
    let house = House::open().await;
    let admin = house.administrator().await;
    let reason = json!({ "reason": "called back on the number that we have" });
    for by_app in [true, false] {
        let person = house.person("ada").await;
        let (app, codes) = enrol(&house, &person).await;
        let asked = challenge(&house, &person).await;
        let path = format!("/v1/users/{}/mfa/reset", person.id);
        let (name, value) = if by_app {
            ("code", app.code(&house, 0))
        } else {
            ("recovery_code", codes[0].clone())
        };
        // Both wait for the account: the reset before all of its changes, the login after it
        // verified the factor.
        let obstacle = obstruct(&house, HELD_ACCOUNT, &person).await;
        let proof = prove(&house, &asked, name, &value);
        let (reset, proved) =
            meet(&house, obstacle, admin.post(&house, &path, &reason), proof).await;
        reset.expect(StatusCode::NO_CONTENT);
        proved.problem(401, "account_changed");
        let live = "SELECT count(*) FROM sessions WHERE user_id = $1 AND revoked_at IS NULL";
        let live: i64 = sqlx::query_scalar(live)
            .bind(person.id.0)
            .fetch_one(&house.stores.db)
            .await
            .expect("counts");
        assert_eq!(live, 0);
    }
}

#[tokio::test]
async fn a_step_up_during_the_deletion_of_the_account_finds_its_session_ended() {
    let house = without_grace().await;
    let (person, admin) = (house.person("ada").await, house.administrator().await);
    enrol(&house, &person).await;
    let path = format!("/v1/users/{}", person.id);
    let deletion = admin.delete(&house, &path);
    let body = json!({ "password": PASSWORD });
    let step_up = person.post(&house, "/v1/auth/step-up", &body);
    let obstacle = obstruct(&house, APPS, &person).await;
    let (deleted, stepped_up) = meet(&house, obstacle, deletion, step_up).await;
    deleted.expect(StatusCode::NO_CONTENT);
    stepped_up.problem(401, "session_ended");
}

#[tokio::test]
async fn a_passkey_enrolment_survives_a_concurrent_undo_of_the_address() {
    let house = open().await;
    let person = house.person("ada").await;
    enrol(&house, &person).await;
    let (before, now) = (&person.email, "thief@example.org");
    let token = house.change_token(person.id, now).await;
    house
        .present(CONFIRM, &token)
        .await
        .expect(StatusCode::NO_CONTENT);
    let undo = house.undo_token(person.id, before).await;
    house.reset_token(now).await;
    // The passkey is removed when the account has its old address again.
    let token =
        "SELECT FROM one_time_tokens WHERE user_id = $1 AND purpose = 'reset_password' FOR UPDATE";
    let obstacle = obstruct(&house, token, &person).await;
    let nothing = json!({});
    let begun = person.post(&house, "/v1/me/passkeys/start", &nothing);
    let (undone, begun) = meet(&house, obstacle, house.present(UNDO, &undo), begun).await;
    undone.expect(StatusCode::OK);
    begun.problem(401, "session_ended");
}

#[tokio::test]
async fn one_session_and_all_sessions_can_be_ended_concurrently() {
    let house = House::open().await;
    let (person, admin) = (house.person("ada").await, house.administrator().await);
    let body = json!({ "reason": "a question of hers" });
    let path = format!("/v1/users/{}/impersonate", person.id);
    admin
        .post(&house, &path, &body)
        .await
        .expect(StatusCode::OK);
    // Its id sorts after that of the impersonation.
    let later = house.elsewhere(&admin).await;
    let impersonation = "SELECT FROM sessions WHERE impersonator_id = $1 FOR UPDATE";
    let obstacle = obstruct(&house, impersonation, &admin).await;
    let all = admin.delete(&house, "/v1/me/sessions");
    let path = format!("/v1/me/sessions/{}", later.session_id);
    let one = admin.delete(&house, &path);
    let (all, one) = meet(&house, obstacle, all, one).await;
    assert_eq!(all.expect(StatusCode::OK)["revoked"], 2);
    one.problem(404, "not_found");
}

#[tokio::test]
async fn an_upload_that_starts_during_the_deletion_finds_no_account() {
    let house = without_grace().await;
    let (person, admin) = (house.person("ada").await, house.administrator().await);
    person
        .upload(&house, "a.txt", b"what the account has".to_vec())
        .await;
    let path = format!("/v1/users/{}", person.id);
    // The deletion enqueues the removal of bytes after it removes the usage row.
    let mut obstacle = house.stores.db.begin().await.expect("begins");
    sqlx::query("LOCK TABLE jobs IN EXCLUSIVE MODE")
        .execute(&mut *obstacle)
        .await
        .expect("locks");
    let upload = person.try_upload(&house, "b.txt", b"what is to come".to_vec());
    let (deleted, uploaded) = meet(&house, obstacle, admin.delete(&house, &path), upload).await;
    deleted.expect(StatusCode::NO_CONTENT);
    uploaded.problem(404, "not_found");
    assert_eq!(house.count("storage_usage").await, 0);
}

#[tokio::test]
async fn a_direct_upload_that_starts_during_the_deletion_finds_no_account() {
    let stage = Stage::open().await.with("PLINTH_AUTH_DELETION_GRACE", "0s");
    let house = House::on(stage.with("PLINTH_FILES_DIRECT_UPLOADS", "true")).await;
    let (person, admin) = (house.person("ada").await, house.administrator().await);
    person
        .upload(&house, "a.txt", b"what the account has".to_vec())
        .await;
    let path = format!("/v1/users/{}", person.id);
    // The deletion holds the usage row when it reaches the files.
    let obstacle = obstruct(
        &house,
        "SELECT FROM files WHERE owner_id = $1 FOR UPDATE",
        &person,
    )
    .await;
    let body = json!({ "filename": "b.txt", "size": 5, "sha256": "00".repeat(32) });
    let upload = person.post(&house, "/v1/direct-uploads", &body);
    let (deleted, begun) = meet(&house, obstacle, admin.delete(&house, &path), upload).await;
    deleted.expect(StatusCode::NO_CONTENT);
    begun.problem(404, "not_found");
}
