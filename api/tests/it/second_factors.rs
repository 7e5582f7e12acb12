//! Second factors: authenticator apps, recovery codes, the challenge, the step-up, and roles that ask for one.

use plinth_core::Resealed;
use plinth_core::access_tokens::{SigningKeys, longest_lifetime};
use plinth_core::second_factors::SecondFactors;
use plinth_domain::audit::Origin;
use plinth_domain::id::{SessionId, TotpFactorId};
use plinth_platform::crypto::RootKey;
use plinth_testkit::Stage;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use totp_rs::{Builder, Secret, Totp};

use crate::house::{Answer, House, PASSWORD, Person, text};

/// An app that knows a secret.
pub(crate) struct App(Totp);

impl App {
    pub(crate) fn with(secret: &str) -> Self {
        let secret = Secret::try_from_base32(secret).expect("base32");
        Self(Builder::new().with_secret(secret).build_noncompliant())
    }

    /// The code of so many steps from now.
    pub(crate) fn code(&self, house: &House, steps: i64) -> String {
        let now = house.stores.clock.now().unix_timestamp() + 30 * steps;
        self.0.generate(u64::try_from(now).expect("after 1970")).to_string()
    }
}

/// Enrols an app with the code of the step before, so that the one of now is still good.
pub(crate) async fn enrol(house: &House, person: &Person) -> (App, Vec<String>) {
    let started = person.post(house, "/v1/me/mfa/totp", &json!({ "name": "Phone" })).await;
    let started = started.expect(StatusCode::CREATED);
    assert!(text(&started["otpauth_uri"]).starts_with("otpauth://totp/Plinth:"), "{started}");
    assert!(text(&started["qr_svg"]).contains("<svg"));
    let app = App::with(&text(&started["secret"]));
    let path = format!("/v1/me/mfa/totp/{}/confirm", text(&started["id"]));
    person.post(house, &path, &json!({ "code": "000000" })).await.problem(422, "validation_failed");
    let confirmed = person.post(house, &path, &json!({ "code": app.code(house, -1) })).await;
    let codes = confirmed.expect(StatusCode::OK)["recovery_codes"].clone();
    (app, serde_json::from_value(codes).expect("codes"))
}

/// Enrols one more, with its path.
async fn enrol_another(house: &House, person: &Person, name: &str) -> (App, String) {
    let started = person.post(house, "/v1/me/mfa/totp", &json!({ "name": name })).await;
    let started = started.expect(StatusCode::CREATED);
    let app = App::with(&text(&started["secret"]));
    let path = format!("/v1/me/mfa/totp/{}", text(&started["id"]));
    let confirmed =
        person.post(house, &format!("{path}/confirm"), &json!({ "code": app.code(house, -1) })).await;
    assert!(confirmed.expect(StatusCode::OK)["recovery_codes"].is_null(), "there are some already");
    (app, path)
}

/// Logs in up to the challenge.
pub(crate) async fn challenge(house: &House, person: &Person) -> Value {
    let challenge = house.log_in(&person.email, PASSWORD).await.expect(StatusCode::OK);
    assert_eq!(challenge["mfa_required"], true, "{challenge}");
    assert!(challenge["access_token"].is_null(), "{challenge}");
    challenge
}

pub(crate) async fn prove(house: &House, challenge: &Value, name: &str, value: &str) -> Answer {
    house.post("/v1/auth/login/mfa", &json!({ "challenge": challenge["challenge"], name: value })).await
}

async fn refreshed(house: &House, person: &Person) -> Person {
    let body = json!({ "refresh_token": person.refresh_token });
    person.with(&house.post("/v1/auth/refresh", &body).await.expect(StatusCode::OK))
}

async fn amr(house: &House, person: &Person) -> Value {
    let sessions = person.get(house, "/v1/me/sessions").await.expect(StatusCode::OK);
    let items = sessions["items"].as_array().expect("items").clone();
    items.into_iter().find(|item| item["current"] == true).expect("the own session")["amr"].clone()
}

