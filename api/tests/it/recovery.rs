//! Recovery of an account from an intruder: by a password reset, by the undo of a change of
//! address, and by an administrator.

use plinth_testkit::Stage;
use reqwest::StatusCode;
use serde_json::{Value, json};
use time::Duration;

use crate::authenticator::Authenticator;
use crate::house::{Answer, House, PASSWORD, Person, text};
use crate::mailed::{CONFIRM, RESET, UNDO};
use crate::requests::{DOMAIN, ORIGIN};
use crate::second_factors::{App, challenge, enrol, prove};

const NEW: &str = "quite another battery";
const UNDO_MFA: &str = "/v1/auth/email/undo/mfa";

async fn open() -> House {
    let stage = Stage::open()
        .await
        .with("PLINTH_AUTH_PASSKEY_DOMAIN", DOMAIN);
    House::on(stage.with("PLINTH_AUTH_PASSKEY_ORIGINS", ORIGIN)).await
}

/// Adds a passkey to the account of the session.
pub(crate) async fn add_passkey(house: &House, person: &Person, name: &str) -> Authenticator {
    let mut key = Authenticator::at(ORIGIN, DOMAIN);
    let asked = person
        .post(house, "/v1/me/passkeys/start", &json!({}))
        .await
        .expect(StatusCode::OK);
    let credential = key.create(&asked["public_key"]);
    let body = json!({ "challenge": asked["challenge"], "name": name, "credential": credential });
    person
        .post(house, "/v1/me/passkeys/finish", &body)
        .await
        .expect(StatusCode::CREATED);
    key
}

async fn log_in_by_passkey(house: &House, key: &mut Authenticator) -> Answer {
    let asked = house
        .post("/v1/auth/passkeys/login/start", &json!({}))
        .await
        .expect(StatusCode::OK);
    let credential = key.get(&asked["public_key"]);
    let body = json!({ "challenge": asked["challenge"], "credential": credential });
    house.post("/v1/auth/passkeys/login/finish", &body).await
}

/// Logs in with the password and the app.
async fn log_in_with_app(house: &House, person: &Person, app: &App) -> Person {
    let asked = challenge(house, person).await;
    person.with(
        &prove(house, &asked, "code", &app.code(house, 0))
            .await
            .expect(StatusCode::OK),
    )
}

/// Changes the address of the account. Returns the token that undoes it.
pub(crate) async fn change_address(house: &House, person: &Person, next: &str) -> String {
    change_address_with(house, person, next, PASSWORD).await
}

/// Changes the address of an account with this password.
async fn change_address_with(house: &House, person: &Person, next: &str, password: &str) -> String {
    let token = house.change_token(person.id, next).await;
    house
        .confirm_with(&token, password)
        .await
        .expect(StatusCode::NO_CONTENT);
    house.undo_token(person.id, &person.email).await
}

