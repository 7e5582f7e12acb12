//! The audit log for administrators.

use plinth_core::unit::Unit;
use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::id::UserId;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::house::{Answer, House, text};

fn actions(page: &Value) -> Vec<String> {
    page["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|event| text(&event["action"]))
        .collect()
}

#[tokio::test]
async fn an_event_has_its_actor_origin_and_request() {
    let house = House::open().await;
    let (admin, person) = (house.administrator().await, house.person("ada").await);
    let change = person
        .request(&house, reqwest::Method::PATCH, "/v1/me")
        .json(&json!({ "display_name": "Ada" }));
    let change = change
        .header("user-agent", "audit-test/1")
        .header("x-request-id", "req-42");
    Answer::of(change).await.expect(StatusCode::OK);
    let path = format!(
        "/v1/audit-events?actor_id={}&action=account.updated",
        person.id
    );
    let page = admin.get(&house, &path).await.expect(StatusCode::OK);
    let event = &page["items"][0];
    assert_eq!(event["actor_id"], person.id.to_string());
    assert_eq!(event["session_id"], person.session_id.to_string());
    assert_eq!(
        (event["target_kind"].as_str(), event["target_id"].as_str()),
        (Some("user"), Some(person.id.to_string().as_str()))
    );
    assert_eq!(
        (event["ip"].as_str(), event["user_agent"].as_str()),
        (Some("127.0.0.1"), Some("audit-test/1"))
    );
    assert_eq!(
        (event["request_id"].as_str(), event["outcome"].as_str()),
        (Some("req-42"), Some("success"))
    );
}

#[tokio::test]
async fn pages_are_contiguous_without_repetition() {
    let house = House::open().await;
    let admin = house.administrator().await;
    for _ in 0..7 {
        house.log_in("nobody@example.org", "wrong password").await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin
            .get(&house, &format!("/v1/audit-events?limit=2{cursor}"))
            .await
            .expect(StatusCode::OK);
        let items = page["items"].as_array().expect("items");
        assert!(items.len() <= 2);
        seen.extend(items.iter().map(|event| text(&event["id"])));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let all: Vec<String> = sqlx::query_scalar("SELECT id::text FROM audit_events ORDER BY id DESC")
        .fetch_all(&house.stores.db)
        .await
        .expect("reads");
    assert_eq!(seen, all);
}

#[tokio::test]
async fn filters_narrow_the_list_and_unknown_actions_are_refused() {
    let house = House::open().await;
    let (admin, person) = (house.administrator().await, house.person("ada").await);
    let created = admin
        .get(&house, "/v1/audit-events?action=session.created")
        .await
        .expect(StatusCode::OK);
    assert_eq!(actions(&created), ["session.created", "session.created"]);
    let about = admin
        .get(
            &house,
            &format!("/v1/audit-events?target_id={}", person.session_id),
        )
        .await;
    assert_eq!(actions(&about.expect(StatusCode::OK)), ["session.created"]);
    for query in [
        "action=nonsense",
        "action=%00",
        "actor_id=7",
        "cursor=x",
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=1&limit=2",
        "action=session.created&action=session.revoked",
    ] {
        let refused = admin
            .get(&house, &format!("/v1/audit-events?{query}"))
            .await;
        refused.problem(422, "validation_failed");
        let name = query.split('=').next().expect("a name");
        assert!(
            refused.faults()[0].starts_with(&format!("/query/{name} ")),
            "{:?}",
            refused.faults()
        );
    }
}

#[tokio::test]
async fn the_log_cannot_be_changed() {
    let house = House::open().await;
    house.administrator().await;
    for statement in [
        "UPDATE audit_events SET action = 'x'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
    ] {
        let refused = sqlx::query(statement)
            .execute(&house.stores.db)
            .await
            .expect_err(statement);
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
}

#[tokio::test]
async fn refused_guesses_from_one_address_are_limited_and_successes_are_always_written() {
    let house = House::open().await;
    let refused = async || {
        let body = json!({ "challenge": "no such challenge", "credential": {} });
        house
            .post("/v1/auth/passkeys/login/finish", &body)
            .await
            .problem(401, "invalid_passkey");
    };
    let written = "audit_events WHERE action = 'session.refused'";
    for _ in 0..120 {
        refused().await;
    }
    assert_eq!(house.count(written).await, 100);
    house.person("ada").await;
    assert_eq!(
        house
            .count("audit_events WHERE action = 'session.created'")
            .await,
        1
    );
    house.stores.clock.advance(time::Duration::minutes(1));
    refused().await;
    assert_eq!(house.count(written).await, 101);
    let told = "audit_events WHERE action = 'session.refused' AND details ->> 'unlisted' = '20'";
    assert_eq!(
        house.count(told).await,
        1,
        "the next event counts the omitted ones"
    );
}

async fn rename(unit: &mut Unit, id: UserId) {
    let rename = "UPDATE users SET display_name = 'renamed' WHERE id = $1";
    sqlx::query(rename)
        .bind(id.0)
        .execute(unit.connection())
        .await
        .expect("updates");
}

#[tokio::test]
async fn a_change_by_a_user_without_an_event_is_not_committed() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let name = async || house.user(person.id).await.display_name;
    let request = Origin {
        request_id: Some("req-1".to_owned()),
        ..Origin::system()
    };
    for origin in [Origin::system().by(person.id), request] {
        let mut unit = Unit::begin(&house.stores, &origin).await.expect("begins");
        rename(&mut unit, person.id).await;
        unit.commit_if_audited().await.expect("ends");
        let mut unit = Unit::begin(&house.stores, &origin).await.expect("begins");
        rename(&mut unit, person.id).await;
        let committed = tokio::spawn(unit.commit()).await;
        assert!(committed.is_err_and(|error| error.is_panic()));
        assert_ne!(name().await.as_deref(), Some("renamed"));
    }
    let (origin, action) = (Origin::system().by(person.id), Action::AccountUpdated);
    let mut audited = Unit::begin(&house.stores, &origin).await.expect("begins");
    audited
        .audit(action, Target::User(person.id), Outcome::Success)
        .await
        .expect("writes");
    let exempt = Unit::begin_exempt(&house.stores, &origin, "a test")
        .await
        .expect("begins");
    let of_system = Unit::begin(&house.stores, &Origin::system())
        .await
        .expect("begins");
    for unit in [audited, exempt, of_system] {
        unit.commit().await.expect("commits");
    }
}

#[tokio::test]
async fn a_start_is_audited_and_a_request_without_effect_is_not() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let app = json!({ "name": "Phone" });
    person
        .post(&house, "/v1/me/mfa/totp", &app)
        .await
        .expect(StatusCode::CREATED);
    for _ in 0..2 {
        let body = json!({ "refresh_token": person.refresh_token });
        house
            .post("/v1/auth/refresh", &body)
            .await
            .expect(StatusCode::OK);
    }
    let actions = house.actions().await;
    let last: Vec<_> = actions.iter().rev().take(2).map(String::as_str).collect();
    assert_eq!(
        last,
        [
            "session.refreshed:success",
            "factor.enrolment_started:success"
        ]
    );
    let body = json!({});
    person
        .send(&house, reqwest::Method::PATCH, "/v1/me", &body)
        .await
        .expect(StatusCode::OK);
    assert_eq!(house.actions().await.len(), actions.len());
}
