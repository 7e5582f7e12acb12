//! The deletion of an account, with and without a grace period.

use plinth_core::cleanup::{self, Kept, Kind};
use plinth_testkit::Stage;
use reqwest::StatusCode;
use serde_json::json;
use time::Duration;
use tokio_util::sync::CancellationToken;

use crate::authenticator::Authenticator;
use crate::house::{House, PASSWORD, text};
use crate::mailed::{CONFIRM, RESET, UNDO};
use crate::second_factors::{challenge, enrol, prove};

/// Starts an API that deletes accounts without a grace period.
async fn without_grace() -> House {
    House::on(Stage::open().await.with("PLINTH_AUTH_DELETION_GRACE", "0s")).await
}

#[tokio::test]
async fn a_deleted_account_leaves_no_session() {
    let house = without_grace().await;
    let person = house.person("ada").await;
    let elsewhere = house.elsewhere(&person).await;
    let key = house.api_key(person.id, "profile:read").await;
    assert!(elsewhere.is_in(&house).await);
    house.try_api_key(&key).await.expect(StatusCode::OK);
    person
        .delete(&house, "/v1/me")
        .await
        .expect(StatusCode::NO_CONTENT);
    for session in [&person, &elsewhere] {
        assert_eq!(
            session.get(&house, "/v1/me").await.status,
            StatusCode::UNAUTHORIZED
        );
        let refresh = json!({ "refresh_token": session.refresh_token });
        house
            .post("/v1/auth/refresh", &refresh)
            .await
            .problem(401, "invalid_refresh_token");
    }
    assert_eq!(
        house.try_api_key(&key).await.status,
        StatusCode::UNAUTHORIZED
    );
    house.forget_copies().await;
    assert!(!person.is_in(&house).await && !elsewhere.is_in(&house).await);
    assert_eq!(
        house.try_api_key(&key).await.status,
        StatusCode::UNAUTHORIZED
    );
    house
        .log_in(&person.email, PASSWORD)
        .await
        .problem(401, "invalid_credentials");
    assert_eq!(house.notices(person.id).await, ["account_deleted"]);
}