#[tokio::test]
async fn a_login_with_an_app_needs_its_code() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    let asked = challenge(&house, &person).await;
    assert_eq!(asked["methods"], json!(["totp", "recovery_code"]));
    prove(&house, &asked, "code", "000000").await.problem(401, "invalid_second_factor");
    let tokens = prove(&house, &asked, "code", &app.code(&house, 0)).await.expect(StatusCode::OK);
    let strong = person.with(&tokens);
    assert_eq!(amr(&house, &strong).await, json!(["pwd", "otp", "mfa"]));
    let me = strong.get(&house, "/v1/me").await.expect(StatusCode::OK);
    assert_eq!(me["has_second_factor"], true);
    let listed = strong.get(&house, "/v1/me/mfa/totp").await.expect(StatusCode::OK);
    assert_eq!(listed["items"][0]["name"], "Phone");
    assert!(listed["items"][0]["last_used_at"].is_string());
    assert!(listed["items"][0]["secret"].is_null());
    assert_eq!(house.notices(person.id).await, ["factor_added"]);
}

#[tokio::test]
async fn a_totp_code_is_accepted_once() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    let (first, second) = (challenge(&house, &person).await, challenge(&house, &person).await);
    let code = app.code(&house, 0);
    let both = tokio::join!(prove(&house, &first, "code", &code), prove(&house, &second, "code", &code));
    let statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
    assert!(statuses.contains(&200) && statuses.contains(&401), "{statuses:?}");
    // Nor is one of a step before the last that was used.
    let asked = challenge(&house, &person).await;
    prove(&house, &asked, "code", &app.code(&house, -1)).await.problem(401, "invalid_second_factor");
    prove(&house, &asked, "code", &app.code(&house, 1)).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_totp_code_is_good_in_its_step_and_beside_it() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    house.stores.clock.advance(time::Duration::minutes(10));
    for (steps, is_good) in [(-2, false), (2, false), (-1, true), (0, true), (1, true)] {
        let asked = challenge(&house, &person).await;
        let answer = prove(&house, &asked, "code", &app.code(&house, steps)).await;
        assert_eq!(answer.status == StatusCode::OK, is_good, "{steps} steps away: {}", answer.status);
    }
}

#[tokio::test]
async fn a_recovery_code_is_accepted_once() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (_, codes) = enrol(&house, &person).await;
    assert_eq!(codes.len(), 10);
    let asked = challenge(&house, &person).await;
    let typed = codes[3].to_lowercase().replace('-', " ");
    let tokens = prove(&house, &asked, "recovery_code", &typed).await.expect(StatusCode::OK);
    let strong = person.with(&tokens);
    assert_eq!(amr(&house, &strong).await, json!(["pwd", "recovery", "mfa"]));
    let asked = challenge(&house, &person).await;
    prove(&house, &asked, "recovery_code", &codes[3]).await.problem(401, "invalid_second_factor");
    prove(&house, &asked, "recovery_code", &codes[4]).await.expect(StatusCode::OK);
    let left = strong.get(&house, "/v1/me/mfa/recovery-codes").await.expect(StatusCode::OK);
    assert_eq!(left["left"], 8);
    assert_eq!(house.notices(person.id).await, ["factor_added", "recovery_code_used", "recovery_code_used"]);
}

#[tokio::test]
async fn recovery_codes_are_kept_as_hashes_and_shown_once() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (_, codes) = enrol(&house, &person).await;
    let kept: Vec<Vec<u8>> = sqlx::query_scalar("SELECT code_hash FROM recovery_codes")
        .fetch_all(&house.stores.db)
        .await
        .expect("reads");
    for code in &codes {
        assert!(kept.iter().all(|hash| !String::from_utf8_lossy(hash).contains(&code.replace('-', ""))));
    }
    let new = person.post(&house, "/v1/me/mfa/recovery-codes", &json!({})).await.expect(StatusCode::OK);
    let new: Vec<String> = serde_json::from_value(new["recovery_codes"].clone()).expect("codes");
    assert!(new.iter().all(|code| !codes.contains(code)));
    let asked = challenge(&house, &person).await;
    prove(&house, &asked, "recovery_code", &codes[0]).await.problem(401, "invalid_second_factor");
    prove(&house, &asked, "recovery_code", &new[0]).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn no_two_codes_or_seeds_are_alike() {
    let house = House::open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (_, mut codes) = enrol(&house, &ada).await;
    codes.extend(enrol(&house, &bob).await.1);
    let mut seeds = Vec::new();
    for _ in 0..5 {
        let started = ada.post(&house, "/v1/me/mfa/totp", &json!({ "name": "Another" })).await;
        seeds.push(text(&started.expect(StatusCode::CREATED)["secret"]));
    }
    for mut all in [codes, seeds] {
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}

#[tokio::test]
async fn several_apps_stand_side_by_side_and_the_last_takes_the_codes_with_it() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (first, _) = enrol(&house, &person).await;
    let (second, path) = enrol_another(&house, &person, "Tablet").await;
    for app in [&first, &second] {
        let asked = challenge(&house, &person).await;
        prove(&house, &asked, "code", &app.code(&house, 0)).await.expect(StatusCode::OK);
    }
    person.delete(&house, &path).await.expect(StatusCode::NO_CONTENT);
    person.delete(&house, &path).await.problem(404, "not_found");
    assert_eq!(house.count("recovery_codes").await, 10);
    let listed = person.get(&house, "/v1/me/mfa/totp").await.expect(StatusCode::OK);
    let last = format!("/v1/me/mfa/totp/{}", text(&listed["items"][0]["id"]));
    person.delete(&house, &last).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(house.count("recovery_codes").await, 0);
    assert!(house.log_in(&person.email, PASSWORD).await.expect(StatusCode::OK)["access_token"].is_string());
}