/// Returns the remaining factors of a response, as `kind name suspended`.
fn remaining(answer: &Value) -> Vec<String> {
    let factors = answer["remaining_factors"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"));
    let told = |factor: &Value| {
        format!(
            "{} {} {}",
            text(&factor["kind"]),
            factor["name"].as_str().unwrap_or("-"),
            factor["suspended"]
        )
    };
    factors.iter().map(told).collect()
}

#[tokio::test]
async fn a_reset_removes_the_passkey_of_an_intruder() {
    let house = open().await;
    let person = house.person("ada").await;
    let thief = house.elsewhere(&person).await;
    let mut stolen = add_passkey(&house, &thief, "thief's").await;
    log_in_by_passkey(&house, &mut stolen)
        .await
        .expect(StatusCode::OK);
    let reset = house
        .present(RESET, &house.reset_token(&person.email).await)
        .await
        .expect(StatusCode::OK);
    assert_eq!(remaining(&reset), Vec::<String>::new());
    log_in_by_passkey(&house, &mut stolen)
        .await
        .problem(401, "invalid_passkey");
    let owner = house
        .log_in(&person.email, NEW)
        .await
        .expect(StatusCode::OK);
    assert!(
        owner["access_token"].is_string(),
        "no factor of the intruder is required: {owner}"
    );
    let told = house.notices(person.id).await;
    for notice in ["factor_removed", "password_reset"] {
        assert!(told.contains(&notice.to_owned()), "{told:?}");
    }
}

/// Guesses at the password of an address until unknown devices have to wait for a minute.
async fn lock_unknown_devices_out(house: &House, email: &str) {
    let mut wait = 0;
    while wait < 60 {
        let guessed = house.log_in(email, "not my password").await;
        if guessed.status == StatusCode::TOO_MANY_REQUESTS {
            wait = guessed
                .header("retry-after")
                .and_then(|text| text.parse().ok())
                .expect("seconds");
            let passes = if wait < 60 { wait } else { 0 };
            house.stores.clock.advance(Duration::seconds(passes));
        }
    }
}

#[tokio::test]
async fn every_recovery_removes_the_access_of_an_intruder() {
    let house = House::open().await;
    let admin = house.administrator().await;
    for way in ["reset", "undo", "administrator"] {
        let person = house.person("ada").await;
        house.stores.clock.advance(Duration::minutes(1));
        let undo = if way == "undo" {
            Some(change_address(&house, &person, &format!("{way}@example.org")).await)
        } else {
            None
        };
        let email = house.user(person.id).await.email;
        let login = house.log_in(&email, PASSWORD).await.expect(StatusCode::OK);
        let thief = Person {
            email,
            ..person.with(&login)
        };
        let file = thief.upload(&house, "a.txt", b"some text".to_vec()).await;
        let links = format!("/v1/files/{}/links", text(&file["id"]));
        let link = thief
            .post(&house, &links, &json!({}))
            .await
            .expect(StatusCode::CREATED);
        let link = format!("/v1/links/{}/content", text(&link["token"]));
        assert_eq!(house.get(&link).await.status, StatusCode::OK);
        let (app, _) = enrol(&house, &thief).await;
        let pending = challenge(&house, &thief).await;
        let change = house
            .change_token(person.id, &format!("{way}-next@example.org"))
            .await;
        lock_unknown_devices_out(&house, &person.email).await;
        let on_device = json!({
            "email": person.email, "password": "not my password", "device_token": login["device_token"],
        });
        if undo.is_none() {
            house
                .post("/v1/auth/login", &on_device)
                .await
                .problem(401, "invalid_credentials");
        }

        let recovered = match (way, &undo) {
            (_, Some(undo)) => house.present(UNDO, undo).await,
            ("reset", _) => {
                house
                    .present(RESET, &house.reset_token(&person.email).await)
                    .await
            }
            _ => {
                let admin = house.elsewhere(&admin).await;
                let path = format!("/v1/users/{}/password/reset", person.id);
                admin
                    .post(&house, &path, &json!({ "reason": "called back" }))
                    .await
            }
        };
        recovered.expect(StatusCode::OK);
        house.get(&link).await.problem(404, "not_found");
        prove(&house, &pending, "code", &app.code(&house, 0))
            .await
            .problem(401, "invalid_challenge");
        house
            .post("/v1/auth/login", &on_device)
            .await
            .problem(429, "rate_limited");
        assert_eq!(
            house.present(CONFIRM, &change).await.faults(),
            ["/token invalid_token"],
            "{way}"
        );
        assert_eq!(
            house
                .count("one_time_tokens WHERE purpose = 'change_email'")
                .await,
            0,
            "{way}"
        );
    }
}

#[tokio::test]
async fn a_reset_suspends_new_factors_until_an_older_one_is_used() {
    let house = open().await;
    let person = house.person("ada").await;
    let (app, codes) = enrol(&house, &person).await;
    house.stores.clock.advance(Duration::days(8));
    let thief = log_in_with_app(&house, &person, &app).await;
    let mut stolen = add_passkey(&house, &thief, "thief's").await;

    let reset = house
        .present(RESET, &house.reset_token(&person.email).await)
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        remaining(&reset),
        [
            "totp Phone false",
            "recovery_codes - false",
            "passkey thief's true"
        ]
    );
    log_in_by_passkey(&house, &mut stolen)
        .await
        .problem(401, "invalid_passkey");
    let asked = house
        .log_in(&person.email, NEW)
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        asked["methods"],
        json!(["totp", "recovery_code"]),
        "{asked}"
    );
    assert_eq!(
        house.count("passkeys").await,
        1,
        "the owner has not used an older factor yet"
    );

    let tokens = prove(&house, &asked, "recovery_code", &codes[0])
        .await
        .expect(StatusCode::OK);
    assert_eq!(house.count("passkeys").await, 0);
    assert!(
        house
            .notices(person.id)
            .await
            .contains(&"factor_removed".to_owned())
    );
    assert!(
        house
            .actions()
            .await
            .contains(&"passkey.removed:success".to_owned())
    );
    let apps = person
        .with(&tokens)
        .get(&house, "/v1/me/mfa/totp")
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        apps["items"].as_array().map(Vec::len),
        Some(1),
        "older factors stay"
    );
}

