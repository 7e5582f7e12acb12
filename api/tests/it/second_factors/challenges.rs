//! The challenge between a password and a second factor.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{challenge, enrol, prove};
use crate::house::{Answer, House, PASSWORD, text};

#[tokio::test]
async fn a_challenge_accepts_no_code_of_another_user() {
    let house = House::open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (_, _) = enrol(&house, &ada).await;
    let (app, codes) = enrol(&house, &bob).await;
    let asked = challenge(&house, &ada).await;
    prove(&house, &asked, "code", &app.code(&house, 0))
        .await
        .problem(401, "invalid_second_factor");
    prove(&house, &asked, "recovery_code", &codes[0])
        .await
        .problem(401, "invalid_second_factor");
}

#[tokio::test]
async fn a_challenge_is_not_an_access_token() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    let asked = challenge(&house, &person).await;
    let token = text(&asked["challenge"]);
    let me = house.request(Method::GET, "/v1/me").bearer_auth(&token);
    Answer::of(me).await.problem(401, "invalid_token");
    let refresh = house
        .post("/v1/auth/refresh", &json!({ "refresh_token": token }))
        .await;
    refresh.problem(401, "invalid_refresh_token");
    // It works once.
    prove(&house, &asked, "code", &app.code(&house, 0))
        .await
        .expect(StatusCode::OK);
    prove(&house, &asked, "code", &app.code(&house, 1))
        .await
        .problem(401, "invalid_challenge");
}

#[tokio::test]
async fn an_mfa_challenge_expires() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    let asked = challenge(&house, &person).await;
    house.stores.clock.advance(time::Duration::seconds(301));
    prove(&house, &asked, "code", &app.code(&house, 0))
        .await
        .problem(401, "invalid_challenge");
}

#[tokio::test]
async fn guesses_at_a_second_factor_are_limited() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    let asked = challenge(&house, &person).await;
    for _ in 0..5 {
        prove(&house, &asked, "code", "000000")
            .await
            .problem(401, "invalid_second_factor");
    }
    prove(&house, &asked, "code", &app.code(&house, 0))
        .await
        .problem(401, "invalid_challenge");
    // A new challenge does not help: the count of the account continues.
    let mut waits = Vec::new();
    for _ in 0..6 {
        let asked = challenge(&house, &person).await;
        let answer = prove(&house, &asked, "code", "000000").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            let wait: i64 = answer
                .header("retry-after")
                .expect("seconds")
                .parse()
                .expect("a number");
            waits.push(wait);
            house.stores.clock.advance(time::Duration::seconds(wait));
        }
    }
    assert!(waits.starts_with(&[60]) && waits.is_sorted(), "{waits:?}");
    house.stores.clock.advance(time::Duration::hours(1));
    let asked = challenge(&house, &person).await;
    prove(&house, &asked, "code", &app.code(&house, 0))
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn exactly_one_proof_is_accepted() {
    let house = House::open().await;
    let body = json!({ "challenge": "x", "code": "123456", "recovery_code": "y" });
    house
        .post("/v1/auth/login/mfa", &body)
        .await
        .problem(422, "validation_failed");
    house
        .post("/v1/auth/login/mfa", &json!({ "challenge": "x" }))
        .await
        .problem(422, "validation_failed");
}

#[tokio::test]
async fn no_login_bypasses_the_second_factor() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    challenge(&house, &person).await;
    // A known device only affects delays; it is not a factor.
    let asked = challenge(&house, &person).await;
    let tokens = prove(&house, &asked, "code", &app.code(&house, 0))
        .await
        .expect(StatusCode::OK);
    let known = json!({ "email": person.email, "password": PASSWORD, "device_token": tokens["device_token"] });
    let answer = house
        .post("/v1/auth/login", &known)
        .await
        .expect(StatusCode::OK);
    assert_eq!(answer["mfa_required"], true);
    // Suspended between password and second factor.
    let asked = challenge(&house, &person).await;
    sqlx::query("UPDATE users SET status = 'suspended' WHERE id = $1")
        .bind(person.id.0)
        .execute(&house.stores.db)
        .await
        .expect("updates");
    prove(&house, &asked, "code", &app.code(&house, 1))
        .await
        .problem(403, "account_suspended");
}
