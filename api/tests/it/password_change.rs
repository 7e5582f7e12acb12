//! Changing and removing the own password in a session.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::house::{Answer, House, PASSWORD, Person, text};
use crate::mailed::RESET;

const NEW: &str = "quite another battery";
const PATH: &str = "/v1/me/password";

async fn change(house: &House, person: &Person, current: Option<&str>) -> Answer {
    let mut body = json!({ "new_password": NEW });
    if let Some(current) = current {
        body["current_password"] = json!(current);
    }
    person.put(house, PATH, &body).await
}

#[tokio::test]
async fn a_password_change_requires_the_current_password() {
    let house = House::open().await;
    let person = house.person("ada").await;
    assert_eq!(
        change(&house, &person, None).await.faults(),
        ["/current_password missing"]
    );
    let wrong = change(&house, &person, Some("not my password")).await;
    wrong.problem(422, "validation_failed");
    assert_eq!(wrong.faults(), ["/current_password wrong_password"]);
    house
        .log_in(&person.email, PASSWORD)
        .await
        .expect(StatusCode::OK);

    let changed = change(&house, &person, Some(PASSWORD))
        .await
        .expect(StatusCode::OK);
    assert!(
        changed["device_token"].is_string() && changed.get("access_token").is_none(),
        "{changed}"
    );
    house
        .log_in(&person.email, PASSWORD)
        .await
        .problem(401, "invalid_credentials");
    house
        .log_in(&person.email, NEW)
        .await
        .expect(StatusCode::OK);
    assert_eq!(house.notices(person.id).await, ["password_changed"]);
    let actions = house.actions().await;
    for action in ["password.changed:refused", "password.changed:success"] {
        assert_eq!(
            actions.iter().filter(|known| *known == action).count(),
            1,
            "{actions:?}"
        );
    }
}

#[tokio::test]
async fn guesses_at_the_current_password_are_slowed_down() {
    let house = House::open().await;
    let person = house.person("ada").await;
    for _ in 0..11 {
        change(&house, &person, Some("not my password"))
            .await
            .problem(422, "validation_failed");
    }
    change(&house, &person, Some(PASSWORD))
        .await
        .problem(429, "rate_limited");
}

#[tokio::test]
async fn a_changed_password_ends_every_other_session() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let elsewhere = house.elsewhere(&person).await;
    let key = house.api_key(person.id, "profile:read").await;
    let link = house.reset_token(&person.email).await;
    assert!(person.is_in(&house).await && elsewhere.is_in(&house).await);

    change(&house, &person, Some(PASSWORD))
        .await
        .expect(StatusCode::OK);
    assert!(
        person.is_in(&house).await,
        "the session of the change continues"
    );
    elsewhere
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    let refresh = json!({ "refresh_token": elsewhere.refresh_token });
    house
        .post("/v1/auth/refresh", &refresh)
        .await
        .problem(401, "invalid_refresh_token");
    house.try_api_key(&key).await.expect(StatusCode::OK);

    let with_keys = json!({ "current_password": NEW, "new_password": "and a third battery", "revoke_api_keys": true });
    person
        .put(&house, PATH, &with_keys)
        .await
        .expect(StatusCode::OK);
    house.try_api_key(&key).await.problem(401, "invalid_token");
    // The owner of the mailbox can still reset it.
    let reset = json!({ "token": link, "password": "and a fourth battery" });
    house.post(RESET, &reset).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_device_token_from_before_the_change_is_invalid() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let before = text(
        &house
            .log_in(&person.email, PASSWORD)
            .await
            .expect(StatusCode::OK)["device_token"],
    );
    let after = change(&house, &person, Some(PASSWORD))
        .await
        .expect(StatusCode::OK);
    // Guesses until unknown devices have to wait for minutes.
    let guess = json!({ "email": person.email, "password": "not my password" });
    let mut wait = 0;
    while wait < 120 {
        let guessed = house.post("/v1/auth/login", &guess).await;
        if guessed.status == StatusCode::TOO_MANY_REQUESTS {
            wait = guessed
                .header("retry-after")
                .and_then(|text| text.parse().ok())
                .expect("seconds");
            let passes = if wait < 120 { wait } else { 0 };
            house.stores.clock.advance(time::Duration::seconds(passes));
        }
    }
    let log_in = async |token: &str| {
        let body = json!({ "email": person.email, "password": NEW, "device_token": token });
        house.post("/v1/auth/login", &body).await
    };
    log_in(&before).await.problem(429, "rate_limited");
    log_in(&text(&after["device_token"]))
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn a_password_can_be_removed_only_if_a_passkey_remains() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let elsewhere = house.elsewhere(&person).await;
    person
        .delete(&house, PATH)
        .await
        .problem(409, "no_other_credential");
    house.passkey_row(person.id).await;
    person
        .delete(&house, PATH)
        .await
        .expect(StatusCode::NO_CONTENT);
    house
        .log_in(&person.email, PASSWORD)
        .await
        .problem(401, "invalid_credentials");
    elsewhere
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    assert_eq!(house.notices(person.id).await, ["password_removed"]);
    // An account without a password gives none.
    change(&house, &person, None).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_browser_gets_its_next_device_token_in_a_cookie() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let origin = house.stage.settings().general.public_url.to_string();
    let login = json!({ "email": person.email, "password": PASSWORD, "keep": "cookie" });
    let opened = Answer::of(
        house
            .request(reqwest::Method::POST, "/v1/auth/login")
            .header("origin", &origin)
            .json(&login),
    )
    .await;
    let cookies: Vec<_> = opened
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|value| {
            value
                .to_str()
                .expect("text")
                .split(';')
                .next()
                .expect("a pair")
                .to_owned()
        })
        .collect();
    let csrf = text(&opened.expect(StatusCode::OK)["csrf_token"]);
    let body = json!({ "current_password": PASSWORD, "new_password": NEW });
    let changed = house
        .request(reqwest::Method::PUT, PATH)
        .header("origin", &origin)
        .header("cookie", cookies.join("; "))
        .header("x-csrf-token", csrf)
        .json(&body);
    let changed = Answer::of(changed).await;
    let kept = changed.header("set-cookie").expect("a cookie").to_owned();
    assert!(
        kept.contains("device=") && kept.contains("HttpOnly"),
        "{kept}"
    );
    assert_eq!(changed.expect(StatusCode::OK)["device_token"], Value::Null);
}

#[tokio::test]
async fn sensitive_changes_require_a_recent_login() {
    let house = House::open().await;
    let person = house.person("ada").await;
    house.stores.clock.advance(time::Duration::minutes(6));
    let refresh = json!({ "refresh_token": person.refresh_token });
    let tokens = house
        .post("/v1/auth/refresh", &refresh)
        .await
        .expect(StatusCode::OK);
    let person = Person {
        access_token: text(&tokens["access_token"]),
        ..person
    };
    change(&house, &person, Some(PASSWORD))
        .await
        .problem(403, "step_up_required");
    person
        .delete(&house, PATH)
        .await
        .problem(403, "step_up_required");
    person
        .delete(&house, "/v1/me")
        .await
        .problem(403, "step_up_required");
    let email = json!({ "email": "new@example.org" });
    person
        .post(&house, "/v1/me/email", &email)
        .await
        .problem(403, "step_up_required");
    assert!(person.is_in(&house).await, "other operations still work");
}