#[tokio::test]
async fn suspended_codes_and_apps_are_not_accepted() {
    let house = open().await;
    let person = house.person("ada").await;
    let mut own = add_passkey(&house, &person, "own").await;
    house.stores.clock.advance(Duration::days(8));
    let tokens = log_in_by_passkey(&house, &mut own)
        .await
        .expect(StatusCode::OK);
    let thief = person.with(&tokens);
    let (app, _) = enrol_one_more(&house, &thief).await;
    let codes = thief
        .post(&house, "/v1/me/mfa/recovery-codes", &json!({}))
        .await
        .expect(StatusCode::OK);
    let code = text(&codes["recovery_codes"][0]);

    let reset = house
        .present(RESET, &house.reset_token(&person.email).await)
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        remaining(&reset),
        [
            "totp Thief true",
            "recovery_codes - true",
            "passkey own false"
        ]
    );
    let asked = house
        .log_in(&person.email, NEW)
        .await
        .expect(StatusCode::OK);
    assert_eq!(asked["methods"], json!(["passkey"]));
    prove(&house, &asked, "code", &app.code(&house, 0))
        .await
        .problem(401, "invalid_second_factor");
    prove(&house, &asked, "recovery_code", &code)
        .await
        .problem(401, "invalid_second_factor");
    log_in_by_passkey(&house, &mut own)
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (
            house.count("totp_factors").await,
            house.count("recovery_codes").await
        ),
        (0, 0)
    );
}

/// Enrols an app in a session that was verified by another factor.
async fn enrol_one_more(house: &House, person: &Person) -> (App, String) {
    let started = person
        .post(house, "/v1/me/mfa/totp", &json!({ "name": "Thief" }))
        .await;
    let started = started.expect(StatusCode::CREATED);
    let (app, id) = (App::with(&text(&started["secret"])), text(&started["id"]));
    let path = format!("/v1/me/mfa/totp/{id}/confirm");
    let confirmed = person
        .post(house, &path, &json!({ "code": app.code(house, -1) }))
        .await;
    confirmed.expect(StatusCode::OK);
    (app, id)
}

#[tokio::test]
async fn after_an_undo_only_the_mailed_link_lets_the_owner_in() {
    let house = open().await;
    let person = house.person("ada").await;
    let key = house.api_key(person.id, "profile:read").await;
    // The intruder has the password, and prepared for the undo before the change.
    let thief = house.elsewhere(&person).await;
    let mut stolen = add_passkey(&house, &thief, "thief's").await;
    house.stores.clock.advance(Duration::minutes(1));
    let undo = change_address(&house, &person, "thief@example.org").await;

    let undone = house.present(UNDO, &undo).await.expect(StatusCode::OK);
    assert_eq!(remaining(&undone)[0], "recovery_codes - false", "{undone}");
    house
        .log_in(&person.email, PASSWORD)
        .await
        .problem(401, "invalid_credentials");
    log_in_by_passkey(&house, &mut stolen)
        .await
        .problem(403, "recovery_pending");
    thief
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    house.try_api_key(&key).await.problem(401, "invalid_token");
    assert!(
        house
            .notices(person.id)
            .await
            .contains(&"email_change_undone".to_owned())
    );

    let token = house.reset_token(&person.email).await;
    let same = house
        .post(RESET, &json!({ "token": token, "password": PASSWORD }))
        .await;
    assert_eq!(
        same.faults(),
        ["/password password_unchanged"],
        "the intruder knows the password"
    );
    let reset = house.present(RESET, &token).await.expect(StatusCode::OK);
    assert_eq!(
        remaining(&reset),
        Vec::<String>::new(),
        "factors from just before the change are removed as well"
    );
    log_in_by_passkey(&house, &mut stolen)
        .await
        .problem(401, "invalid_passkey");
    let owner = house
        .log_in(&person.email, NEW)
        .await
        .expect(StatusCode::OK);
    assert!(owner["access_token"].is_string(), "{owner}");
    assert_eq!(house.user(person.id).await.email, person.email);
}