#[tokio::test]
async fn a_secret_is_sealed_and_an_app_without_a_first_code_asks_for_nothing() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let started = person.post(&house, "/v1/me/mfa/totp", &json!({ "name": "Phone" })).await;
    let secret = text(&started.expect(StatusCode::CREATED)["secret"]);
    let raw = Secret::try_from_base32(&secret).expect("base32");
    let kept: Vec<u8> = sqlx::query_scalar("SELECT secret FROM totp_factors")
        .fetch_one(&house.stores.db)
        .await
        .expect("reads");
    assert!(!kept.windows(raw.as_bytes().len()).any(|part| part == raw.as_bytes()));
    assert!(house.log_in(&person.email, PASSWORD).await.expect(StatusCode::OK)["access_token"].is_string());
}

#[tokio::test]
async fn a_challenge_of_one_user_takes_no_code_of_another() {
    let house = House::open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (_, _) = enrol(&house, &ada).await;
    let (app, codes) = enrol(&house, &bob).await;
    let asked = challenge(&house, &ada).await;
    prove(&house, &asked, "code", &app.code(&house, 0)).await.problem(401, "invalid_second_factor");
    prove(&house, &asked, "recovery_code", &codes[0]).await.problem(401, "invalid_second_factor");
}

#[tokio::test]
async fn a_challenge_is_no_access_token() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    let asked = challenge(&house, &person).await;
    let token = text(&asked["challenge"]);
    let me = house.request(Method::GET, "/v1/me").bearer_auth(&token);
    Answer::of(me).await.problem(401, "invalid_token");
    let refresh = house.post("/v1/auth/refresh", &json!({ "refresh_token": token })).await;
    refresh.problem(401, "invalid_refresh_token");
    // And it is good once.
    prove(&house, &asked, "code", &app.code(&house, 0)).await.expect(StatusCode::OK);
    prove(&house, &asked, "code", &app.code(&house, 1)).await.problem(401, "invalid_challenge");
}

#[tokio::test]
async fn an_mfa_challenge_ends_after_its_time() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    let asked = challenge(&house, &person).await;
    house.stores.clock.advance(time::Duration::seconds(301));
    prove(&house, &asked, "code", &app.code(&house, 0)).await.problem(401, "invalid_challenge");
}

#[tokio::test]
async fn guesses_at_a_second_factor_run_out() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    let asked = challenge(&house, &person).await;
    for _ in 0..5 {
        prove(&house, &asked, "code", "000000").await.problem(401, "invalid_second_factor");
    }
    prove(&house, &asked, "code", &app.code(&house, 0)).await.problem(401, "invalid_challenge");
    // Another challenge is no way around: the account's own count goes on, and grows.
    let mut waits = Vec::new();
    for _ in 0..6 {
        let asked = challenge(&house, &person).await;
        let answer = prove(&house, &asked, "code", "000000").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            let wait: i64 = answer.header("retry-after").expect("seconds").parse().expect("a number");
            waits.push(wait);
            house.stores.clock.advance(time::Duration::seconds(wait));
        }
    }
    assert!(waits.starts_with(&[60]) && waits.is_sorted(), "{waits:?}");
    house.stores.clock.advance(time::Duration::hours(1));
    let asked = challenge(&house, &person).await;
    prove(&house, &asked, "code", &app.code(&house, 0)).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn exactly_one_proof_is_taken() {
    let house = House::open().await;
    let body = json!({ "challenge": "x", "code": "123456", "recovery_code": "y" });
    house.post("/v1/auth/login/mfa", &body).await.problem(422, "validation_failed");
    house.post("/v1/auth/login/mfa", &json!({ "challenge": "x" })).await.problem(422, "validation_failed");
}

