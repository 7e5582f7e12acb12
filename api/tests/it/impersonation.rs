//! Impersonation: limited to 15 minutes, audited under both users, and excluded from sensitive
//! operations.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use time::Duration;
use uuid::Uuid;

use crate::house::{Answer, House, Person, text};

async fn try_to_act(house: &House, admin: &Person, subject: &Person) -> Answer {
    let path = format!("/v1/users/{}/impersonate", subject.id);
    admin
        .post(house, &path, &json!({ "reason": "Ticket 42" }))
        .await
}

/// Returns the administrator in the session of the subject.
async fn act(house: &House, admin: &Person, subject: &Person) -> Person {
    let tokens = try_to_act(house, admin, subject)
        .await
        .expect(StatusCode::OK);
    assert!(tokens["refresh_token"].is_null() && tokens["device_token"].is_null());
    assert_eq!(
        (tokens["expires_in"].as_u64(), tokens["token_type"].as_str()),
        (Some(900), Some("Bearer"))
    );
    Person {
        id: subject.id,
        email: subject.email.clone(),
        access_token: text(&tokens["access_token"]),
        refresh_token: String::new(),
        session_id: text(&tokens["session_id"]).parse().expect("a uuid"),
    }
}

fn claims(token: &str) -> Value {
    let body = token.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).expect("base64url")).expect("JSON")
}

#[tokio::test]
async fn an_impersonation_lasts_fifteen_minutes() {
    let house = House::open().await;
    let (admin, subject) = (house.administrator().await, house.person("ada").await);
    let acting = act(&house, &admin, &subject).await;
    let said = claims(&acting.access_token);
    assert_eq!(said["sub"], subject.id.to_string());
    assert_eq!(said["act"], json!({ "sub": admin.id.to_string() }));
    assert_eq!(said["amr"], json!(["pwd"]));
    let me = acting.get(&house, "/v1/me").await.expect(StatusCode::OK);
    assert_eq!(text(&me["email"]), subject.email);
    acting
        .get(&house, "/v1/audit-events")
        .await
        .problem(403, "permission_denied");
    house
        .stores
        .clock
        .advance(Duration::minutes(14) + Duration::seconds(30));
    acting.get(&house, "/v1/me").await.expect(StatusCode::OK);
    house.stores.clock.advance(Duration::seconds(31));
    acting
        .get(&house, "/v1/me")
        .await
        .problem(401, "token_expired");
}

#[tokio::test]
async fn events_of_an_impersonation_name_both_users() {
    let house = House::open().await;
    let (admin, subject) = (house.administrator().await, house.person("ada").await);
    let acting = act(&house, &admin, &subject).await;
    let change = acting
        .send(
            &house,
            Method::PATCH,
            "/v1/me",
            &json!({ "display_name": "Countess" }),
        )
        .await;
    change.expect(StatusCode::OK);
    acting.upload(&house, "a.txt", b"hello".to_vec()).await;
    let path = format!("/v1/audit-events?actor_id={}", subject.id);
    let done = admin.get(&house, &path).await.expect(StatusCode::OK);
    for action in ["account.updated", "file.uploaded"] {
        let event = done["items"]
            .as_array()
            .expect("items")
            .iter()
            .find(|event| event["action"] == action);
        let event = event.expect("is there");
        assert_eq!(event["impersonator_id"], admin.id.to_string());
        assert_eq!(event["session_id"], acting.session_id.to_string());
    }
    let started = admin
        .get(&house, "/v1/audit-events?action=impersonation.started")
        .await;
    let started = started.expect(StatusCode::OK)["items"][0].clone();
    assert_eq!(started["actor_id"], admin.id.to_string());
    assert_eq!(
        (&started["target_kind"], &started["target_id"]),
        (&json!("user"), &json!(subject.id))
    );
    assert_eq!(started["details"]["reason"], "Ticket 42");
    assert_eq!(started["details"]["session"], acting.session_id.to_string());
}

