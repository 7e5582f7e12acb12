//! The end of an account.

use reqwest::StatusCode;
use serde_json::json;

use crate::house::{House, PASSWORD};

#[tokio::test]
async fn a_deleted_account_leaves_no_session() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let elsewhere = house.elsewhere(&person).await;
    let key = house.api_key(person.id, "profile:read").await;
    assert!(elsewhere.is_in(&house).await);
    house.try_api_key(&key).await.expect(StatusCode::OK);
    person.delete(&house, "/v1/me").await.expect(StatusCode::NO_CONTENT);
    for session in [&person, &elsewhere] {
        assert_eq!(session.get(&house, "/v1/me").await.status, StatusCode::UNAUTHORIZED);
        let refresh = json!({ "refresh_token": session.refresh_token });
        house.post("/v1/auth/refresh", &refresh).await.problem(401, "invalid_refresh_token");
    }
    assert_eq!(house.try_api_key(&key).await.status, StatusCode::UNAUTHORIZED);
    house.forget_copies().await;
    assert!(!person.is_in(&house).await && !elsewhere.is_in(&house).await);
    assert_eq!(house.try_api_key(&key).await.status, StatusCode::UNAUTHORIZED);
    house.log_in(&person.email, PASSWORD).await.problem(401, "invalid_credentials");
    assert_eq!(house.notices(person.id).await, ["account_deleted"]);
}

#[tokio::test]
async fn nothing_personal_stays_of_a_deleted_account() {
    let house = House::open().await;
    let (person, other) = (house.person("ada").await, house.person("bob").await);
    for name in ["one.txt", "two.txt"] {
        person.upload(&house, name, name.as_bytes().to_vec()).await;
    }
    let kept = other.upload(&house, "bobs.txt", b"some bytes".to_vec()).await;
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
        sqlx::query(row).bind(person.id.0).execute(&house.stores.db).await.expect("inserts");
    }
    person.delete(&house, "/v1/me").await.expect(StatusCode::NO_CONTENT);

    let row: serde_json::Value = sqlx::query_scalar("SELECT to_jsonb(users) FROM users WHERE id = $1")
        .bind(person.id.0)
        .fetch_one(&house.stores.db)
        .await
        .expect("the row stays");
    assert_eq!(row["status"], "deleted");
    assert_eq!(row["email"], format!("deleted-{}@deleted.invalid", person.id));
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
    assert_eq!(house.count("jobs WHERE kind = 'files.purge'").await, 602, "a job each");
    assert_eq!(house.count("user_roles").await, 1, "the other's");
    let file = format!("/v1/files/{}", kept["id"].as_str().expect("an id"));
    other.get(&house, &file).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn the_address_of_a_deleted_account_can_register_again() {
    let house = House::open().await;
    let person = house.person("ada").await;
    person.delete(&house, "/v1/me").await.expect(StatusCode::NO_CONTENT);
    let body = json!({ "email": person.email, "password": PASSWORD });
    house.post("/v1/auth/register", &body).await.expect(StatusCode::ACCEPTED);
    let token = house.verification_token(&person.email).await;
    house.verify(&token, PASSWORD).await.expect(StatusCode::NO_CONTENT);
    house.log_in(&person.email, PASSWORD).await.expect(StatusCode::OK);
    assert_ne!(house.id_of(&person.email).await, person.id);
    assert_eq!(house.count("users").await, 2);
}

#[tokio::test]
async fn the_last_administrator_cannot_leave() {
    let house = House::open().await;
    let admin = house.administrator().await;
    admin.delete(&house, "/v1/me").await.problem(409, "last_administrator");
    assert!(admin.is_in(&house).await);
    let second = house.administrator().await;
    let both = tokio::join!(admin.delete(&house, "/v1/me"), second.delete(&house, "/v1/me"));
    let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409], "of two at once one stays");
}

#[tokio::test]
async fn an_administrator_deletes_the_account_of_somebody_else() {
    let house = House::open().await;
    let (person, admin) = (house.person("ada").await, house.administrator().await);
    let path = format!("/v1/users/{}", person.id);
    admin.delete(&house, &path).await.expect(StatusCode::NO_CONTENT);
    person.get(&house, "/v1/me").await.problem(401, "session_ended");
    admin.delete(&house, &path).await.problem(404, "not_found");
    admin.delete(&house, &format!("/v1/users/{}", admin.id)).await.problem(409, "own_account");
    assert_eq!(house.notices(person.id).await, ["account_deleted"]);
}