#[tokio::test]
async fn no_way_in_passes_by_the_second_factor() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    challenge(&house, &person).await;
    // A known device is one factor less to guess at, and no factor.
    let asked = challenge(&house, &person).await;
    let tokens = prove(&house, &asked, "code", &app.code(&house, 0)).await.expect(StatusCode::OK);
    let known =
        json!({ "email": person.email, "password": PASSWORD, "device_token": tokens["device_token"] });
    let answer = house.post("/v1/auth/login", &known).await.expect(StatusCode::OK);
    assert_eq!(answer["mfa_required"], true);
    // Suspended between the two proofs.
    let asked = challenge(&house, &person).await;
    sqlx::query("UPDATE users SET status = 'suspended' WHERE id = $1")
        .bind(person.id.0)
        .execute(&house.stores.db)
        .await
        .expect("updates");
    prove(&house, &asked, "code", &app.code(&house, 1)).await.problem(403, "account_suspended");
}

/// A role that asks for a second factor, given to somebody.
async fn require_factor(house: &House, person: &Person) {
    let role = "INSERT INTO roles (name, permissions, requires_mfa) VALUES ('guarded', '{}', true)";
    sqlx::query(role).execute(&house.stores.db).await.expect("inserts");
    sqlx::query("INSERT INTO user_roles (user_id, role) VALUES ($1, 'guarded')")
        .bind(person.id.0)
        .execute(&house.stores.db)
        .await
        .expect("inserts");
    house.forget_copies().await;
}

#[tokio::test]
async fn who_must_have_a_second_factor_can_only_enrol() {
    let house = House::open().await;
    let person = house.person("ada").await;
    require_factor(&house, &person).await;
    for path in ["/v1/me", "/v1/files", "/v1/me/sessions", "/v1/me/notifications"] {
        person.get(&house, path).await.problem(403, "second_factor_required");
    }
    person.delete(&house, "/v1/me/sessions").await.problem(403, "second_factor_required");
    enrol(&house, &person).await;
    person.get(&house, "/v1/me").await.problem(403, "second_factor_required");
    let person = refreshed(&house, &person).await;
    let me = person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    assert_eq!(me["has_second_factor"], true);
    // The last one stays while the role asks for it.
    let listed = person.get(&house, "/v1/me/mfa/totp").await.expect(StatusCode::OK);
    let last = format!("/v1/me/mfa/totp/{}", text(&listed["items"][0]["id"]));
    person.delete(&house, &last).await.problem(409, "second_factor_required");
}

