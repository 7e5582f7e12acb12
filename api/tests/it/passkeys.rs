//! Passkeys: enrolment, login with a passkey alone, and invalid assertions.

use plinth_testkit::Stage;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::authenticator::Authenticator;
use crate::house::{Answer, House, Person, text};

const ORIGIN: &str = "http://localhost:8080";
const DOMAIN: &str = "localhost";

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

fn authenticator() -> Authenticator {
    Authenticator::at(ORIGIN, DOMAIN)
}

async fn start(house: &House, person: &Person) -> Value {
    person
        .post(house, "/v1/me/passkeys/start", &json!({}))
        .await
        .expect(StatusCode::OK)
}

async fn finish(
    house: &House,
    person: &Person,
    challenge: &Value,
    name: &str,
    credential: &Value,
) -> Answer {
    let body = json!({ "challenge": challenge, "name": name, "credential": credential });
    person.post(house, "/v1/me/passkeys/finish", &body).await
}

/// Tries to add a passkey.
async fn try_enrol(house: &House, person: &Person, key: &mut Authenticator, name: &str) -> Answer {
    let asked = start(house, person).await;
    let credential = key.create(&asked["public_key"]);
    finish(house, person, &asked["challenge"], name, &credential).await
}

/// Adds a passkey and returns its id.
async fn enrol(house: &House, person: &Person, key: &mut Authenticator, name: &str) -> String {
    let added = try_enrol(house, person, key, name)
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(added["passkey"]["name"], name);
    text(&added["passkey"]["id"])
}

async fn start_login(house: &House) -> Value {
    house
        .post("/v1/auth/passkeys/login/start", &json!({}))
        .await
        .expect(StatusCode::OK)
}

async fn finish_login(house: &House, challenge: &Value, credential: &Value) -> Answer {
    let body = json!({ "challenge": challenge, "credential": credential });
    house.post("/v1/auth/passkeys/login/finish", &body).await
}

async fn log_in(house: &House, key: &mut Authenticator) -> Answer {
    let asked = start_login(house).await;
    let credential = key.get(&asked["public_key"]);
    finish_login(house, &asked["challenge"], &credential).await
}

/// Returns the reasons of refused logins, the oldest first.
async fn reasons(house: &House) -> Vec<String> {
    let reasons = "SELECT details ->> 'reason' FROM audit_events WHERE action = 'session.refused' ORDER BY id";
    sqlx::query_scalar(reasons)
        .fetch_all(&house.stores.db)
        .await
        .expect("reads")
}

async fn execute(house: &House, statement: &'static str) {
    sqlx::query(statement)
        .execute(&house.stores.db)
        .await
        .expect("executes");
}

async fn refreshed(house: &House, person: Person) -> Person {
    let body = json!({ "refresh_token": person.refresh_token });
    let tokens = house
        .post("/v1/auth/refresh", &body)
        .await
        .expect(StatusCode::OK);
    Person {
        access_token: text(&tokens["access_token"]),
        refresh_token: text(&tokens["refresh_token"]),
        ..person
    }
}