#[tokio::test]
async fn an_undo_requires_a_factor_that_is_older_than_the_change() {
    let house = open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    let mut own = {
        let tokens = house
            .post(
                "/v1/auth/refresh",
                &json!({ "refresh_token": person.refresh_token }),
            )
            .await;
        add_passkey(&house, &person.with(&tokens.expect(StatusCode::OK)), "own").await
    };
    house.stores.clock.advance(Duration::days(8));
    for (by_passkey, password) in [(false, PASSWORD), (true, NEW)] {
        house.stores.clock.advance(Duration::hours(2));
        let undo = change_address_with(&house, &person, "next@example.org", password).await;
        let asked = house.present(UNDO, &undo).await.expect(StatusCode::OK);
        assert_eq!(asked["mfa_required"], true, "{asked}");
        assert_eq!(
            asked["methods"],
            json!(["totp", "recovery_code", "passkey"])
        );
        assert_eq!(
            house.user(person.id).await.email,
            "next@example.org",
            "the change is not undone yet"
        );
        let wrong = json!({ "challenge": asked["challenge"], "code": "000000" });
        house
            .post(UNDO_MFA, &wrong)
            .await
            .problem(401, "invalid_second_factor");
        // The challenge works for the undo only.
        prove(&house, &asked, "code", &app.code(&house, 0))
            .await
            .problem(401, "invalid_challenge");
        let proof = if by_passkey {
            json!({ "challenge": asked["challenge"], "credential": own.get(&asked["passkey_options"]) })
        } else {
            json!({ "challenge": asked["challenge"], "code": app.code(&house, 0) })
        };
        let undone = house.post(UNDO_MFA, &proof).await.expect(StatusCode::OK);
        assert_eq!(remaining(&undone).len(), 3, "{undone}");
        assert_eq!(house.user(person.id).await.email, person.email);
        house
            .post(UNDO_MFA, &proof)
            .await
            .problem(401, "invalid_challenge");
        assert_eq!(
            house.present(UNDO, &undo).await.faults(),
            ["/token invalid_token"]
        );
        assert!(
            house
                .try_change_token(person.id, "later@example.org")
                .await
                .is_none(),
            "not before the reset"
        );
        if !by_passkey {
            let token = house.reset_token(&person.email).await;
            house.present(RESET, &token).await.expect(StatusCode::OK);
        }
    }
}

#[tokio::test]
async fn an_undo_does_not_require_a_factor_that_an_intruder_added_before_the_change() {
    let house = open().await;
    let person = house.person("ada").await;
    enrol(&house, &person).await;
    house.stores.clock.advance(Duration::days(6));
    let undo = change_address(&house, &person, "thief@example.org").await;
    let undone = house.present(UNDO, &undo).await.expect(StatusCode::OK);
    assert!(undone["mfa_required"].is_null(), "{undone}");
    // The reset does not trust it either, even if the owner uses the link a week later.
    house.stores.clock.advance(Duration::days(6));
    let reset = house
        .present(RESET, &house.reset_token(&person.email).await)
        .await
        .expect(StatusCode::OK);
    assert_eq!(remaining(&reset), Vec::<String>::new());
}