#[tokio::test]
async fn sensitive_actions_need_a_fresh_login() {
    let house = House::open().await;
    let person = house.person("ada").await;
    house.stores.clock.advance(time::Duration::minutes(4));
    let person = refreshed(&house, &person).await;
    person.delete(&house, "/v1/me/sessions").await.expect(StatusCode::OK);
    house.stores.clock.advance(time::Duration::minutes(2));
    // A refresh proves nothing.
    let person = refreshed(&house, &person).await;
    person.delete(&house, "/v1/me/sessions").await.problem(403, "step_up_required");
    let stepped = person.post(&house, "/v1/auth/step-up", &json!({ "password": PASSWORD })).await;
    let person = person.with(&stepped.expect(StatusCode::OK));
    person.delete(&house, "/v1/me/sessions").await.expect(StatusCode::OK);
    let person = refreshed(&house, &person).await;
    person.delete(&house, "/v1/me/sessions").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_step_up_replaces_the_tokens_of_the_session() {
    let house = House::open().await;
    let old = house.person("ada").await;
    let wrong = json!({ "password": "a wrong guess" });
    old.post(&house, "/v1/auth/step-up", &wrong).await.problem(401, "invalid_credentials");
    old.post(&house, "/v1/auth/step-up", &json!({})).await.problem(409, "no_passkey");
    let stepped = old.post(&house, "/v1/auth/step-up", &json!({ "password": PASSWORD })).await;
    let new = old.with(&stepped.expect(StatusCode::OK));
    assert_eq!(new.session_id, old.session_id);
    old.get(&house, "/v1/me").await.problem(401, "session_ended");
    new.get(&house, "/v1/me").await.expect(StatusCode::OK);
    // A tab that did not know yet is refused and ends nothing; much later it is a theft.
    let stale = json!({ "refresh_token": old.refresh_token });
    house.post("/v1/auth/refresh", &stale).await.problem(401, "invalid_refresh_token");
    let new = refreshed(&house, &new).await;
    house.stores.clock.advance(time::Duration::seconds(30));
    house.post("/v1/auth/refresh", &stale).await.problem(401, "invalid_refresh_token");
    new.get(&house, "/v1/me").await.problem(401, "session_ended");
}

#[tokio::test]
async fn a_step_up_asks_for_the_second_factor() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    house.stores.clock.advance(time::Duration::minutes(10));
    let person = refreshed(&house, &person).await;
    let asked = person.post(&house, "/v1/auth/step-up", &json!({ "password": PASSWORD })).await;
    let asked = asked.expect(StatusCode::OK);
    assert_eq!(asked["mfa_required"], true);
    person.delete(&house, "/v1/me/sessions").await.problem(403, "step_up_required");
    let tokens = prove(&house, &asked, "code", &app.code(&house, 0)).await.expect(StatusCode::OK);
    let stepped = person.with(&tokens);
    assert_eq!(stepped.session_id, person.session_id);
    person.get(&house, "/v1/me").await.problem(401, "session_ended");
    stepped.delete(&house, "/v1/me/sessions").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn guesses_at_a_step_up_are_slowed_and_strangers_do_not_slow_it() {
    let house = House::on(Stage::open().await.with("PLINTH_API_TRUSTED_PROXIES", "127.0.0.0/8")).await;
    let person = house.person("ada").await;
    for number in 0..25 {
        let body = json!({ "email": person.email, "password": "a wrong guess" });
        let guess = house.request(Method::POST, "/v1/auth/login").json(&body);
        Answer::of(guess.header("x-forwarded-for", format!("203.0.113.{number}"))).await;
    }
    let wrong = json!({ "password": "a wrong guess" });
    for _ in 0..11 {
        person.post(&house, "/v1/auth/step-up", &wrong).await.problem(401, "invalid_credentials");
    }
    person.post(&house, "/v1/auth/step-up", &wrong).await.problem(429, "rate_limited");
}

#[tokio::test]
async fn an_administrator_resets_a_lost_factor_and_its_owner_is_told() {
    let house = House::open().await;
    let (person, admin) = (house.person("ada").await, house.administrator().await);
    enrol(&house, &person).await;
    challenge(&house, &person).await;
    let path = format!("/v1/users/{}/mfa/reset", person.id);
    admin.post(&house, &path, &json!({ "reason": "" })).await.problem(422, "validation_failed");
    let reason = json!({ "reason": "called back on the number that we have" });
    admin.post(&house, &path, &reason).await.expect(StatusCode::NO_CONTENT);
    person.get(&house, "/v1/me").await.problem(401, "session_ended");
    let person = house.elsewhere(&person).await;
    assert_eq!(person.get(&house, "/v1/me").await.expect(StatusCode::OK)["has_second_factor"], false);
    for table in ["totp_factors", "recovery_codes", "challenges"] {
        assert_eq!(house.count(table).await, 0, "{table}");
    }
    assert_eq!(house.notices(person.id).await, ["factor_added", "factors_reset"]);
    assert!(house.actions().await.contains(&"factor.reset:success".to_owned()));
}

#[tokio::test]
async fn of_two_removals_at_once_one_keeps_the_last_factor() {
    let house = House::open().await;
    let person = house.person("ada").await;
    enrol(&house, &person).await;
    enrol_another(&house, &person, "Tablet").await;
    let person = refreshed(&house, &person).await;
    require_factor(&house, &person).await;
    let listed = person.get(&house, "/v1/me/mfa/totp").await.expect(StatusCode::OK);
    let path = |place: usize| format!("/v1/me/mfa/totp/{}", text(&listed["items"][place]["id"]));
    let (first, second) = (path(0), path(1));
    let both = tokio::join!(person.delete(&house, &first), person.delete(&house, &second));
    let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409]);
}

