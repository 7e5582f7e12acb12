//! Changes of the address: verified at the new address, and undone by the old one.

use std::time::Duration;

use plinth_core::auth::{Asked, EmailChanges, SecurityNotices};
use plinth_domain::notice::SecurityNotice;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::house::{Answer, House, PASSWORD, text};
use crate::mailed::{CONFIRM, RESET, UNDO, address};

#[tokio::test]
async fn an_address_changes_once_it_is_verified() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let asked = person
        .post(
            &house,
            "/v1/me/email",
            &json!({ "email": "Next@Example.org" }),
        )
        .await;
    asked.expect(StatusCode::ACCEPTED);
    let payload: serde_json::Value =
        sqlx::query_scalar("SELECT payload FROM jobs WHERE kind = 'email.change'")
            .fetch_one(&house.stores.db)
            .await
            .expect("a job");
    assert_eq!(
        payload,
        json!({ "user_id": person.id, "email": "Next@Example.org" })
    );
    assert_eq!(
        house.user(person.id).await.email,
        person.email,
        "the address stays until then"
    );
    let link = house.reset_token(&person.email).await;

    let token = house.change_token(person.id, "Next@Example.org").await;
    house
        .present(CONFIRM, &token)
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(house.user(person.id).await.email, "Next@Example.org");
    let me = person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    assert_eq!(
        me["email"], "Next@Example.org",
        "the cache is updated at once"
    );
    house
        .log_in(&person.email, PASSWORD)
        .await
        .problem(401, "invalid_credentials");
    house
        .log_in("next@example.org", PASSWORD)
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        house.present(RESET, &link).await.faults(),
        ["/token invalid_token"],
        "links of the old mailbox"
    );
    assert_eq!(house.notices(person.id).await, ["email_changed"]);
}

#[tokio::test]
async fn a_change_of_address_can_be_undone_by_the_old_address() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let key = house.api_key(person.id, "profile:read").await;
    let token = house.change_token(person.id, "thief@example.org").await;
    house
        .present(CONFIRM, &token)
        .await
        .expect(StatusCode::NO_CONTENT);
    let undo = house.undo_token(person.id, &person.email).await;
    // A password change by the intruder does not affect the link.
    let change = json!({ "current_password": PASSWORD, "new_password": "quite another battery" });
    person
        .put(&house, "/v1/me/password", &change)
        .await
        .expect(StatusCode::OK);

    house.stores.clock.advance(time::Duration::days(6));
    house.present(UNDO, &undo).await.expect(StatusCode::OK);
    assert_eq!(house.user(person.id).await.email, person.email);
    house.try_api_key(&key).await.problem(401, "invalid_token");
    let refresh = json!({ "refresh_token": person.refresh_token });
    house
        .post("/v1/auth/refresh", &refresh)
        .await
        .problem(401, "invalid_refresh_token");
    let mailed: String = sqlx::query_scalar(
        "SELECT payload ->> 'email' FROM jobs WHERE kind = 'email.password_reset'",
    )
    .fetch_one(&house.stores.db)
    .await
    .expect("the mail to choose a new password");
    assert_eq!(mailed, person.email);
    let removed: String = sqlx::query_scalar(
        "SELECT payload ->> 'email' FROM jobs WHERE payload ->> 'notice' = 'email_removed'",
    )
    .fetch_one(&house.stores.db)
    .await
    .expect("the removed address is notified");
    assert_eq!(removed, "thief@example.org");
    assert_eq!(
        house.present(UNDO, &undo).await.faults(),
        ["/token invalid_token"]
    );
}