#[tokio::test]
async fn an_address_that_can_be_restored_cannot_be_taken() {
    let house = House::open().await;
    let (person, bob) = (house.person("ada").await, house.person("bob").await);
    let undo = change_address(&house, &person, "thief@example.org").await;
    // The intruder registers the old address, or changes another account to it.
    let registration = house.register_as(&person.email, PASSWORD).await;
    if let Some(token) = house.try_verification_token(registration).await {
        house
            .verify(&token, PASSWORD)
            .await
            .problem(409, "email_taken");
    }
    assert!(
        house
            .try_change_token(bob.id, &person.email)
            .await
            .is_none()
    );
    house.present(UNDO, &undo).await.expect(StatusCode::OK);
    assert_eq!(house.user(person.id).await.email, person.email);
    // The address that the undo removed is free at once.
    house.stores.clock.advance(Duration::minutes(10));
    assert!(
        house
            .try_change_token(bob.id, "thief@example.org")
            .await
            .is_some()
    );
}

#[tokio::test]
async fn an_address_is_free_once_it_can_no_longer_be_restored() {
    let house = House::open().await;
    let (person, bob) = (house.person("ada").await, house.person("bob").await);
    // Confirmed before, so that only the last step is late.
    let undo = change_address(&house, &person, "next@example.org").await;
    house
        .stores
        .clock
        .advance(Duration::days(7) + Duration::minutes(1));
    let token = house.change_token(bob.id, &person.email).await;
    house
        .present(CONFIRM, &token)
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(
        house.present(UNDO, &undo).await.faults(),
        ["/token invalid_token"]
    );
}

#[tokio::test]
async fn an_owner_with_two_factors_can_make_a_change_of_address_final() {
    let house = open().await;
    let person = house.person("ada").await;
    let path = "/v1/me/email/undo";
    person
        .delete(&house, path)
        .await
        .problem(403, "second_factor_required");
    let (app, _) = enrol(&house, &person).await;
    house.stores.clock.advance(Duration::days(2));
    let undo = change_address(&house, &person, "next@example.org").await;
    let moved = Person {
        email: "next@example.org".to_owned(),
        ..person
    };
    let session = log_in_with_app(&house, &moved, &app).await;
    session
        .delete(&house, path)
        .await
        .problem(409, "second_factor_too_new");
    house
        .stores
        .clock
        .advance(Duration::days(5) + Duration::minutes(5));
    // A change whose mail has not been sent yet.
    let token = house.change_token(moved.id, "third@example.org").await;
    house
        .present(CONFIRM, &token)
        .await
        .expect(StatusCode::NO_CONTENT);
    let session = log_in_with_app(
        &house,
        &Person {
            email: "third@example.org".to_owned(),
            ..moved
        },
        &app,
    )
    .await;
    session
        .delete(&house, path)
        .await
        .expect(StatusCode::NO_CONTENT);
    session.delete(&house, path).await.problem(404, "not_found");
    assert_eq!(
        house.present(UNDO, &undo).await.faults(),
        ["/token invalid_token"]
    );
    assert!(
        house
            .try_undo_token(session.id, "next@example.org")
            .await
            .is_none(),
        "no link is mailed"
    );
    assert!(
        house
            .notices(session.id)
            .await
            .contains(&"email_undo_waived".to_owned())
    );
    assert!(
        house
            .actions()
            .await
            .contains(&"account.email_undo_waived:success".to_owned())
    );
    let bob = house.person("bob").await;
    assert!(
        house
            .try_change_token(bob.id, "next@example.org")
            .await
            .is_some(),
        "the address is free"
    );
}