#[tokio::test]
async fn another_factor_is_added_with_the_first_and_not_with_the_password_alone() {
    let house = House::open().await;
    let early = house.person("ada").await;
    let person = house.elsewhere(&early).await;
    enrol(&house, &person).await;
    // The session that was opened before, by the password.
    let refused = early.post(&house, "/v1/me/mfa/totp", &json!({ "name": "Intruder" })).await;
    refused.problem(403, "second_factor_required");
    early.post(&house, "/v1/me/passkeys/start", &json!({})).await.problem(409, "passkeys_unavailable");
    enrol_another(&house, &person, "Tablet").await;
}

#[tokio::test]
async fn a_reset_password_still_needs_the_second_factor() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    let token = house.reset_token(&person.email).await;
    let new = "another staple for the battery";
    let reset = json!({ "token": token, "password": new });
    let answer = house.post("/v1/auth/password/reset", &reset).await.expect(StatusCode::OK);
    assert!(answer["access_token"].is_null(), "{answer}");
    // Nor does the device that the reset made known pass by it.
    let known = json!({ "email": person.email, "password": new, "device_token": answer["device_token"] });
    let asked = house.post("/v1/auth/login", &known).await.expect(StatusCode::OK);
    assert_eq!(asked["mfa_required"], true);
    prove(&house, &asked, "code", &app.code(&house, 0)).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn an_app_and_a_signing_key_go_on_under_another_root_key() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    let secret = RootKey::generate();
    let changes = [("PLINTH_SECRET_KEY", secret.as_str())];
    let (before, settings) = (house.stage.settings(), house.stage.settings_with(&changes));
    let next = house.twin_with(&changes).await;
    let asked = challenge(&next, &person).await;
    prove(&next, &asked, "code", &app.code(&house, 0)).await.problem(500, "internal");

    let [before, root] = [&before, &settings]
        .map(|settings| RootKey::parse(&settings.general.secret_key).expect("a root key"));
    let signing_keys = SigningKeys::new(&house.stores, &root, longest_lifetime(&settings));
    let apps = SecondFactors::new(&house.stores, &settings, &root);
    for (resealed, failed) in [(1, 0), (0, 0)] {
        let expected = Resealed { resealed, failed };
        assert_eq!(signing_keys.reseal(&before).await.expect("answers"), expected);
        assert_eq!(apps.reseal(&before).await.expect("answers"), expected);
    }
    let tokens = prove(&next, &asked, "code", &app.code(&house, 0)).await.expect(StatusCode::OK);
    // The key is the same, so that what the old process has signed is taken by the new one.
    for token in [&person.access_token, &text(&tokens["access_token"])] {
        let me = next.request(Method::GET, "/v1/me").bearer_auth(token);
        Answer::of(me).await.expect(StatusCode::OK);
    }
}

#[tokio::test]
async fn an_app_is_not_added_by_a_session_that_has_just_ended() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let started = person.post(&house, "/v1/me/mfa/totp", &json!({ "name": "Phone" })).await;
    let started = started.expect(StatusCode::CREATED);
    let (app, id) = (App::with(&text(&started["secret"])), text(&started["id"]).parse().expect("an id"));
    house.elsewhere(&person).await.delete(&house, "/v1/me/sessions").await.expect(StatusCode::OK);
    // The request was let in before, and comes to the account after whoever ended its session.
    let settings = house.stage.settings();
    let root = RootKey::parse(&settings.general.secret_key).expect("a root key");
    let apps = SecondFactors::new(&house.stores, &settings, &root);
    let (origin, session) = (Origin::system(), SessionId(person.session_id));
    let late = apps.confirm_totp(&origin, person.id, session, TotpFactorId(id), &app.code(&house, 0)).await;
    assert!(
        matches!(late, Err(plinth_core::Error::Unauthenticated { code: "session_ended", .. })),
        "{late:?}"
    );
    assert!(house.log_in(&person.email, PASSWORD).await.expect(StatusCode::OK)["access_token"].is_string());
}