#[tokio::test]
async fn an_undo_removes_what_was_added_since_the_change() {
    let house = House::open().await;
    let person = house.person("ada").await;
    house.passkey_row(person.id).await;
    let own: uuid::Uuid = sqlx::query_scalar("SELECT id FROM passkeys")
        .fetch_one(&house.stores.db)
        .await
        .expect("one");
    house.stores.clock.advance(time::Duration::minutes(1));
    let token = house.change_token(person.id, "thief@example.org").await;
    house
        .present(CONFIRM, &token)
        .await
        .expect(StatusCode::NO_CONTENT);
    let undo = house.undo_token(person.id, &person.email).await;
    // Everything that an intruder may have added, written to the tables.
    house.stores.clock.advance(time::Duration::minutes(1));
    for row in [
        "INSERT INTO passkeys (id, user_id, name, credential_id, credential, created_at)
         VALUES (gen_random_uuid(), $1, 'his', sha256('his'), '{}', $2)",
        "INSERT INTO totp_factors (id, user_id, name, secret, confirmed_at, created_at)
         VALUES (gen_random_uuid(), $1, 'his', 'x', $2, $2)",
        "INSERT INTO recovery_codes (code_hash, user_id, created_at) VALUES (sha256('his'), $1, $2)",
    ] {
        let insert = sqlx::query(row)
            .bind(person.id.0)
            .bind(house.stores.clock.now());
        insert.execute(&house.stores.db).await.expect("inserts");
    }
    house.present(UNDO, &undo).await.expect(StatusCode::OK);
    let left: Vec<uuid::Uuid> = sqlx::query_scalar("SELECT id FROM passkeys")
        .fetch_all(&house.stores.db)
        .await
        .expect("reads");
    assert_eq!(left, [own], "older credentials stay");
    assert_eq!(
        (
            house.count("totp_factors").await,
            house.count("recovery_codes").await
        ),
        (0, 0)
    );
    // Events of one change have no order.
    let mut notices = house.notices(person.id).await;
    notices.sort();
    let expected = [
        "email_change_undone",
        "email_changed",
        "email_removed",
        "factor_removed",
        "factor_removed",
    ];
    assert_eq!(notices, expected);
    let actions = house.actions().await;
    for action in ["passkey.removed:success", "factor.removed:success"] {
        assert!(
            actions.contains(&action.to_owned()),
            "{action} is not in {actions:?}"
        );
    }
}

#[tokio::test]
async fn a_pending_change_ends_with_a_password_reset_and_with_an_undo() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let undo = house.undo_token(person.id, &person.email).await;
    let changes = EmailChanges::new(&house.stores, Duration::from_hours(1));
    let mailed = async |asked: Asked| {
        let next = address("thief@example.org");
        changes
            .prepare(person.id, &next, asked)
            .await
            .expect("answers")
            .is_some()
    };
    for ends in [RESET, UNDO] {
        house.stores.clock.advance(time::Duration::minutes(10));
        // The mail server is unavailable meanwhile.
        let asked = house.asked();
        house.stores.clock.advance(time::Duration::minutes(10));
        let token = if ends == UNDO {
            undo.clone()
        } else {
            house.reset_token(&person.email).await
        };
        assert!(
            house.present(ends, &token).await.status.is_success(),
            "{ends}"
        );
        assert!(!mailed(asked).await, "{ends}");
    }
    // After an undo, only the mailed link lets the owner in; then the address can be changed again.
    let recovered = json!({ "token": house.reset_token(&person.email).await, "password": "yet another battery" });
    house.post(RESET, &recovered).await.expect(StatusCode::OK);
    house.stores.clock.advance(time::Duration::minutes(1));
    assert!(mailed(house.asked()).await, "a later change is mailed");
}

#[tokio::test]
async fn the_older_address_takes_precedence() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let mut old = person.email.clone();
    let mut undo = Vec::new();
    for next in ["thief@example.org", "thief-too@example.org"] {
        let token = house.change_token(person.id, next).await;
        house
            .present(CONFIRM, &token)
            .await
            .expect(StatusCode::NO_CONTENT);
        undo.push(house.undo_token(person.id, &old).await);
        old = next.to_owned();
    }
    house.present(UNDO, &undo[1]).await.expect(StatusCode::OK);
    assert_eq!(house.user(person.id).await.email, "thief@example.org");
    house.present(UNDO, &undo[0]).await.expect(StatusCode::OK);
    assert_eq!(house.user(person.id).await.email, person.email);
}

#[tokio::test]
async fn the_first_owner_ends_the_rights_of_later_addresses() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let first = house.undo_token(person.id, &person.email).await;
    let later = house.undo_token(person.id, "thief@example.org").await;
    house.present(UNDO, &first).await.expect(StatusCode::OK);
    assert_eq!(
        house.present(UNDO, &later).await.faults(),
        ["/token invalid_token"]
    );
}