#[tokio::test]
async fn an_administrator_recovers_an_account_for_its_owner() {
    let house = open().await;
    let (admin, person) = (house.administrator().await, house.person("ada").await);
    let key = house.api_key(person.id, "profile:read").await;
    enrol(&house, &person).await;
    let tokens = house
        .post(
            "/v1/auth/refresh",
            &json!({ "refresh_token": person.refresh_token }),
        )
        .await;
    let person = person.with(&tokens.expect(StatusCode::OK));
    let mut stolen = add_passkey(&house, &person, "thief's").await;
    house.stores.clock.advance(Duration::days(30));
    let admin = house.elsewhere(&admin).await;
    let person = person.with(
        &log_in_by_passkey(&house, &mut stolen)
            .await
            .expect(StatusCode::OK),
    );

    let path = format!("/v1/users/{}/password/reset", person.id);
    let reason = json!({ "reason": "came to the office with a passport" });
    let reset = admin
        .post(&house, &path, &reason)
        .await
        .expect(StatusCode::OK);
    assert_eq!(remaining(&reset), Vec::<String>::new());
    person
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    house.try_api_key(&key).await.problem(401, "invalid_token");
    house
        .log_in(&person.email, PASSWORD)
        .await
        .problem(401, "invalid_credentials");
    log_in_by_passkey(&house, &mut stolen)
        .await
        .problem(401, "invalid_passkey");
    for table in ["passkeys", "totp_factors", "recovery_codes"] {
        assert_eq!(house.count(table).await, 0, "{table}");
    }
    let mailed: String = sqlx::query_scalar(
        "SELECT payload ->> 'email' FROM jobs WHERE kind = 'email.password_reset'",
    )
    .fetch_one(&house.stores.db)
    .await
    .expect("the mail to choose a new password");
    assert_eq!(mailed, person.email);
    assert!(
        house
            .notices(person.id)
            .await
            .contains(&"account_reset".to_owned())
    );
    assert!(
        house
            .actions()
            .await
            .contains(&"account.reset:success".to_owned())
    );
    let token = house.reset_token(&person.email).await;
    house.present(RESET, &token).await.expect(StatusCode::OK);
    house
        .log_in(&person.email, NEW)
        .await
        .expect(StatusCode::OK);

    let own = format!("/v1/users/{}/password/reset", admin.id);
    admin
        .post(&house, &own, &reason)
        .await
        .problem(409, "own_account");
    let support = house
        .official(&admin, "support", &["users:read", "users:write"])
        .await;
    support
        .post(&house, &own, &reason)
        .await
        .problem(403, "permission_denied");
    admin.get(&house, "/v1/me").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn the_current_password_is_refused_and_invalidates_no_link() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let link = house.reset_token(&person.email).await;
    let same = json!({ "current_password": PASSWORD, "new_password": PASSWORD });
    let refused = person.put(&house, "/v1/me/password", &same).await;
    assert_eq!(refused.faults(), ["/new_password password_unchanged"]);
    // A new password does not either: an intruder may change it, but the owner has the mailbox.
    let other = json!({ "current_password": PASSWORD, "new_password": "an intruder's battery" });
    person
        .put(&house, "/v1/me/password", &other)
        .await
        .expect(StatusCode::OK);
    // The intruder may know the previous one, too.
    for known in ["an intruder's battery", PASSWORD] {
        let same = house
            .post(RESET, &json!({ "token": link, "password": known }))
            .await;
        assert_eq!(same.faults(), ["/password password_unchanged"], "{known}");
    }
    house.present(RESET, &link).await.expect(StatusCode::OK);
    house
        .log_in(&person.email, NEW)
        .await
        .expect(StatusCode::OK);
    // After the recovery period, an earlier password may be chosen again.
    house.stores.clock.advance(Duration::days(8));
    let link = house.reset_token(&person.email).await;
    house
        .post(RESET, &json!({ "token": link, "password": PASSWORD }))
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn an_undone_or_replaced_change_of_address_invalidates_no_link() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let link = house.reset_token(&person.email).await;
    let undo = change_address(&house, &person, "thief@example.org").await;
    let thiefs = house.reset_token("thief@example.org").await;
    assert_eq!(
        house.present(RESET, &link).await.faults(),
        ["/token invalid_token"],
        "links of the old mailbox"
    );
    house.present(UNDO, &undo).await.expect(StatusCode::OK);
    assert_eq!(
        house.present(RESET, &thiefs).await.faults(),
        ["/token invalid_token"]
    );
    house.present(RESET, &link).await.expect(StatusCode::OK);

    let bob = house.person("bob").await;
    let link = house.reset_token(&bob.email).await;
    for next in ["second@example.org", &bob.email] {
        house.stores.clock.advance(Duration::minutes(1));
        house
            .present(CONFIRM, &house.change_token(bob.id, next).await)
            .await
            .expect(StatusCode::NO_CONTENT);
    }
    house.present(RESET, &link).await.expect(StatusCode::OK);
}
