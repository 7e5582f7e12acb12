//! Second factors and resets: by an administrator, and of the password.

use reqwest::StatusCode;
use serde_json::json;

use super::{challenge, enrol, prove};
use crate::house::House;

#[tokio::test]
async fn an_administrator_resets_a_lost_factor_and_its_owner_is_notified() {
    let house = House::open().await;
    let (person, admin) = (house.person("ada").await, house.administrator().await);
    enrol(&house, &person).await;
    challenge(&house, &person).await;
    let path = format!("/v1/users/{}/mfa/reset", person.id);
    admin
        .post(&house, &path, &json!({ "reason": "" }))
        .await
        .problem(422, "validation_failed");
    let reason = json!({ "reason": "called back on the number that we have" });
    admin
        .post(&house, &path, &reason)
        .await
        .expect(StatusCode::NO_CONTENT);
    person
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    let person = house.elsewhere(&person).await;
    assert_eq!(
        person.get(&house, "/v1/me").await.expect(StatusCode::OK)["has_second_factor"],
        false
    );
    for table in ["totp_factors", "recovery_codes", "challenges"] {
        assert_eq!(house.count(table).await, 0, "{table}");
    }
    assert_eq!(
        house.notices(person.id).await,
        ["factor_added", "factors_reset"]
    );
    assert!(
        house
            .actions()
            .await
            .contains(&"factor.reset:success".to_owned())
    );
}

#[tokio::test]
async fn a_password_reset_does_not_bypass_the_second_factor() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    house.stores.clock.advance(time::Duration::days(8));
    let token = house.reset_token(&person.email).await;
    let new = "another staple for the battery";
    let reset = json!({ "token": token, "password": new });
    let answer = house
        .post("/v1/auth/password/reset", &reset)
        .await
        .expect(StatusCode::OK);
    assert!(answer["access_token"].is_null(), "{answer}");
    // The device token of the reset does not bypass it either.
    let known =
        json!({ "email": person.email, "password": new, "device_token": answer["device_token"] });
    let asked = house
        .post("/v1/auth/login", &known)
        .await
        .expect(StatusCode::OK);
    assert_eq!(asked["mfa_required"], true);
    prove(&house, &asked, "code", &app.code(&house, 0))
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn an_administrator_cannot_reset_their_own_factors() {
    let house = House::open().await;
    let admin = house.administrator().await;
    enrol(&house, &admin).await;
    let path = format!("/v1/users/{}/mfa/reset", admin.id);
    admin
        .post(&house, &path, &json!({ "reason": "mine" }))
        .await
        .problem(409, "own_account");
    let me = admin.get(&house, "/v1/me").await.expect(StatusCode::OK);
    assert_eq!(me["has_second_factor"], true);
}