#[tokio::test]
async fn returning_to_an_earlier_address_mails_no_undo_link() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let mut old = person.email.clone();
    let mut undo = Vec::new();
    for next in ["thief@example.org", "thief-too@example.org"] {
        let token = house.change_token(person.id, next).await;
        house
            .present(CONFIRM, &token)
            .await
            .expect(StatusCode::NO_CONTENT);
        undo.push(house.undo_token(person.id, &old).await);
        old = next.to_owned();
        house.stores.clock.advance(time::Duration::minutes(1));
    }
    // The owner returns to the address without the undo link.
    let token = house.change_token(person.id, &person.email).await;
    house
        .present(CONFIRM, &token)
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(house.user(person.id).await.email, person.email);
    for undo in &undo {
        assert_eq!(
            house.present(UNDO, undo).await.faults(),
            ["/token invalid_token"]
        );
    }
    for left in ["thief@example.org", "thief-too@example.org"] {
        assert!(
            house.try_undo_token(person.id, left).await.is_none(),
            "{left}"
        );
    }
    // An address without a right to the account is free.
    house.stores.clock.advance(time::Duration::minutes(10));
    let bob = house.person("bob").await;
    assert!(
        house
            .try_change_token(bob.id, "thief-too@example.org")
            .await
            .is_some()
    );
    // The next change can be undone like any other.
    let token = house.change_token(person.id, "thief@example.org").await;
    house
        .present(CONFIRM, &token)
        .await
        .expect(StatusCode::NO_CONTENT);
    let undo = house.undo_token(person.id, &person.email).await;
    house.present(UNDO, &undo).await.expect(StatusCode::OK);
    assert_eq!(house.user(person.id).await.email, person.email);
}

#[tokio::test]
async fn returning_to_a_later_address_keeps_the_right_of_an_older_one() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let mut undo = None;
    for next in [
        "thief@example.org",
        "thief-too@example.org",
        "thief@example.org",
    ] {
        let token = house.change_token(person.id, next).await;
        house
            .present(CONFIRM, &token)
            .await
            .expect(StatusCode::NO_CONTENT);
        if undo.is_none() {
            undo = Some(house.undo_token(person.id, &person.email).await);
        }
        house.stores.clock.advance(time::Duration::minutes(6));
    }
    house
        .present(UNDO, &undo.expect("the first change"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(house.user(person.id).await.email, person.email);
    assert!(
        house
            .try_undo_token(person.id, "thief-too@example.org")
            .await
            .is_none()
    );
}

#[tokio::test]
async fn a_notice_that_is_mailed_after_the_undo_period_has_no_link() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let token = house.change_token(person.id, "next@example.org").await;
    house
        .present(CONFIRM, &token)
        .await
        .expect(StatusCode::NO_CONTENT);
    let week = Duration::from_hours(7 * 24);
    let notices = SecurityNotices::new(&house.stores, week);
    let notice = SecurityNotice::EmailChanged {
        old_email: person.email.clone(),
    };
    let asked = Asked {
        at: house.stores.clock.now(),
        again: true,
    };
    house.stores.clock.advance(time::Duration::days(6));
    let late = notices
        .prepare(person.id, &notice, asked)
        .await
        .expect("answers")
        .expect("the notice has a recipient");
    assert!(late.undo.is_some());
    // The cleanup has removed the record of whether the undo was closed.
    sqlx::query("DELETE FROM email_undos")
        .execute(&house.stores.db)
        .await
        .expect("deletes");
    house.stores.clock.advance(time::Duration::days(1));
    let later = notices
        .prepare(person.id, &notice, asked)
        .await
        .expect("answers")
        .expect("the notice has a recipient");
    assert_eq!(
        (later.to.as_str(), later.undo.is_none()),
        (person.email.as_str(), true)
    );
}

#[tokio::test]
async fn a_link_requested_by_a_stranger_changes_nothing_for_the_mailbox_owner() {
    let house = House::open().await;
    let (thief, victim) = (house.person("thief").await, house.person("ada").await);
    let admin = house.administrator().await;
    let mailbox = "ada-too@example.org";
    let token = house.change_token(thief.id, mailbox).await;
    let link = json!({ "token": token });

    house
        .post(CONFIRM, &link)
        .await
        .problem(401, "authentication_required");
    victim
        .post(&house, CONFIRM, &link)
        .await
        .problem(403, "other_account");
    let wrong = house.confirm_with(&token, "the victim's battery").await;
    assert_eq!(wrong.faults(), ["/password wrong_password"]);
    let key = house.api_key(thief.id, "profile:write").await;
    let by_key = house
        .request(Method::POST, CONFIRM)
        .bearer_auth(key)
        .json(&link);
    Answer::of(by_key).await.problem(403, "session_required");
    let path = format!("/v1/users/{}/impersonate", thief.id);
    let acting = admin
        .post(&house, &path, &json!({ "reason": "a look" }))
        .await
        .expect(StatusCode::OK);
    let acting = text(&acting["access_token"]);
    let by_acting = house
        .request(Method::POST, CONFIRM)
        .bearer_auth(acting)
        .json(&link);
    Answer::of(by_acting)
        .await
        .problem(403, "impersonation_forbidden");
    assert_eq!(house.user(thief.id).await.email, thief.email);
    assert!(
        house
            .actions()
            .await
            .contains(&"account.email_changed:refused".to_owned())
    );

    // The link is still valid for the account that requested it.
    thief
        .post(&house, CONFIRM, &link)
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(house.user(thief.id).await.email, mailbox);
    thief
        .post(&house, CONFIRM, &link)
        .await
        .problem(422, "validation_failed");
}