#[tokio::test]
async fn no_personal_data_of_a_deleted_account_remains() {
    let house = without_grace().await;
    let (person, other) = (house.person("ada").await, house.person("bob").await);
    for name in ["one.txt", "two.txt"] {
        person.upload(&house, name, name.as_bytes().to_vec()).await;
    }
    let kept = other
        .upload(&house, "bobs.txt", b"some bytes".to_vec())
        .await;
    house.passkey_row(person.id).await;
    house.api_key(person.id, "profile:read").await;
    house.reset_token(&person.email).await;
    house.undo_token(person.id, "before@example.org").await;
    let rows = [
        "INSERT INTO totp_factors (id, user_id, name, secret, created_at) VALUES (gen_random_uuid(), $1, 'x', 'x', now())",
        "INSERT INTO recovery_codes (code_hash, user_id, created_at) VALUES (sha256('x'), $1, now())",
        "INSERT INTO challenges (token_hash, purpose, user_id, expires_at, created_at) VALUES (sha256('x'), 'x', $1, now(), now())",
        "INSERT INTO notifications (id, user_id, kind, title, body, subject, created_at)
         VALUES (gen_random_uuid(), $1, 'x', 'x', 'x', 'x', now())",
        "INSERT INTO blobs (id, owner_id, state, object_key, created_at, updated_at)
         SELECT gen_random_uuid(), $1, 'receiving', 'nowhere/' || n, now(), now() FROM generate_series(1, 600) n",
    ];
    for row in rows {
        sqlx::query(row)
            .bind(person.id.0)
            .execute(&house.stores.db)
            .await
            .expect("inserts");
    }
    person
        .delete(&house, "/v1/me")
        .await
        .expect(StatusCode::NO_CONTENT);

    let row: serde_json::Value =
        sqlx::query_scalar("SELECT to_jsonb(users) FROM users WHERE id = $1")
            .bind(person.id.0)
            .fetch_one(&house.stores.db)
            .await
            .expect("the row remains");
    assert_eq!(row["status"], "deleted");
    assert_eq!(
        row["email"],
        format!("deleted-{}@deleted.invalid", person.id)
    );
    for gone in ["display_name", "password_hash", "email_verified_at"] {
        assert!(row[gone].is_null(), "{gone} stays: {row}");
    }
    for table in [
        "passkeys",
        "totp_factors",
        "recovery_codes",
        "api_keys",
        "one_time_tokens",
        "challenges",
        "notifications",
    ] {
        assert_eq!(house.count(table).await, 0, "{table}");
    }
    assert_eq!(house.count("blobs WHERE state = 'removing'").await, 602);
    assert_eq!(house.count("files").await, 1, "the other's");
    assert_eq!(house.count("storage_usage").await, 1, "the other's");
    assert_eq!(
        house.count("jobs WHERE kind = 'files.purge'").await,
        602,
        "one job each"
    );
    assert_eq!(house.count("user_roles").await, 1, "the other's");
    let file = format!("/v1/files/{}", kept["id"].as_str().expect("an id"));
    other.get(&house, &file).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn the_address_of_a_deleted_account_can_register_again() {
    let house = without_grace().await;
    let person = house.person("ada").await;
    person
        .delete(&house, "/v1/me")
        .await
        .expect(StatusCode::NO_CONTENT);
    let body = json!({ "email": person.email, "password": PASSWORD });
    house
        .post("/v1/auth/register", &body)
        .await
        .expect(StatusCode::ACCEPTED);
    let token = house.verification_token(&person.email).await;
    house
        .verify(&token, PASSWORD)
        .await
        .expect(StatusCode::NO_CONTENT);
    house
        .log_in(&person.email, PASSWORD)
        .await
        .expect(StatusCode::OK);
    assert_ne!(house.id_of(&person.email).await, person.id);
    assert_eq!(house.count("users").await, 2);
}

#[tokio::test]
async fn the_last_administrator_cannot_be_deleted() {
    let house = without_grace().await;
    let admin = house.administrator().await;
    admin
        .delete(&house, "/v1/me")
        .await
        .problem(409, "last_administrator");
    assert!(admin.is_in(&house).await);
    let second = house.administrator().await;
    let both = tokio::join!(
        admin.delete(&house, "/v1/me"),
        second.delete(&house, "/v1/me")
    );
    let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(
        statuses,
        [204, 409],
        "one of two concurrent deletions is refused"
    );
}

#[tokio::test]
async fn an_administrator_can_delete_another_account() {
    let house = without_grace().await;
    let (person, admin) = (house.person("ada").await, house.administrator().await);
    let path = format!("/v1/users/{}", person.id);
    admin
        .delete(&house, &path)
        .await
        .expect(StatusCode::NO_CONTENT);
    person
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    admin.delete(&house, &path).await.problem(404, "not_found");
    admin
        .delete(&house, &format!("/v1/users/{}", admin.id))
        .await
        .problem(409, "own_account");
    assert_eq!(house.notices(person.id).await, ["account_deleted"]);
}

/// Returns the response to a login to a deleted account.
async fn log_in(house: &House, email: &str) -> serde_json::Value {
    let asked = house.log_in(email, PASSWORD).await.expect(StatusCode::OK);
    assert_eq!(asked["deletion_pending"], true, "{asked}");
    assert!(asked["access_token"].is_null(), "{asked}");
    asked
}

#[tokio::test]
async fn a_deleted_account_is_refused_at_once_and_restored_after_confirmation() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let elsewhere = house.elsewhere(&person).await;
    let key = house.api_key(person.id, "profile:read").await;
    let file = person.upload(&house, "a.txt", b"some text".to_vec()).await;
    let file = format!("/v1/files/{}", text(&file["id"]));
    let link = person
        .post(&house, &format!("{file}/links"), &json!({}))
        .await
        .expect(StatusCode::CREATED);
    let link = format!("/v1/links/{}/content", text(&link["token"]));
    assert_eq!(house.get(&link).await.status, StatusCode::OK);

    person
        .delete(&house, "/v1/me")
        .await
        .expect(StatusCode::NO_CONTENT);
    for session in [&person, &elsewhere] {
        session
            .get(&house, "/v1/me")
            .await
            .problem(401, "session_ended");
        let refresh = json!({ "refresh_token": session.refresh_token });
        house
            .post("/v1/auth/refresh", &refresh)
            .await
            .problem(401, "invalid_refresh_token");
    }
    house.try_api_key(&key).await.problem(401, "invalid_token");
    house.get(&link).await.problem(404, "not_found");
    assert_eq!(house.notices(person.id).await, ["deletion_scheduled"]);

    // A login alone does not restore the account.
    house.stores.clock.advance(Duration::days(29));
    let asked = log_in(&house, &person.email).await;
    let again = log_in(&house, &person.email).await;
    person
        .get(&house, "/v1/me")
        .await
        .problem(401, "token_expired");
    prove(&house, &asked, "code", "123456")
        .await
        .problem(401, "invalid_challenge");
    house
        .post("/v1/auth/restore", &json!({ "challenge": "text" }))
        .await
        .problem(401, "invalid_challenge");
    let confirm = json!({ "challenge": asked["challenge"] });
    let tokens = house
        .post("/v1/auth/restore", &confirm)
        .await
        .expect(StatusCode::OK);
    let person = person.with(&tokens);
    person.get(&house, &file).await.expect(StatusCode::OK);
    for used in [&asked, &again] {
        let confirm = json!({ "challenge": used["challenge"] });
        house
            .post("/v1/auth/restore", &confirm)
            .await
            .problem(401, "invalid_challenge");
    }
    house.get(&link).await.problem(404, "not_found");
    house.try_api_key(&key).await.problem(401, "invalid_token");
    assert!(
        house
            .notices(person.id)
            .await
            .ends_with(&["account_restored".to_owned()])
    );
    let actions = house.actions().await;
    for action in [
        "account.deletion_scheduled:success",
        "account.restored:success",
    ] {
        assert!(actions.contains(&action.to_owned()), "{actions:?}");
    }
}

