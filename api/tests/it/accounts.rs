//! Registration, verification, login, and the profile.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::house::{Answer, House, PASSWORD, text};

#[tokio::test]
async fn an_account_is_registered_verified_and_logged_in() {
    let house = House::open().await;
    let email = house.register("ada").await;
    house
        .log_in(&email, PASSWORD)
        .await
        .problem(401, "invalid_credentials");
    let token = house.verification_token(&email).await;
    house
        .verify(&token, PASSWORD)
        .await
        .expect(StatusCode::NO_CONTENT);
    let tokens = house.log_in(&email, PASSWORD).await.expect(StatusCode::OK);
    assert_eq!(
        (tokens["token_type"].as_str(), tokens["expires_in"].as_u64()),
        (Some("Bearer"), Some(300))
    );
    let me = house
        .request(Method::GET, "/v1/me")
        .bearer_auth(text(&tokens["access_token"]));
    let me = Answer::of(me).await.expect(StatusCode::OK);
    assert_eq!(
        (text(&me["email"]), text(&me["display_name"])),
        (email, "ada".to_owned())
    );
    assert_eq!(me["roles"], json!(["member"]));
    let expected = [
        "registration.created:success",
        "session.refused:refused",
        "account.registered:success",
        "account.email_verified:success",
        "session.created:success",
    ];
    assert_eq!(house.actions().await, expected);
}

#[tokio::test]
async fn the_mail_job_is_committed_with_the_registration() {
    let house = House::open().await;
    let email = house.register("ada").await;
    let id = house.registration_of(&email).await;
    let (kind, payload, user): (String, serde_json::Value, Option<uuid::Uuid>) =
        sqlx::query_as("SELECT kind, payload, user_id FROM jobs")
            .fetch_one(&house.stores.db)
            .await
            .expect("one job");
    assert_eq!(
        (kind.as_str(), payload, user),
        ("email.verification", json!({ "registration_id": id }), None)
    );
}

#[tokio::test]
async fn a_token_works_once_and_expires() {
    let house = House::open().await;
    let email = house.register("ada").await;
    let first = house.verification_token(&email).await;
    house.stores.clock.advance(time::Duration::minutes(6));
    let second = house.verification_token(&email).await;
    house
        .verify(&first, PASSWORD)
        .await
        .expect(StatusCode::NO_CONTENT);
    for used in [&first, &second] {
        let again = house.verify(used, PASSWORD).await;
        again.problem(422, "validation_failed");
        assert_eq!(again.faults(), ["/token invalid_token"]);
    }
    let late = house.register("late").await;
    let token = house.verification_token(&late).await;
    house.stores.clock.advance(time::Duration::hours(2));
    house
        .verify(&token, PASSWORD)
        .await
        .problem(422, "validation_failed");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_get_the_same_response_and_are_audited() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let wrong = house
        .log_in(&person.email, "wrong password")
        .await
        .problem(401, "invalid_credentials");
    let unknown = house
        .log_in("nobody@example.org", "wrong password")
        .await
        .problem(401, "invalid_credentials");
    let malformed = house
        .log_in("no address", "wrong password")
        .await
        .problem(401, "invalid_credentials");
    for part in ["title", "detail", "code"] {
        assert_eq!(wrong[part], unknown[part]);
        assert_eq!(wrong[part], malformed[part]);
    }
    let refused = house
        .actions()
        .await
        .iter()
        .filter(|action| *action == "session.refused:refused")
        .count();
    assert_eq!(refused, 3);
}

#[tokio::test]
async fn a_suspended_account_is_refused_at_once() {
    let house = House::open().await;
    let person = house.person("ada").await;
    person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    // The row and the invalidation, as an administrator's change writes them.
    sqlx::query("UPDATE users SET status = 'suspended' WHERE id = $1")
        .bind(person.id.0)
        .execute(&house.stores.db)
        .await
        .expect("updates");
    house.forget_copies().await;
    person
        .get(&house, "/v1/me")
        .await
        .problem(401, "account_suspended");
    house
        .log_in(&person.email, PASSWORD)
        .await
        .problem(403, "account_suspended");
}

#[tokio::test]
async fn a_profile_change_applies_to_the_next_request() {
    let house = House::open().await;
    let person = house.person("ada").await;
    person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    let change = async |body: serde_json::Value| {
        Answer::of(person.request(&house, Method::PATCH, "/v1/me").json(&body)).await
    };
    let changed = change(json!({ "display_name": "  Countess  " }))
        .await
        .expect(StatusCode::OK);
    assert_eq!(changed["display_name"], "Countess");
    assert_eq!(
        person.get(&house, "/v1/me").await.expect(StatusCode::OK)["display_name"],
        "Countess"
    );
    assert_eq!(
        change(json!({})).await.expect(StatusCode::OK)["display_name"],
        "Countess"
    );
    assert!(
        change(json!({ "display_name": null }))
            .await
            .expect(StatusCode::OK)["display_name"]
            .is_null()
    );
    assert!(house.user(person.id).await.display_name.is_none());
    let events = house
        .actions()
        .await
        .iter()
        .filter(|action| *action == "account.updated:success")
        .count();
    assert_eq!(events, 2, "a request that changes nothing writes no event");
}
