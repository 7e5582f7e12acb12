//! Authenticator apps: codes, secrets and enrolment.

use std::time::Duration;

use plinth_core::Resealed;
use plinth_core::access_tokens::{SigningKeys, longest_lifetime};
use plinth_core::second_factors::SecondFactors;
use plinth_platform::crypto::RootKey;
use reqwest::{Method, StatusCode};
use serde_json::json;
use totp_rs::Secret;

use super::{amr, challenge, enrol, enrol_another, prove};
use crate::house::{Answer, House, PASSWORD, text};

#[tokio::test]
async fn a_login_with_an_app_requires_its_code() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    let asked = challenge(&house, &person).await;
    assert_eq!(asked["methods"], json!(["totp", "recovery_code"]));
    prove(&house, &asked, "code", "000000")
        .await
        .problem(401, "invalid_second_factor");
    let tokens = prove(&house, &asked, "code", &app.code(&house, 0))
        .await
        .expect(StatusCode::OK);
    let strong = person.with(&tokens);
    assert_eq!(amr(&house, &strong).await, json!(["pwd", "otp", "mfa"]));
    let me = strong.get(&house, "/v1/me").await.expect(StatusCode::OK);
    assert_eq!(me["has_second_factor"], true);
    let listed = strong
        .get(&house, "/v1/me/mfa/totp")
        .await
        .expect(StatusCode::OK);
    assert_eq!(listed["items"][0]["name"], "Phone");
    assert!(listed["items"][0]["last_used_at"].is_string());
    assert!(listed["items"][0]["secret"].is_null());
    assert_eq!(house.notices(person.id).await, ["factor_added"]);
}

#[tokio::test]
async fn a_totp_code_works_once() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    let (first, second) = (
        challenge(&house, &person).await,
        challenge(&house, &person).await,
    );
    let code = app.code(&house, 0);
    let both = tokio::join!(
        prove(&house, &first, "code", &code),
        prove(&house, &second, "code", &code)
    );
    let statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
    assert!(
        statuses.contains(&200) && statuses.contains(&401),
        "{statuses:?}"
    );
    // A code from a step before the last used one is refused too.
    let asked = challenge(&house, &person).await;
    prove(&house, &asked, "code", &app.code(&house, -1))
        .await
        .problem(401, "invalid_second_factor");
    prove(&house, &asked, "code", &app.code(&house, 1))
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn a_totp_code_is_valid_in_its_step_and_the_adjacent_ones() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    house.stores.clock.advance(time::Duration::minutes(10));
    for (steps, is_good) in [(-2, false), (2, false), (-1, true), (0, true), (1, true)] {
        let asked = challenge(&house, &person).await;
        let answer = prove(&house, &asked, "code", &app.code(&house, steps)).await;
        assert_eq!(
            answer.status == StatusCode::OK,
            is_good,
            "{steps} steps away: {}",
            answer.status
        );
    }
}

#[tokio::test]
async fn several_apps_can_coexist_and_removing_the_last_removes_the_recovery_codes() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (first, _) = enrol(&house, &person).await;
    let (second, path) = enrol_another(&house, &person, "Tablet").await;
    for app in [&first, &second] {
        let asked = challenge(&house, &person).await;
        prove(&house, &asked, "code", &app.code(&house, 0))
            .await
            .expect(StatusCode::OK);
    }
    person
        .delete(&house, &path)
        .await
        .expect(StatusCode::NO_CONTENT);
    person.delete(&house, &path).await.problem(404, "not_found");
    assert_eq!(house.count("recovery_codes").await, 10);
    let listed = person
        .get(&house, "/v1/me/mfa/totp")
        .await
        .expect(StatusCode::OK);
    let last = format!("/v1/me/mfa/totp/{}", text(&listed["items"][0]["id"]));
    person
        .delete(&house, &last)
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(house.count("recovery_codes").await, 0);
    assert!(
        house
            .log_in(&person.email, PASSWORD)
            .await
            .expect(StatusCode::OK)["access_token"]
            .is_string()
    );
}

#[tokio::test]
async fn a_secret_is_encrypted_and_an_unconfirmed_app_is_not_required() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let started = person
        .post(&house, "/v1/me/mfa/totp", &json!({ "name": "Phone" }))
        .await;
    let secret = text(&started.expect(StatusCode::CREATED)["secret"]);
    let raw = Secret::try_from_base32(&secret).expect("base32");
    let kept: Vec<u8> = sqlx::query_scalar("SELECT secret FROM totp_factors")
        .fetch_one(&house.stores.db)
        .await
        .expect("reads");
    assert!(
        !kept
            .windows(raw.as_bytes().len())
            .any(|part| part == raw.as_bytes())
    );
    assert!(
        house
            .log_in(&person.email, PASSWORD)
            .await
            .expect(StatusCode::OK)["access_token"]
            .is_string()
    );
}

