//! Sessions and their tokens: rotation, theft, logout and lifetimes.

use plinth_testkit::{Stage, until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::house::{Answer, House, PASSWORD, Person, text};

async fn refresh(house: &House, token: &str) -> crate::house::Answer {
    house
        .post("/v1/auth/refresh", &json!({ "refresh_token": token }))
        .await
}

async fn rotated(house: &House, person: &Person) -> String {
    text(
        &refresh(house, &person.refresh_token)
            .await
            .expect(StatusCode::OK)["refresh_token"],
    )
}

#[tokio::test]
async fn a_refresh_returns_new_tokens_of_the_same_session() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let tokens = refresh(&house, &person.refresh_token)
        .await
        .expect(StatusCode::OK);
    assert_eq!(text(&tokens["session_id"]), person.session_id.to_string());
    assert_ne!(text(&tokens["refresh_token"]), person.refresh_token);
    let next = Person {
        access_token: text(&tokens["access_token"]),
        ..person
    };
    next.get(&house, "/v1/me").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_hundred_concurrent_repetitions_get_the_same_successor() {
    let house = House::open().await;
    let twin = house.twin().await;
    let person = house.person("ada").await;
    let many =
        (0..100).map(|number| rotated(if number % 2 == 0 { &house } else { &twin }, &person));
    let mut successors = futures_util::future::join_all(many).await;
    assert_eq!(successors.len(), 100);
    successors.dedup();
    assert_eq!(
        successors.len(),
        1,
        "a hundred concurrent refreshes got {successors:?}"
    );
    let rotations = house
        .actions()
        .await
        .iter()
        .filter(|action| *action == "session.refreshed:success")
        .count();
    assert_eq!(rotations, 1);
    refresh(&house, &successors[0]).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_refresh_with_a_lost_response_can_be_repeated_within_two_minutes() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let lost = rotated(&house, &person).await;
    for _ in 0..2 {
        house.stores.clock.advance(time::Duration::seconds(55));
        assert_eq!(rotated(&house, &person).await, lost, "the same successor");
    }
    // The rotation continues, and the next response may be lost as well.
    let next = text(&refresh(&house, &lost).await.expect(StatusCode::OK)["refresh_token"]);
    house.stores.clock.advance(time::Duration::seconds(90));
    let repeated = refresh(&house, &lost).await.expect(StatusCode::OK);
    assert_eq!(text(&repeated["refresh_token"]), next);
    let person = person.with(&repeated);
    person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    assert!(house.notices(person.id).await.is_empty(), "no alarm");
    let actions = house.actions().await;
    assert!(
        actions.iter().all(|action| !action.contains("reused")),
        "{actions:?}"
    );
}

#[tokio::test]
async fn a_token_repeated_after_two_minutes_ends_the_session_for_both() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let next = rotated(&house, &person).await;
    house
        .stores
        .clock
        .advance(time::Duration::minutes(2) + time::Duration::milliseconds(1));
    refresh(&house, &person.refresh_token)
        .await
        .problem(401, "invalid_refresh_token");
    refresh(&house, &next)
        .await
        .problem(401, "invalid_refresh_token");
    person
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    assert!(
        house
            .actions()
            .await
            .contains(&"session.refresh_reused:refused".to_owned())
    );
    assert_eq!(house.notices(person.id).await, ["refresh_reused"]);
}

#[tokio::test]
async fn a_token_whose_successor_was_used_ends_the_session_at_once() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let used = rotated(&house, &person).await;
    let last = text(&refresh(&house, &used).await.expect(StatusCode::OK)["refresh_token"]);
    refresh(&house, &person.refresh_token)
        .await
        .problem(401, "invalid_refresh_token");
    refresh(&house, &last)
        .await
        .problem(401, "invalid_refresh_token");
    assert_eq!(house.notices(person.id).await, ["refresh_reused"]);
}