#[tokio::test]
async fn an_impersonation_cannot_use_sensitive_operations() {
    let house = House::open().await;
    let (admin, subject) = (house.administrator().await, house.administrator().await);
    let acting = act(&house, &admin, &subject).await;
    let key = json!({ "name": "mine", "scopes": ["files:read"] });
    acting
        .post(&house, "/v1/me/api-keys", &key)
        .await
        .problem(403, "impersonation_forbidden");
    try_to_act(&house, &acting, &house.person("eve").await)
        .await
        .problem(403, "impersonation_forbidden");
    let role = json!({ "name": "mine", "permissions": [] });
    acting
        .post(&house, "/v1/roles", &role)
        .await
        .problem(403, "impersonation_forbidden");
    acting
        .delete(&house, "/v1/me/sessions")
        .await
        .problem(403, "impersonation_forbidden");
    let own = format!("/v1/me/sessions/{}", subject.session_id);
    acting
        .delete(&house, &own)
        .await
        .problem(403, "impersonation_forbidden");
}

#[tokio::test]
async fn an_impersonation_can_be_ended() {
    let house = House::open().await;
    let (admin, subject) = (house.administrator().await, house.person("ada").await);
    let [one, two, three] = [
        act(&house, &admin, &subject).await,
        act(&house, &admin, &subject).await,
        act(&house, &admin, &subject).await,
    ];
    for acting in [&one, &two, &three] {
        acting.get(&house, "/v1/me").await.expect(StatusCode::OK);
    }
    one.post(&house, "/v1/auth/logout", &json!({}))
        .await
        .expect(StatusCode::NO_CONTENT);
    one.get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    let path = format!("/v1/users/{}/sessions/{}", subject.id, two.session_id);
    admin
        .delete(&house, &path)
        .await
        .expect(StatusCode::NO_CONTENT);
    two.get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    // The user can end it too.
    three.get(&house, "/v1/me").await.expect(StatusCode::OK);
    let path = format!("/v1/me/sessions/{}", three.session_id);
    subject
        .delete(&house, &path)
        .await
        .expect(StatusCode::NO_CONTENT);
    three
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    for person in [&admin, &subject] {
        person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    }
}

#[tokio::test]
async fn ending_an_impersonation_ends_nothing_else() {
    let house = House::open().await;
    let chief = house.administrator().await;
    let deputy = house
        .official(&chief, "support", &["users:read", "users:impersonate"])
        .await;
    let subject = house.person("ada").await;
    let for_deputy = [
        act(&house, &chief, &deputy).await,
        act(&house, &chief, &deputy).await,
        act(&house, &chief, &deputy).await,
    ];
    let by_deputy = act(&house, &deputy, &subject).await;

    for_deputy[0]
        .post(&house, "/v1/auth/logout", &json!({}))
        .await
        .expect(StatusCode::NO_CONTENT);
    let path = format!("/v1/me/sessions/{}", for_deputy[1].session_id);
    deputy
        .delete(&house, &path)
        .await
        .expect(StatusCode::NO_CONTENT);
    let path = format!(
        "/v1/users/{}/sessions/{}",
        deputy.id, for_deputy[2].session_id
    );
    chief
        .delete(&house, &path)
        .await
        .expect(StatusCode::NO_CONTENT);
    for ended in &for_deputy {
        ended
            .get(&house, "/v1/me")
            .await
            .problem(401, "session_ended");
    }
    for alive in [&chief, &deputy, &subject, &by_deputy] {
        alive.get(&house, "/v1/me").await.expect(StatusCode::OK);
    }
    // The administrator's own session may be the one that the impersonation was started from.
    deputy
        .post(&house, "/v1/auth/logout", &json!({}))
        .await
        .expect(StatusCode::NO_CONTENT);
    by_deputy
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
}