#[tokio::test]
async fn the_address_of_a_deleted_account_is_reserved_until_its_grace_period_ends() {
    let house = House::open().await;
    let (person, other) = (house.person("ada").await, house.person("bob").await);
    // A registration whose link was mailed before the address had an account.
    let (address, password) = ("ada-next@example.org", "another correct battery");
    let early = house.register_as(address, password).await;
    let early = house
        .try_verification_token(early)
        .await
        .expect("a mail is due");
    let change = house.change_token(person.id, address).await;
    house
        .present(CONFIRM, &change)
        .await
        .expect(StatusCode::NO_CONTENT);
    person
        .delete(&house, "/v1/me")
        .await
        .expect(StatusCode::NO_CONTENT);

    house
        .verify(&early, password)
        .await
        .problem(409, "email_taken");
    // A later one gets no link: the owner gets a notice instead.
    let late = house.register_as(address, password).await;
    assert!(house.try_verification_token(late).await.is_none());
    assert!(
        house
            .notices(person.id)
            .await
            .ends_with(&["registration_attempted".to_owned()])
    );
    assert!(house.try_change_token(other.id, address).await.is_none());
    assert_eq!(house.count("users").await, 2);

    let only = cleanup::Request {
        only: vec![Kind::DeletedAccounts],
        ..cleanup::Request::default()
    };
    let kept = Kept::of(&house.stage.settings());
    let deleted = async || {
        let report = cleanup::run(&house.stores, &kept, &only, &CancellationToken::new()).await;
        let report = report.expect("runs");
        assert!(
            report.failed.is_empty() && report.passed_over.is_empty(),
            "{report:?}"
        );
        report.of(Kind::DeletedAccounts)
    };
    house
        .stores
        .clock
        .advance(Duration::days(30) - Duration::minutes(10));
    assert_eq!(deleted().await, 0);
    log_in(&house, address).await;
    house.stores.clock.advance(Duration::minutes(20));
    assert_eq!(deleted().await, 1);
    house
        .log_in(address, PASSWORD)
        .await
        .problem(401, "invalid_credentials");
    let free = house.register_as(address, password).await;
    let token = house
        .try_verification_token(free)
        .await
        .expect("the address is free");
    house
        .verify(&token, password)
        .await
        .expect(StatusCode::NO_CONTENT);
    house.log_in(address, password).await.expect(StatusCode::OK);
    assert_ne!(house.id_of(address).await, person.id);
}