#[tokio::test]
async fn a_token_that_a_step_up_replaced_is_refused_and_ends_nothing() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let older = person.refresh_token.clone();
    let token = rotated(&house, &person).await;
    let stepped = person
        .post(&house, "/v1/auth/step-up", &json!({ "password": PASSWORD }))
        .await;
    let stepped = person.with(&stepped.expect(StatusCode::OK));
    // The response of the step-up was lost, or another tab has the old token.
    house.stores.clock.advance(time::Duration::seconds(100));
    refresh(&house, &token)
        .await
        .problem(401, "invalid_refresh_token");
    stepped.get(&house, "/v1/me").await.expect(StatusCode::OK);
    assert!(house.notices(person.id).await.is_empty(), "no alarm");
    // A copy of an older token is a theft nevertheless.
    refresh(&house, &older)
        .await
        .problem(401, "invalid_refresh_token");
    stepped
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    assert_eq!(house.notices(person.id).await, ["refresh_reused"]);
}

#[tokio::test]
async fn a_reused_token_of_any_age_ends_the_session_and_notifies_its_owner() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let mut token = person.refresh_token.clone();
    for _ in 0..4 {
        house.stores.clock.advance(time::Duration::minutes(1));
        token = text(&refresh(&house, &token).await.expect(StatusCode::OK)["refresh_token"]);
    }
    let other = house.elsewhere(&person).await;
    refresh(&house, &person.refresh_token)
        .await
        .problem(401, "invalid_refresh_token");
    refresh(&house, &token)
        .await
        .problem(401, "invalid_refresh_token");
    person
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    assert_eq!(house.notices(person.id).await, ["refresh_reused"]);
    other.get(&house, "/v1/me").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_forged_token_ends_nothing() {
    let house = House::open().await;
    let person = house.person("ada").await;
    // The session id is not secret; the token also has an authentication tag.
    let forged = [&person.session_id.as_bytes()[..], &[7; 48]].concat();
    let forged = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, forged);
    refresh(&house, &forged)
        .await
        .problem(401, "invalid_refresh_token");
    refresh(&house, &person.refresh_token)
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn own_sessions_can_be_listed_and_ended() {
    let house = House::open().await;
    let laptop = house.person("ada").await;
    let phone = house.elsewhere(&laptop).await;
    let tablet = house.elsewhere(&laptop).await;
    let stranger = house.person("bob").await;
    let sessions = phone
        .get(&house, "/v1/me/sessions?limit=2")
        .await
        .expect(StatusCode::OK);
    let ids = |page: &serde_json::Value| -> Vec<String> {
        page["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|item| text(&item["id"]))
            .collect()
    };
    assert_eq!(
        ids(&sessions),
        [tablet.session_id.to_string(), phone.session_id.to_string()]
    );
    assert_eq!(
        (
            &sessions["items"][0]["current"],
            &sessions["items"][1]["current"]
        ),
        (&json!(false), &json!(true))
    );
    assert_eq!(sessions["items"][0]["amr"], json!(["pwd"]));
    assert_eq!(sessions["items"][0]["ip"], "127.0.0.1");
    let rest = format!("/v1/me/sessions?cursor={}", text(&sessions["next_cursor"]));
    let rest = phone.get(&house, &rest).await.expect(StatusCode::OK);
    assert_eq!(ids(&rest), [laptop.session_id.to_string()]);

    laptop.get(&house, "/v1/me").await.expect(StatusCode::OK);
    let path = format!("/v1/me/sessions/{}", laptop.session_id);
    stranger
        .delete(&house, &path)
        .await
        .problem(404, "not_found");
    phone
        .delete(&house, &path)
        .await
        .expect(StatusCode::NO_CONTENT);
    laptop
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    phone.delete(&house, &path).await.problem(404, "not_found");

    let ended = phone
        .delete(&house, "/v1/me/sessions")
        .await
        .expect(StatusCode::OK);
    assert_eq!(ended["revoked"], 1);
    tablet
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    refresh(&house, &tablet.refresh_token)
        .await
        .problem(401, "invalid_refresh_token");
    phone.get(&house, "/v1/me").await.expect(StatusCode::OK);
    stranger.get(&house, "/v1/me").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_session_has_its_client_and_its_last_use() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let login = house
        .request(Method::POST, "/v1/auth/login")
        .header("user-agent", agent);
    let login =
        Answer::of(login.json(&json!({ "email": person.email, "password": PASSWORD }))).await;
    let person = person.with(&login.expect(StatusCode::OK));
    house.stores.clock.advance(time::Duration::minutes(4));
    let person = person.with(
        &refresh(&house, &person.refresh_token)
            .await
            .expect(StatusCode::OK),
    );
    let sessions = person
        .get(&house, "/v1/me/sessions?limit=1")
        .await
        .expect(StatusCode::OK);
    let session = &sessions["items"][0];
    assert_eq!(
        (&session["client"], &session["user_agent"]),
        (&json!("Firefox on Linux"), &json!(agent))
    );
    let moment = |field: &str| {
        let format = &time::format_description::well_known::Rfc3339;
        time::OffsetDateTime::parse(session[field].as_str().expect("a time"), format)
            .expect("a time")
    };
    assert_eq!(moment("authenticated_at"), moment("created_at"));
    assert!(
        moment("last_seen_at") - moment("created_at") >= time::Duration::minutes(4),
        "{session}"
    );
    assert!(moment("expires_at") > moment("last_seen_at"), "{session}");
}

#[tokio::test]
async fn a_session_ended_on_one_replica_is_refused_by_the_next_request_on_another() {
    let house = House::open().await;
    let twin = house.twin().await;
    let (laptop, phone) = {
        let laptop = house.person("ada").await;
        let phone = house.elsewhere(&laptop).await;
        (laptop, phone)
    };
    for _ in 0..3 {
        laptop.get(&twin, "/v1/me").await.expect(StatusCode::OK);
    }
    let path = format!("/v1/me/sessions/{}", laptop.session_id);
    phone
        .delete(&house, &path)
        .await
        .expect(StatusCode::NO_CONTENT);
    laptop
        .get(&twin, "/v1/me")
        .await
        .problem(401, "session_ended");
}

#[tokio::test]
async fn a_login_is_audited_with_its_methods() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let details = "SELECT details -> 'amr' FROM audit_events WHERE action = 'session.created' AND target_id = $1";
    let amr: serde_json::Value = sqlx::query_scalar(details)
        .bind(person.session_id)
        .fetch_one(&house.stores.db)
        .await
        .expect("one");
    assert_eq!(amr, json!(["pwd"]));
}