#[tokio::test]
async fn another_factor_can_be_added_with_the_first_but_not_with_the_password_alone() {
    let house = House::open().await;
    let early = house.person("ada").await;
    let person = house.elsewhere(&early).await;
    enrol(&house, &person).await;
    // The session that was opened before, with the password.
    let refused = early
        .post(&house, "/v1/me/mfa/totp", &json!({ "name": "Intruder" }))
        .await;
    refused.problem(403, "second_factor_required");
    early
        .post(&house, "/v1/me/passkeys/start", &json!({}))
        .await
        .problem(409, "passkeys_unavailable");
    enrol_another(&house, &person, "Tablet").await;
}

#[tokio::test]
async fn an_app_and_a_signing_key_survive_a_change_of_the_root_key() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    let secret = RootKey::generate();
    let changes = [("PLINTH_SECRET_KEY", secret.as_str())];
    let (before, settings) = (house.stage.settings(), house.stage.settings_with(&changes));
    let next = house.twin_with(&changes).await;
    let asked = challenge(&next, &person).await;
    prove(&next, &asked, "code", &app.code(&house, 0))
        .await
        .problem(500, "internal");

    let [before, root] = [&before, &settings]
        .map(|settings| RootKey::parse(&settings.general.secret_key).expect("a root key"));
    let signing_keys = SigningKeys::new(&house.stores, &root, longest_lifetime(&settings));
    let apps = SecondFactors::new(&house.stores, &settings, &root);
    for (resealed, failed) in [(1, 0), (0, 0)] {
        let expected = Resealed { resealed, failed };
        assert_eq!(
            signing_keys.reseal(&before).await.expect("answers"),
            expected
        );
        assert_eq!(apps.reseal(&before).await.expect("answers"), expected);
    }
    let tokens = prove(&next, &asked, "code", &app.code(&house, 0))
        .await
        .expect(StatusCode::OK);
    // The key is the same, so that the new process accepts tokens of the old one.
    for token in [&person.access_token, &text(&tokens["access_token"])] {
        let me = next.request(Method::GET, "/v1/me").bearer_auth(token);
        Answer::of(me).await.expect(StatusCode::OK);
    }
}

#[tokio::test]
async fn secrets_that_cannot_be_encrypted_again_block_no_others() {
    let house = House::open().await;
    let (before, secret) = (house.stage.settings(), RootKey::generate());
    let settings = house
        .stage
        .settings_with(&[("PLINTH_SECRET_KEY", secret.as_str())]);
    let [before, root] = [&before, &settings]
        .map(|settings| RootKey::parse(&settings.general.secret_key).expect("a root key"));
    let old_keys = SigningKeys::new(&house.stores, &before, longest_lifetime(&settings));
    for (name, minutes) in [("ada", 1), ("bob", 2), ("eve", 3), ("joe", 4)] {
        let person = house.person(name).await;
        let added = person
            .post(&house, "/v1/me/mfa/totp", &json!({ "name": "Phone" }))
            .await;
        added.expect(StatusCode::CREATED);
        old_keys
            .rotate(Duration::from_mins(minutes))
            .await
            .expect("makes a key");
    }
    // One app and one key cannot be decrypted, and another one of each cannot be written.
    for statement in [
        "UPDATE totp_factors SET secret = 'damaged' WHERE id = (SELECT id FROM totp_factors ORDER BY id LIMIT 1)",
        "UPDATE signing_keys SET private_key = 'damaged'
         WHERE kid = (SELECT kid FROM signing_keys ORDER BY activates_at LIMIT 1)",
        "CREATE TABLE poison AS (SELECT id::text AS name FROM totp_factors ORDER BY id LIMIT 1 OFFSET 1)
         UNION ALL (SELECT kid FROM signing_keys ORDER BY activates_at LIMIT 1 OFFSET 1)",
        "CREATE FUNCTION refuse_poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF EXISTS (SELECT FROM poison WHERE position(name IN NEW::text) > 0) THEN RAISE EXCEPTION 'poison'; END IF;
             RETURN NEW; END $$",
        "CREATE TRIGGER poison BEFORE UPDATE ON totp_factors FOR EACH ROW EXECUTE FUNCTION refuse_poison()",
        "CREATE TRIGGER poison BEFORE UPDATE ON signing_keys FOR EACH ROW EXECUTE FUNCTION refuse_poison()",
    ] {
        sqlx::query(statement).execute(&house.stores.db).await.expect("executes");
    }
    let signing_keys = SigningKeys::new(&house.stores, &root, longest_lifetime(&settings));
    let apps = SecondFactors::new(&house.stores, &settings, &root);
    // There are four apps, and five keys including the initial one.
    let resealed = (
        signing_keys.reseal(&before).await,
        apps.reseal(&before).await,
    );
    assert_eq!(
        resealed.0.expect("answers"),
        Resealed {
            resealed: 3,
            failed: 2
        }
    );
    assert_eq!(
        resealed.1.expect("answers"),
        Resealed {
            resealed: 2,
            failed: 2
        }
    );
    sqlx::query("DELETE FROM poison")
        .execute(&house.stores.db)
        .await
        .expect("deletes");
    for reseal in [
        signing_keys.reseal(&before).await,
        apps.reseal(&before).await,
    ] {
        assert_eq!(
            reseal.expect("answers"),
            Resealed {
                resealed: 1,
                failed: 1
            }
        );
    }
}