#[tokio::test]
async fn several_passkeys_can_be_enrolled_named_and_removed() {
    let house = open().await;
    let (person, stranger) = (house.person("ada").await, house.person("bob").await);
    let (mut phone, mut laptop) = (authenticator(), authenticator());
    let first = enrol(&house, &person, &mut phone, "phone").await;

    let asked = start(&house, &person).await;
    let selection = &asked["public_key"]["authenticatorSelection"];
    assert_eq!(selection["residentKey"], "required");
    assert_eq!(selection["userVerification"], "required");
    let excluded = asked["public_key"]["excludeCredentials"]
        .as_array()
        .expect("a list")
        .len();
    assert_eq!(
        excluded, 1,
        "an authenticator with a passkey creates no second one"
    );
    let second = enrol(&house, &person, &mut laptop, "laptop").await;

    let listed = person
        .get(&house, "/v1/me/passkeys")
        .await
        .expect(StatusCode::OK);
    let names: Vec<_> = listed["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|key| &key["name"])
        .collect();
    assert_eq!(names, ["phone", "laptop"]);
    assert_eq!(listed["items"][0]["last_used_at"], Value::Null);

    let path = format!("/v1/me/passkeys/{first}");
    let rename = |person: &Person, name: &str| {
        Answer::of(
            person
                .request(&house, Method::PATCH, &path)
                .json(&json!({ "name": name })),
        )
    };
    assert_eq!(
        rename(&person, " old phone ").await.expect(StatusCode::OK)["name"],
        "old phone"
    );
    rename(&person, " ").await.problem(422, "validation_failed");
    rename(&stranger, "mine").await.problem(404, "not_found");
    stranger
        .delete(&house, &path)
        .await
        .problem(404, "not_found");
    person
        .delete(&house, &path)
        .await
        .expect(StatusCode::NO_CONTENT);
    person.delete(&house, &path).await.problem(404, "not_found");

    log_in(&house, &mut phone)
        .await
        .problem(401, "invalid_passkey");
    log_in(&house, &mut laptop).await.expect(StatusCode::OK);
    let listed = person
        .get(&house, "/v1/me/passkeys")
        .await
        .expect(StatusCode::OK);
    assert_eq!(text(&listed["items"][0]["id"]), second);
    assert!(listed["items"][0]["last_used_at"].is_string());
    assert_eq!(
        house.notices(person.id).await,
        ["factor_added", "factor_added", "factor_removed"]
    );
    let actions = house.actions().await;
    for action in [
        "passkey.added:success",
        "passkey.renamed:success",
        "passkey.removed:success",
    ] {
        assert!(actions.contains(&action.to_owned()), "{action}");
    }
}

#[tokio::test]
async fn a_passkey_alone_counts_as_two_factors() {
    let house = open().await;
    let person = house.person("ada").await;
    let mut key = authenticator();
    enrol(&house, &person, &mut key, "phone").await;
    let tokens = log_in(&house, &mut key).await.expect(StatusCode::OK);
    let there = Person {
        access_token: text(&tokens["access_token"]),
        ..person
    };
    let sessions = there
        .get(&house, "/v1/me/sessions")
        .await
        .expect(StatusCode::OK);
    assert_eq!(sessions["items"][0]["current"], true);
    assert_eq!(sessions["items"][0]["amr"], json!(["pop", "mfa"]));
}

#[tokio::test]
async fn a_user_who_needs_a_second_factor_can_enrol_a_passkey() {
    let house = open().await;
    execute(
        &house,
        "UPDATE roles SET requires_mfa = true WHERE name = 'member'",
    )
    .await;
    let person = house.person("ada").await;
    person
        .get(&house, "/v1/me")
        .await
        .problem(403, "second_factor_required");
    let id = enrol(&house, &person, &mut authenticator(), "phone").await;
    let person = refreshed(&house, person).await;
    person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    let sessions = person
        .get(&house, "/v1/me/sessions")
        .await
        .expect(StatusCode::OK);
    assert_eq!(sessions["items"][0]["amr"], json!(["pwd", "pop", "mfa"]));
    let path = format!("/v1/me/passkeys/{id}");
    person
        .delete(&house, &path)
        .await
        .problem(409, "second_factor_required");
    enrol(&house, &person, &mut authenticator(), "laptop").await;
    person
        .delete(&house, &path)
        .await
        .expect(StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn the_last_passkey_of_an_account_without_a_password_cannot_be_removed() {
    let house = open().await;
    let person = house.person("ada").await;
    let first = enrol(&house, &person, &mut authenticator(), "phone").await;
    let second = enrol(&house, &person, &mut authenticator(), "laptop").await;
    execute(&house, "UPDATE users SET password_hash = NULL").await;
    let (first, second) = (
        format!("/v1/me/passkeys/{first}"),
        format!("/v1/me/passkeys/{second}"),
    );
    // Concurrently: one of them is the last.
    let (one, other) = tokio::join!(
        person.delete(&house, &first),
        person.delete(&house, &second)
    );
    let (gone, stays) = if one.status == StatusCode::NO_CONTENT {
        (one, other)
    } else {
        (other, one)
    };
    gone.expect(StatusCode::NO_CONTENT);
    stays.problem(409, "no_other_credential");
    assert_eq!(house.count("passkeys").await, 1);
}

#[tokio::test]
async fn an_account_has_a_limited_number_of_passkeys() {
    let house = open().await;
    let person = house.person("ada").await;
    let late = start(&house, &person).await;
    for number in 0..20 {
        enrol(
            &house,
            &person,
            &mut authenticator(),
            &format!("key {number}"),
        )
        .await;
    }
    person
        .post(&house, "/v1/me/passkeys/start", &json!({}))
        .await
        .problem(409, "too_many_passkeys");
    let credential = authenticator().create(&late["public_key"]);
    finish(&house, &person, &late["challenge"], "late", &credential)
        .await
        .problem(409, "too_many_passkeys");
}

#[tokio::test]
async fn an_assertion_for_another_origin_is_refused() {
    let house = open().await;
    let person = house.person("ada").await;
    let mut key = authenticator();
    enrol(&house, &person, &mut key, "phone").await;
    for origin in [
        "http://localhost:8081",
        "https://localhost:8080",
        "http://evil.localhost:8080",
    ] {
        key.origin = origin.to_owned();
        log_in(&house, &mut key)
            .await
            .problem(401, "invalid_passkey");
        let mut foreign = Authenticator::at(origin, DOMAIN);
        try_enrol(&house, &person, &mut foreign, "foreign")
            .await
            .problem(422, "validation_failed");
    }
    key.origin = ORIGIN.to_owned();
    log_in(&house, &mut key).await.expect(StatusCode::OK);
    assert_eq!(reasons(&house).await, ["wrong_answer"; 3]);
}

#[tokio::test]
async fn an_assertion_for_another_domain_is_refused() {
    let house = open().await;
    let person = house.person("ada").await;
    let mut key = authenticator();
    enrol(&house, &person, &mut key, "phone").await;
    key.domain = "evil.example".to_owned();
    log_in(&house, &mut key)
        .await
        .problem(401, "invalid_passkey");
    let mut foreign = Authenticator::at(ORIGIN, "evil.example");
    try_enrol(&house, &person, &mut foreign, "foreign")
        .await
        .problem(422, "validation_failed");
    assert_eq!(house.count("passkeys").await, 1);
}

#[tokio::test]
async fn an_assertion_without_user_verification_is_refused() {
    let house = open().await;
    let person = house.person("ada").await;
    let mut key = authenticator();
    enrol(&house, &person, &mut key, "phone").await;
    key.verifies_user = false;
    log_in(&house, &mut key)
        .await
        .problem(401, "invalid_passkey");
    try_enrol(&house, &person, &mut key, "weak")
        .await
        .problem(422, "validation_failed");
    assert_eq!(house.count("passkeys").await, 1);
}

#[tokio::test]
async fn a_challenge_works_once() {
    let house = open().await;
    let person = house.person("ada").await;
    let mut key = authenticator();
    let asked = start(&house, &person).await;
    let credential = key.create(&asked["public_key"]);
    let twice = || finish(&house, &person, &asked["challenge"], "phone", &credential);
    twice().await.expect(StatusCode::CREATED);
    twice().await.problem(422, "validation_failed");

    let asked = start_login(&house).await;
    let proof = key.get(&asked["public_key"]);
    finish_login(&house, &asked["challenge"], &proof)
        .await
        .expect(StatusCode::OK);
    finish_login(&house, &asked["challenge"], &proof)
        .await
        .problem(401, "invalid_passkey");
    // An old assertion under a new challenge.
    let asked = start_login(&house).await;
    finish_login(&house, &asked["challenge"], &proof)
        .await
        .problem(401, "invalid_passkey");
    // A wrong attempt has used it up as well.
    let proof = key.get(&asked["public_key"]);
    finish_login(&house, &asked["challenge"], &proof)
        .await
        .problem(401, "invalid_passkey");
    assert_eq!(
        reasons(&house).await,
        ["unknown_challenge", "wrong_answer", "unknown_challenge"]
    );
    log_in(&house, &mut key).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_challenge_is_bound_to_its_user() {
    let house = open().await;
    let (ada, mallory) = (house.person("ada").await, house.person("mallory").await);
    let elsewhere = house.elsewhere(&ada).await;
    let asked = start(&house, &ada).await;
    let mut key = authenticator();
    let credential = key.create(&asked["public_key"]);
    for other in [&mallory, &elsewhere] {
        let refused = finish(&house, other, &asked["challenge"], "phone", &credential).await;
        refused.problem(422, "validation_failed");
    }
    // It is also bound to its purpose.
    finish_login(
        &house,
        &asked["challenge"],
        &key.get(&start_login(&house).await["public_key"]),
    )
    .await
    .problem(401, "invalid_passkey");
    finish(&house, &ada, &asked["challenge"], "phone", &credential)
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(house.count("passkeys").await, 1);
}

#[tokio::test]
async fn an_expired_challenge_is_refused() {
    let house = open().await;
    let person = house.person("ada").await;
    let mut key = authenticator();
    enrol(&house, &person, &mut key, "phone").await;
    let asked = start_login(&house).await;
    let proof = key.get(&asked["public_key"]);
    house.stores.clock.advance(time::Duration::minutes(6));
    finish_login(&house, &asked["challenge"], &proof)
        .await
        .problem(401, "invalid_passkey");
    log_in(&house, &mut key).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_decreasing_counter_is_refused() {
    let house = open().await;
    let person = house.person("ada").await;
    let mut key = authenticator();
    enrol(&house, &person, &mut key, "phone").await;
    key.keys[0].counter = 5;
    log_in(&house, &mut key).await.expect(StatusCode::OK);
    for copied in [5, 4, 0] {
        key.keys[0].counter = copied;
        log_in(&house, &mut key)
            .await
            .problem(401, "invalid_passkey");
    }
    assert_eq!(reasons(&house).await, ["counter_not_higher"; 3]);
    key.keys[0].counter = 6;
    log_in(&house, &mut key).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn only_one_of_two_assertions_with_the_same_counter_is_accepted() {
    let house = open().await;
    let person = house.person("ada").await;
    let mut key = authenticator();
    enrol(&house, &person, &mut key, "phone").await;
    // Both ceremonies start before either ends.
    let (one, other) = (start_login(&house).await, start_login(&house).await);
    let first = key.get(&one["public_key"]);
    key.keys[0].counter -= 1;
    let second = key.get(&other["public_key"]);
    let (first, second) = tokio::join!(
        finish_login(&house, &one["challenge"], &first),
        finish_login(&house, &other["challenge"], &second)
    );
    let (holds, refused) = if first.status == StatusCode::OK {
        (first, second)
    } else {
        (second, first)
    };
    holds.expect(StatusCode::OK);
    refused.problem(401, "invalid_passkey");
}

#[tokio::test]
async fn a_passkey_logs_in_only_its_owner() {
    let house = open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (mut adas, mut bobs) = (authenticator(), authenticator());
    enrol(&house, &ada, &mut adas, "phone").await;
    enrol(&house, &bob, &mut bobs, "phone").await;
    adas.keys[0].user_handle = bob.id.0.as_bytes().to_vec();
    log_in(&house, &mut adas)
        .await
        .problem(401, "invalid_passkey");
    adas.keys[0].user_handle = Vec::new();
    log_in(&house, &mut adas)
        .await
        .problem(401, "invalid_passkey");
    // Bob's key under the id of Ada's.
    let stolen = adas.keys[0].id.clone();
    bobs.keys[0].id = stolen;
    bobs.keys[0].user_handle = ada.id.0.as_bytes().to_vec();
    log_in(&house, &mut bobs)
        .await
        .problem(401, "invalid_passkey");
    bobs.keys[0].id = b"nobody's".to_vec();
    log_in(&house, &mut bobs)
        .await
        .problem(401, "invalid_passkey");
    let expected = [
        "unknown_passkey",
        "unknown_passkey",
        "wrong_answer",
        "unknown_passkey",
    ];
    assert_eq!(reasons(&house).await, expected);
}

#[tokio::test]
async fn a_passkey_belongs_to_one_account() {
    let house = open().await;
    let (ada, mallory) = (house.person("ada").await, house.person("mallory").await);
    let (mut key, mut copy) = (authenticator(), authenticator());
    enrol(&house, &ada, &mut key, "phone").await;
    copy.next_id = key.keys[0].id.clone().try_into().ok();
    try_enrol(&house, &mallory, &mut copy, "phone")
        .await
        .problem(409, "passkey_known");
    log_in(&house, &mut copy)
        .await
        .problem(401, "invalid_passkey");
    log_in(&house, &mut key).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_passkey_login_can_use_cookies() {
    let house = open().await;
    let person = house.person("ada").await;
    let mut key = authenticator();
    enrol(&house, &person, &mut key, "phone").await;
    let asked = start_login(&house).await;
    let proof = key.get(&asked["public_key"]);
    let body = json!({ "challenge": asked["challenge"], "credential": proof, "keep": "cookie" });
    let request = house
        .request(Method::POST, "/v1/auth/passkeys/login/finish")
        .json(&body);
    let foreign = request.try_clone().expect("the body can be sent again");
    Answer::of(foreign.header("origin", "https://evil.example"))
        .await
        .problem(403, "csrf_failed");
    let answer = Answer::of(request.header("origin", "http://127.0.0.1:8080")).await;
    assert!(
        answer
            .header("set-cookie")
            .is_some_and(|cookie| cookie.contains("HttpOnly"))
    );
    assert_eq!(answer.expect(StatusCode::OK)["access_token"], Value::Null);
}

#[tokio::test]
async fn a_passkey_does_not_open_a_suspended_account() {
    let house = open().await;
    let person = house.person("ada").await;
    let mut key = authenticator();
    enrol(&house, &person, &mut key, "phone").await;
    execute(&house, "UPDATE users SET status = 'suspended'").await;
    log_in(&house, &mut key)
        .await
        .problem(403, "account_suspended");
    assert_eq!(reasons(&house).await, ["account_suspended"]);
}

#[tokio::test]
async fn an_invalid_credential_is_reported_at_its_field() {
    let house = open().await;
    let person = house.person("ada").await;
    let asked = start(&house, &person).await;
    for credential in [
        json!({}),
        json!({ "id": "x", "response": { "clientDataJSON": "%" } }),
    ] {
        let refused = finish(&house, &person, &asked["challenge"], "phone", &credential).await;
        let problem = refused.problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["pointer"], "/credential");
        assert_eq!(problem["errors"][0]["code"], "invalid_credential");
        let asked = start_login(&house).await;
        finish_login(&house, &asked["challenge"], &credential)
            .await
            .problem(422, "validation_failed");
    }
    let refused = finish(
        &house,
        &person,
        &asked["challenge"],
        "phone",
        &json!("text"),
    )
    .await;
    refused.problem(422, "validation_failed");
}

#[tokio::test]
async fn without_a_domain_there_are_no_passkeys() {
    let house = House::open().await;
    let person = house.person("ada").await;
    person
        .post(&house, "/v1/me/passkeys/start", &json!({}))
        .await
        .problem(409, "passkeys_unavailable");
    house
        .post("/v1/auth/passkeys/login/start", &json!({}))
        .await
        .problem(409, "passkeys_unavailable");
    person
        .get(&house, "/v1/me/passkeys")
        .await
        .expect(StatusCode::OK);
}

/// Logs in with the password, and answers the challenge with a passkey.
async fn answer_challenge(house: &House, asked: &Value, key: &mut Authenticator) -> Answer {
    let credential = key.get(&asked["passkey_options"]);
    let body = json!({ "challenge": asked["challenge"], "credential": credential });
    house.post("/v1/auth/login/mfa", &body).await
}

#[tokio::test]
async fn a_passkey_is_the_second_factor_of_a_password() {
    let house = open().await;
    let (person, other) = (house.person("ada").await, house.person("bob").await);
    let (mut key, mut of_other) = (authenticator(), authenticator());
    let added = try_enrol(&house, &person, &mut key, "phone")
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(
        added["recovery_codes"].as_array().map(Vec::len),
        Some(10),
        "recovery codes come with the first factor"
    );
    enrol(&house, &other, &mut of_other, "phone").await;

    let asked = house
        .log_in(&person.email, crate::house::PASSWORD)
        .await
        .expect(StatusCode::OK);
    assert_eq!(asked["methods"], json!(["recovery_code", "passkey"]));
    let wrong = of_other.get(&json!({
        "challenge": asked["passkey_options"]["challenge"], "rpId": DOMAIN, "allowCredentials": [],
    }));
    let body = json!({ "challenge": asked["challenge"], "credential": wrong });
    house
        .post("/v1/auth/login/mfa", &body)
        .await
        .problem(401, "invalid_second_factor");
    let tokens = answer_challenge(&house, &asked, &mut key)
        .await
        .expect(StatusCode::OK);
    let strong = person.with(&tokens);
    let sessions = strong
        .get(&house, "/v1/me/sessions?limit=1")
        .await
        .expect(StatusCode::OK);
    assert_eq!(sessions["items"][0]["amr"], json!(["pwd", "pop", "mfa"]));
}

#[tokio::test]
async fn a_passkey_steps_up_a_session_without_a_password() {
    let house = open().await;
    let person = house.person("ada").await;
    let mut key = authenticator();
    let added = try_enrol(&house, &person, &mut key, "phone")
        .await
        .expect(StatusCode::CREATED);
    let codes = added["recovery_codes"].clone();
    house.stores.clock.advance(time::Duration::minutes(10));
    let person = refreshed(&house, person).await;
    person
        .delete(&house, "/v1/me/sessions")
        .await
        .problem(403, "step_up_required");
    let asked = person
        .post(&house, "/v1/auth/step-up", &json!({}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(asked["methods"], json!(["passkey"]));
    // A factor that was not requested does not complete it: a code alone is no step-up.
    let by_code = json!({ "challenge": asked["challenge"], "recovery_code": codes[0] });
    house
        .post("/v1/auth/login/mfa", &by_code)
        .await
        .problem(401, "invalid_second_factor");
    let tokens = answer_challenge(&house, &asked, &mut key)
        .await
        .expect(StatusCode::OK);
    let stepped = person.with(&tokens);
    assert_eq!(stepped.session_id, person.session_id);
    stepped
        .delete(&house, "/v1/me/sessions")
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn without_a_domain_a_password_alone_does_not_open_an_account_with_a_passkey() {
    let house = open().await;
    let person = house.person("ada").await;
    enrol(&house, &person, &mut authenticator(), "phone").await;
    // The same stores under settings without the domain.
    let bare = house
        .twin_with(&[
            ("PLINTH_AUTH_PASSKEY_DOMAIN", ""),
            ("PLINTH_AUTH_PASSKEY_ORIGINS", ""),
        ])
        .await;
    let asked = bare
        .log_in(&person.email, crate::house::PASSWORD)
        .await
        .expect(StatusCode::OK);
    assert_eq!(asked["methods"], json!(["recovery_code"]), "{asked}");
    execute(&house, "DELETE FROM recovery_codes").await;
    let refused = bare.log_in(&person.email, crate::house::PASSWORD).await;
    refused.problem(403, "second_factor_unavailable");
}

#[tokio::test]
async fn an_administrator_resets_passkeys_only_of_accounts_with_a_password() {
    let house = open().await;
    let (admin, ada, bob) = (
        house.administrator().await,
        house.person("ada").await,
        house.person("bob").await,
    );
    let (mut adas, mut bobs) = (authenticator(), authenticator());
    enrol(&house, &ada, &mut adas, "phone").await;
    enrol(&house, &bob, &mut bobs, "phone").await;
    bob.delete(&house, "/v1/me/password")
        .await
        .expect(StatusCode::NO_CONTENT);
    for person in [&ada, &bob] {
        let path = format!("/v1/users/{}/mfa/reset", person.id);
        let reset = admin
            .post(&house, &path, &json!({ "reason": "called back" }))
            .await;
        reset.expect(StatusCode::NO_CONTENT);
        person
            .get(&house, "/v1/me")
            .await
            .problem(401, "session_ended");
    }
    log_in(&house, &mut adas)
        .await
        .problem(401, "invalid_passkey");
    house
        .elsewhere(&ada)
        .await
        .get(&house, "/v1/me")
        .await
        .expect(StatusCode::OK);
    // Bob could not log in without a passkey.
    log_in(&house, &mut bobs).await.expect(StatusCode::OK);
}
