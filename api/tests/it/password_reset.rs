//! Password resets, and the purposes of mailed tokens.

use std::time::Duration;

use plinth_core::auth::{Asked, SecurityNotices, Verification};
use plinth_domain::notice::SecurityNotice;
use reqwest::StatusCode;
use serde_json::json;

use crate::house::{House, PASSWORD};
use crate::mailed::{CONFIRM, RESET, UNDO, VERIFY};

const NEW: &str = "quite another battery";

#[tokio::test]
async fn a_reset_password_ends_every_session() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let elsewhere = house.elsewhere(&person).await;
    let key = house.api_key(person.id, "profile:read").await;
    let change = house.change_token(person.id, "next@example.org").await;
    let asked = house
        .post(
            "/v1/auth/password/forgot",
            &json!({ "email": person.email }),
        )
        .await;
    asked.expect(StatusCode::ACCEPTED);
    let token = house.reset_token(&person.email).await;
    assert!(person.is_in(&house).await && elsewhere.is_in(&house).await);

    house
        .post(RESET, &json!({ "token": token, "password": NEW }))
        .await
        .expect(StatusCode::OK);
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
    assert_eq!(
        house.present(CONFIRM, &change).await.faults(),
        ["/token invalid_token"]
    );
    assert_eq!(
        house.present(RESET, &token).await.faults(),
        ["/token invalid_token"],
        "the token works once"
    );
    house
        .log_in(&person.email, PASSWORD)
        .await
        .problem(401, "invalid_credentials");
    assert_eq!(house.notices(person.id).await, ["password_reset"]);
}

#[tokio::test]
async fn a_reset_verifies_the_address_as_well() {
    let house = House::open().await;
    // An account that was imported without verification.
    let email = house.verified("ada").await;
    let unverified = "UPDATE users SET email_verified_at = NULL";
    sqlx::query(unverified)
        .execute(&house.stores.db)
        .await
        .expect("updates");
    house
        .log_in(&email, crate::house::PASSWORD)
        .await
        .problem(403, "email_not_verified");
    let token = house.reset_token(&email).await;
    house
        .post(RESET, &json!({ "token": token, "password": NEW }))
        .await
        .expect(StatusCode::OK);
    house.log_in(&email, NEW).await.expect(StatusCode::OK);
    let actions = house.actions().await;
    let verified = actions
        .iter()
        .filter(|action| *action == "account.email_verified:success")
        .count();
    assert_eq!(verified, 2, "{actions:?}");
}

#[tokio::test]
async fn a_reset_token_works_for_an_hour_and_only_for_active_accounts() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let late = house.reset_token(&person.email).await;
    house.stores.clock.advance(time::Duration::minutes(61));
    assert_eq!(
        house.present(RESET, &late).await.faults(),
        ["/token invalid_token"]
    );
    let token = house.reset_token(&person.email).await;
    sqlx::query("UPDATE users SET status = 'suspended'")
        .execute(&house.stores.db)
        .await
        .expect("updates");
    assert_eq!(
        house.present(RESET, &token).await.faults(),
        ["/token invalid_token"]
    );
    house.stores.clock.advance(time::Duration::minutes(61));
    assert!(
        house
            .try_reset_token(&person.email, house.asked())
            .await
            .is_none()
    );
    assert!(
        house
            .try_reset_token("nobody@example.org", house.asked())
            .await
            .is_none()
    );
}

#[tokio::test]
async fn a_mailed_link_opens_no_session() {
    let house = House::open().await;
    let email = house.register("ada").await;
    let token = house.verification_token(&email).await;
    let verified = house.present(VERIFY, &token).await;
    let person = house.id_of(&email).await;
    let confirmed = house
        .present(
            CONFIRM,
            &house.change_token(person, "next@example.org").await,
        )
        .await;
    let undone = house
        .present(UNDO, &house.undo_token(person, &email).await)
        .await;
    let reset = house.present(RESET, &house.reset_token(&email).await).await;
    for answer in [&verified, &confirmed, &undone, &reset] {
        assert!(answer.status.is_success(), "{answer:?}");
        assert!(answer.header("set-cookie").is_none(), "{answer:?}");
    }
    let fields: Vec<_> = reset
        .json()
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect();
    assert_eq!(
        fields,
        ["device_token", "remaining_factors"],
        "a device token is not a session"
    );
    assert_eq!(house.count("sessions").await, 0);
}

#[tokio::test]
async fn a_mailed_token_works_only_for_its_purpose() {
    let house = House::open().await;
    let new = house.register("new").await;
    let people = [
        house.person("a").await,
        house.person("b").await,
        house.person("c").await,
    ];
    let tokens = [
        (VERIFY, house.verification_token(&new).await),
        (RESET, house.reset_token(&people[0].email).await),
        (
            CONFIRM,
            house.change_token(people[1].id, "next@example.org").await,
        ),
        (
            UNDO,
            house.undo_token(people[2].id, "before@example.org").await,
        ),
    ];
    for (own, token) in &tokens {
        for (other, _) in &tokens {
            if own != other {
                let refused = house.present(other, token).await;
                refused.problem(422, "validation_failed");
                assert_eq!(
                    refused.faults(),
                    ["/token invalid_token"],
                    "{own} at {other}"
                );
            }
        }
    }
    for (door, token) in &tokens {
        assert!(
            house.present(door, token).await.status.is_success(),
            "{door}"
        );
        assert_eq!(
            house.present(door, token).await.faults(),
            ["/token invalid_token"],
            "{door} twice"
        );
    }
    let kept: Vec<Vec<u8>> = sqlx::query_scalar("SELECT token_hash FROM one_time_tokens")
        .fetch_all(&house.stores.db)
        .await
        .expect("reads");
    assert!(kept.is_empty(), "{kept:?}");
}

#[tokio::test]
async fn a_mailbox_cannot_be_flooded() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let waiting = house.register("bob").await;
    let verification = Verification::new(&house.stores, Duration::from_hours(1));
    let notices = SecurityNotices::new(&house.stores, Duration::from_hours(1));
    let (bob, notice) = (
        house.registration_of(&waiting).await,
        SecurityNotice::RegistrationAttempted,
    );
    let mailed = async |asked: Asked| {
        [
            house.try_reset_token(&person.email, asked).await.is_some(),
            verification
                .prepare(bob, asked)
                .await
                .expect("answers")
                .is_some(),
            notices
                .prepare(person.id, &notice, asked)
                .await
                .expect("answers")
                .is_some(),
        ]
    };
    let first = house.asked();
    assert_eq!(mailed(first).await, [true; 3]);
    assert_eq!(
        mailed(first).await,
        [false; 3],
        "another job at the same time"
    );
    assert_eq!(
        mailed(Asked {
            again: true,
            ..first
        })
        .await,
        [true; 3],
        "a failed job is retried"
    );
    house.stores.clock.advance(time::Duration::minutes(4));
    let second = house.asked();
    assert_eq!(mailed(second).await, [false; 3]);
    assert_eq!(
        mailed(Asked {
            again: true,
            ..second
        })
        .await,
        [false; 3]
    );
    house.stores.clock.advance(time::Duration::seconds(61));
    assert_eq!(
        mailed(house.asked()).await,
        [true; 3],
        "a suppressed mail does not count"
    );
    // A mail of another kind does not count either.
    house.change_token(person.id, "next@example.org").await;

    let other = house.person("cyn").await;
    let many = (0..8).map(|_| house.try_reset_token(&other.email, house.asked()));
    let sent = futures_util::future::join_all(many)
        .await
        .into_iter()
        .flatten()
        .count();
    assert_eq!(sent, 1, "eight concurrent requests");
}