#[tokio::test]
async fn restoring_an_account_requires_its_second_factor() {
    let stage = Stage::open()
        .await
        .with("PLINTH_AUTH_PASSKEY_DOMAIN", "localhost");
    let house = House::on(stage.with("PLINTH_AUTH_PASSKEY_ORIGINS", "http://localhost:8080")).await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    let refresh = json!({ "refresh_token": person.refresh_token });
    let person = person.with(
        &house
            .post("/v1/auth/refresh", &refresh)
            .await
            .expect(StatusCode::OK),
    );
    let mut key = Authenticator::at("http://localhost:8080", "localhost");
    let asked = person
        .post(&house, "/v1/me/passkeys/start", &json!({}))
        .await
        .expect(StatusCode::OK);
    let credential = key.create(&asked["public_key"]);
    let body = json!({ "challenge": asked["challenge"], "name": "key", "credential": credential });
    person
        .post(&house, "/v1/me/passkeys/finish", &body)
        .await
        .expect(StatusCode::CREATED);
    person
        .delete(&house, "/v1/me")
        .await
        .expect(StatusCode::NO_CONTENT);

    let asked = challenge(&house, &person).await;
    let by_app = prove(&house, &asked, "code", &app.code(&house, 0))
        .await
        .expect(StatusCode::OK);
    let asked = house
        .post("/v1/auth/passkeys/login/start", &json!({}))
        .await
        .expect(StatusCode::OK);
    let credential = key.get(&asked["public_key"]);
    let body = json!({ "challenge": asked["challenge"], "credential": credential });
    let by_passkey = house
        .post("/v1/auth/passkeys/login/finish", &body)
        .await
        .expect(StatusCode::OK);
    for pending in [&by_app, &by_passkey] {
        assert_eq!(pending["deletion_pending"], true, "{pending}");
    }
    let confirm = json!({ "challenge": by_passkey["challenge"] });
    let tokens = house
        .post("/v1/auth/restore", &confirm)
        .await
        .expect(StatusCode::OK);
    person
        .with(&tokens)
        .get(&house, "/v1/me")
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn administrators_can_see_restore_and_expedite_a_deletion() {
    let house = House::open().await;
    let (admin, person) = (house.administrator().await, house.person("ada").await);
    let path = format!("/v1/users/{}", person.id);
    let restore = format!("{path}/restore");
    admin
        .post(&house, &restore, &json!({}))
        .await
        .problem(409, "account_not_deleting");
    for _ in 0..2 {
        admin
            .delete(&house, &path)
            .await
            .expect(StatusCode::NO_CONTENT);
    }
    person
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    let listed = admin
        .get(&house, "/v1/users?status=deleting")
        .await
        .expect(StatusCode::OK);
    assert_eq!(listed["items"][0]["id"], json!(person.id), "{listed}");
    assert!(
        listed["items"][0]["deletion_due_at"].is_string(),
        "{listed}"
    );
    admin
        .post(&house, &format!("{path}/reactivate"), &json!({}))
        .await
        .problem(409, "account_deleting");

    let restored = admin
        .post(&house, &restore, &json!({}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&restored["status"], restored["deletion_due_at"].is_null()),
        (&json!("active"), true)
    );
    house
        .log_in(&person.email, PASSWORD)
        .await
        .expect(StatusCode::OK);

    admin
        .delete(&house, &path)
        .await
        .expect(StatusCode::NO_CONTENT);
    admin
        .delete(&house, &format!("{path}?immediately=true"))
        .await
        .expect(StatusCode::NO_CONTENT);
    admin.get(&house, &path).await.problem(404, "not_found");
    admin
        .post(&house, &restore, &json!({}))
        .await
        .problem(404, "not_found");
    let told = house.notices(person.id).await;
    assert_eq!(
        told,
        [
            "deletion_scheduled",
            "account_restored",
            "deletion_scheduled",
            "account_deleted"
        ]
    );
}

#[tokio::test]
async fn a_suspended_deleted_account_is_not_restored_by_its_owner() {
    let house = House::open().await;
    let (admin, person) = (house.administrator().await, house.person("ada").await);
    let path = format!("/v1/users/{}", person.id);
    admin
        .post(&house, &format!("{path}/suspend"), &json!({}))
        .await
        .expect(StatusCode::OK);
    admin
        .delete(&house, &path)
        .await
        .expect(StatusCode::NO_CONTENT);
    house
        .log_in(&person.email, PASSWORD)
        .await
        .problem(403, "account_suspended");
    let read = admin.get(&house, &path).await.expect(StatusCode::OK);
    assert_eq!(read["status"], "suspended");
    assert!(read["deletion_due_at"].is_string(), "{read}");
    let restored = admin
        .post(&house, &format!("{path}/restore"), &json!({}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(restored["status"], "suspended", "the suspension is kept");
    assert!(restored["deletion_due_at"].is_null(), "{restored}");
}

#[tokio::test]
async fn an_account_that_an_intruder_deletes_is_recovered_by_mail() {
    let house = House::open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    // The intruder has changed the password, or the address.
    let change = json!({ "current_password": PASSWORD, "new_password": "a thief's battery" });
    ada.put(&house, "/v1/me/password", &change)
        .await
        .expect(StatusCode::OK);
    ada.delete(&house, "/v1/me")
        .await
        .expect(StatusCode::NO_CONTENT);
    house
        .present(RESET, &house.reset_token(&ada.email).await)
        .await
        .expect(StatusCode::OK);
    let asked = house
        .log_in(&ada.email, "quite another battery")
        .await
        .expect(StatusCode::OK);
    let confirm = json!({ "challenge": asked["challenge"] });
    house
        .post("/v1/auth/restore", &confirm)
        .await
        .expect(StatusCode::OK);

    let token = house.change_token(bob.id, "thief@example.org").await;
    house
        .present(CONFIRM, &token)
        .await
        .expect(StatusCode::NO_CONTENT);
    bob.delete(&house, "/v1/me")
        .await
        .expect(StatusCode::NO_CONTENT);
    let undo = house.undo_token(bob.id, &bob.email).await;
    house.present(UNDO, &undo).await.expect(StatusCode::OK);
    house
        .present(RESET, &house.reset_token(&bob.email).await)
        .await
        .expect(StatusCode::OK);
    let login = house
        .log_in(&bob.email, "quite another battery")
        .await
        .expect(StatusCode::OK);
    assert!(login["access_token"].is_string(), "{login}");
}