#[tokio::test]
async fn an_impersonation_ends_with_what_it_depends_on() {
    let house = House::open().await;
    let chief = house.administrator().await;
    let deputy = house
        .official(&chief, "support", &["users:read", "users:impersonate"])
        .await;
    let subject = house.person("ada").await;
    let acting = act(&house, &deputy, &subject).await;
    let assign = async |roles: &[&str]| house.assign(&chief, &deputy, roles).await;
    assign(&["member"]).await;
    acting
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    try_to_act(&house, &deputy, &subject)
        .await
        .problem(403, "permission_denied");
    assign(&["member", "support"]).await;

    let acting = act(&house, &deputy, &subject).await;
    let change = json!({ "permissions": ["users:impersonate"] });
    chief
        .send(&house, Method::PATCH, "/v1/roles/support", &change)
        .await
        .expect(StatusCode::OK);
    acting
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");

    // The permissions of the subject apply as well.
    let acting = act(&house, &deputy, &subject).await;
    chief
        .post(
            &house,
            "/v1/roles",
            &json!({ "name": "auditor", "permissions": ["audit:read"] }),
        )
        .await
        .expect(StatusCode::CREATED);
    house.assign(&chief, &subject, &["member", "auditor"]).await;
    acting
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    house.assign(&chief, &subject, &["member"]).await;

    let acting = act(&house, &deputy, &subject).await;
    let sessions = format!("/v1/users/{}/sessions", deputy.id);
    chief.delete(&house, &sessions).await.expect(StatusCode::OK);
    acting
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");

    let deputy = house.elsewhere(&deputy).await;
    let acting = act(&house, &deputy, &subject).await;
    deputy
        .post(&house, "/v1/auth/logout", &json!({}))
        .await
        .expect(StatusCode::NO_CONTENT);
    acting
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");

    let deputy = house.elsewhere(&deputy).await;
    let acting = act(&house, &deputy, &subject).await;
    let suspend = format!("/v1/users/{}/suspend", deputy.id);
    chief
        .post(&house, &suspend, &json!({}))
        .await
        .expect(StatusCode::OK);
    acting
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    subject.get(&house, "/v1/me").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn an_impersonation_leaves_the_users_sessions_alone_and_is_listed() {
    let house = House::open().await;
    let (admin, subject) = (house.administrator().await, house.person("ada").await);
    let own = async || -> Value {
        sqlx::query_scalar("SELECT to_jsonb(sessions) FROM sessions WHERE id = $1")
            .bind(subject.session_id)
            .fetch_one(&house.stores.db)
            .await
            .expect("reads")
    };
    let before = own().await;
    house.stores.clock.advance(Duration::minutes(1));
    let acting = act(&house, &admin, &subject).await;
    acting.get(&house, "/v1/me").await.expect(StatusCode::OK);
    assert_eq!(own().await, before);
    let list = subject
        .get(&house, "/v1/me/sessions")
        .await
        .expect(StatusCode::OK);
    let shown: Vec<_> = list["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|session| (session["id"].clone(), session["impersonator_id"].clone()))
        .collect();
    let expected = [
        (json!(acting.session_id), json!(admin.id)),
        (json!(subject.session_id), Value::Null),
    ];
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn an_impersonation_of_oneself_a_suspended_or_a_more_privileged_account_is_refused() {
    let house = House::open().await;
    let admin = house.administrator().await;
    let support = house
        .official(&admin, "support", &["users:impersonate"])
        .await;
    try_to_act(&house, &admin, &admin)
        .await
        .problem(409, "own_account");
    try_to_act(&house, &support, &admin)
        .await
        .problem(403, "permission_denied");
    let subject = house.person("ada").await;
    for (body, fault) in [
        (json!({}), "/reason missing"),
        (json!({ "reason": "  " }), "/reason too_short"),
        (json!({ "reason": "x".repeat(501) }), "/reason too_long"),
        (json!({ "reason": null }), "/reason wrong_type"),
    ] {
        let refused = support
            .post(
                &house,
                &format!("/v1/users/{}/impersonate", subject.id),
                &body,
            )
            .await;
        refused.problem(422, "validation_failed");
        assert_eq!(refused.faults(), [fault]);
    }
    let suspend = format!("/v1/users/{}/suspend", subject.id);
    admin
        .post(&house, &suspend, &json!({}))
        .await
        .expect(StatusCode::OK);
    try_to_act(&house, &support, &subject)
        .await
        .problem(409, "account_suspended");
    let nobody = format!("/v1/users/{}/impersonate", Uuid::new_v4());
    support
        .post(&house, &nobody, &json!({ "reason": "x" }))
        .await
        .problem(404, "not_found");
    assert!(
        !house
            .actions()
            .await
            .iter()
            .any(|action| action.starts_with("impersonation."))
    );
}