#[tokio::test]
async fn an_account_without_a_password_confirms_its_address_in_a_session() {
    let house = House::open().await;
    let person = house.person("ada").await;
    house.passkey_row(person.id).await;
    person
        .delete(&house, "/v1/me/password")
        .await
        .expect(StatusCode::NO_CONTENT);
    let token = house.change_token(person.id, "next@example.org").await;
    assert_eq!(
        house.confirm_with(&token, PASSWORD).await.faults(),
        ["/password wrong_password"]
    );
    person
        .post(&house, CONFIRM, &json!({ "token": token }))
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(house.user(person.id).await.email, "next@example.org");

    let token = house.change_token(person.id, "later@example.org").await;
    person
        .post(&house, "/v1/auth/logout", &json!({}))
        .await
        .expect(StatusCode::NO_CONTENT);
    person
        .post(&house, CONFIRM, &json!({ "token": token }))
        .await
        .problem(401, "session_ended");
    assert_eq!(house.user(person.id).await.email, "next@example.org");
}

#[tokio::test]
async fn password_guesses_for_a_change_are_slowed_down_and_leave_the_link_valid() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let token = house.change_token(person.id, "next@example.org").await;
    let mut wrong = 0;
    loop {
        let guess = house.confirm_with(&token, "a wrong guess").await;
        if guess.status == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        assert_eq!(guess.faults(), ["/password wrong_password"]);
        wrong += 1;
        assert!(wrong < 20, "guesses are not slowed down");
    }
    // They count for logins as well.
    assert_eq!(
        house.log_in(&person.email, PASSWORD).await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
    house.stores.clock.advance(time::Duration::minutes(15));
    house
        .present(CONFIRM, &token)
        .await
        .expect(StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_taken_address_gets_the_same_response_and_no_mail() {
    let house = House::open().await;
    let (person, other) = (house.person("ada").await, house.person("bob").await);
    for email in [other.email.as_str(), "free@example.org"] {
        let asked = person
            .post(&house, "/v1/me/email", &json!({ "email": email }))
            .await;
        assert!(asked.expect(StatusCode::ACCEPTED).is_null());
    }
    assert!(
        house
            .try_change_token(person.id, &other.email.to_uppercase())
            .await
            .is_none()
    );
    assert!(
        house
            .try_change_token(person.id, &person.email)
            .await
            .is_none(),
        "the account already has the address"
    );
    assert!(
        house
            .try_change_token(person.id, &person.email.to_uppercase())
            .await
            .is_some()
    );
}

#[tokio::test]
async fn an_address_that_was_taken_meanwhile_is_a_conflict() {
    let house = House::open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (first, second) = (
        house.change_token(ada.id, "next@example.org").await,
        house.change_token(bob.id, "next@example.org").await,
    );
    house
        .present(CONFIRM, &first)
        .await
        .expect(StatusCode::NO_CONTENT);
    house
        .present(CONFIRM, &second)
        .await
        .problem(409, "email_taken");
    assert_eq!(house.user(bob.id).await.email, bob.email);
    // Bob cannot get Ada's old address while she may restore it.
    assert!(house.try_change_token(bob.id, &ada.email).await.is_none());
    let undo = house.undo_token(ada.id, &ada.email).await;
    house.present(UNDO, &undo).await.expect(StatusCode::OK);
    assert_eq!(house.user(ada.id).await.email, ada.email);
}

#[tokio::test]
async fn an_account_can_mail_only_few_new_addresses_per_hour() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let mut mailed = 0;
    for number in 0..8 {
        let stranger = format!("stranger-{number}@example.org");
        mailed += usize::from(house.try_change_token(person.id, &stranger).await.is_some());
    }
    assert_eq!(mailed, 5);
    house.stores.clock.advance(time::Duration::minutes(61));
    house.change_token(person.id, "next@example.org").await;
}