#[tokio::test]
async fn a_logout_applies_to_the_next_request_and_every_token() {
    let house = House::open().await;
    let person = house.person("ada").await;
    person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    person
        .post(&house, "/v1/auth/logout", &json!({}))
        .await
        .expect(StatusCode::NO_CONTENT);
    person
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    refresh(&house, &person.refresh_token)
        .await
        .problem(401, "invalid_refresh_token");
    house.forget_copies().await;
    person
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    assert!(
        house
            .actions()
            .await
            .contains(&"session.revoked:success".to_owned())
    );
}

#[tokio::test]
async fn a_logout_ends_one_session_and_no_other() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let other = house
        .log_in(&person.email, crate::house::PASSWORD)
        .await
        .expect(StatusCode::OK);
    person
        .post(&house, "/v1/auth/logout", &json!({}))
        .await
        .expect(StatusCode::NO_CONTENT);
    let other = Person {
        access_token: text(&other["access_token"]),
        ..person
    };
    other.get(&house, "/v1/me").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn wiping_redis_neither_ends_nor_revives_a_session() {
    let house = House::open().await;
    let (stays, goes) = (house.person("ada").await, house.person("bob").await);
    stays.get(&house, "/v1/me").await.expect(StatusCode::OK);
    goes.post(&house, "/v1/auth/logout", &json!({}))
        .await
        .expect(StatusCode::NO_CONTENT);
    house.forget_copies().await;
    stays.get(&house, "/v1/me").await.expect(StatusCode::OK);
    goes.get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
}

#[tokio::test]
async fn a_session_ends_after_its_idle_and_its_total_lifetime() {
    let house = House::open().await;
    let person = house.person("ada").await;
    house.stores.clock.advance(time::Duration::days(15));
    refresh(&house, &person.refresh_token)
        .await
        .problem(401, "invalid_refresh_token");

    let person = house.person("bob").await;
    let mut token = person.refresh_token.clone();
    for _ in 0..2 {
        house.stores.clock.advance(time::Duration::days(10));
        token = text(&refresh(&house, &token).await.expect(StatusCode::OK)["refresh_token"]);
    }
    house.stores.clock.advance(time::Duration::days(11));
    refresh(&house, &token)
        .await
        .problem(401, "invalid_refresh_token");
}

#[tokio::test]
async fn an_access_token_expires() {
    let house = House::open().await;
    let person = house.person("ada").await;
    house.stores.clock.advance(time::Duration::minutes(6));
    person
        .get(&house, "/v1/me")
        .await
        .problem(401, "token_expired");
}

#[tokio::test]
async fn a_token_that_a_step_up_replaced_stays_invalid_without_redis() {
    let mut stage = Stage::open().await;
    let wire = stage.wire_redis().await;
    let house = House::on(stage).await;
    let step_up = async |person: &Person| {
        let body = json!({ "password": PASSWORD });
        person.with(
            &person
                .post(&house, "/v1/auth/step-up", &body)
                .await
                .expect(StatusCode::OK),
        )
    };
    let first = house.person("ada").await;
    first.get(&house, "/v1/me").await.expect(StatusCode::OK);
    let second = step_up(&first).await;
    house.forget_copies().await;
    // The valid token fills the cache of the session, which must not let in the replaced one.
    for _ in 0..2 {
        second.get(&house, "/v1/me").await.expect(StatusCode::OK);
    }
    first
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");

    wire.tear();
    let third = step_up(&second).await;
    second
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    wire.restore();
    until("the copies are believed again", async || {
        third.get(&house, "/v1/me").await.expect(StatusCode::OK);
        second
            .get(&house, "/v1/me")
            .await
            .problem(401, "session_ended");
        (house.count("stale_copies").await == 0).then_some(())
    })
    .await;
    for _ in 0..2 {
        third.get(&house, "/v1/me").await.expect(StatusCode::OK);
    }
    second
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    let stays = third.with(
        &refresh(&house, &third.refresh_token)
            .await
            .expect(StatusCode::OK),
    );
    stays.get(&house, "/v1/me").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_logout_needs_only_a_token() {
    let house = House::open().await;
    let logout = async |body: &Value| house.post("/v1/auth/logout", body).await;
    // Without any token, the logout has nothing to end.
    Answer::of(house.request(Method::POST, "/v1/auth/logout"))
        .await
        .expect(StatusCode::NO_CONTENT);
    logout(&json!({ "refresh_token": "text" }))
        .await
        .expect(StatusCode::NO_CONTENT);
    let person = house.person("ada").await;
    let other = house.elsewhere(&person).await;
    house.stores.clock.advance(time::Duration::minutes(6));
    person
        .post(&house, "/v1/auth/logout", &json!({}))
        .await
        .problem(401, "token_expired");
    let body = json!({ "refresh_token": person.refresh_token });
    person
        .post(&house, "/v1/auth/logout", &body)
        .await
        .expect(StatusCode::NO_CONTENT);
    refresh(&house, &person.refresh_token)
        .await
        .problem(401, "invalid_refresh_token");
    logout(&body).await.expect(StatusCode::NO_CONTENT);
    // A used token still identifies the session.
    let next = text(
        &refresh(&house, &other.refresh_token)
            .await
            .expect(StatusCode::OK)["refresh_token"],
    );
    logout(&json!({ "refresh_token": other.refresh_token }))
        .await
        .expect(StatusCode::NO_CONTENT);
    refresh(&house, &next)
        .await
        .problem(401, "invalid_refresh_token");
    let revoked = house
        .actions()
        .await
        .iter()
        .filter(|action| *action == "session.revoked:success")
        .count();
    assert_eq!(revoked, 2);
}

#[tokio::test]
async fn a_second_logout_with_an_access_token_succeeds() {
    let house = House::open().await;
    let person = house.person("ada").await;
    for _ in 0..2 {
        person
            .post(&house, "/v1/auth/logout", &json!({}))
            .await
            .expect(StatusCode::NO_CONTENT);
    }
}
