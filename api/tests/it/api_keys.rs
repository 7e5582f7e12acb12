//! API keys: scopes, expiry and revocation.

use plinth_platform::crypto::ApiKeyToken;
use plinth_testkit::Stage;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use time::Duration;

use crate::house::{Answer, House, PASSWORD, Person, text};

struct Key {
    token: String,
    id: String,
    whole: Value,
}

impl Key {
    async fn of(house: &House, person: &Person, body: Value) -> Self {
        let made = person
            .post(house, "/v1/me/api-keys", &body)
            .await
            .expect(StatusCode::CREATED);
        Self {
            token: text(&made["token"]),
            id: text(&made["api_key"]["id"]),
            whole: made["api_key"].clone(),
        }
    }

    async fn get(&self, house: &House, path: &str) -> Answer {
        Answer::of(house.request(Method::GET, path).bearer_auth(&self.token)).await
    }

    async fn send(&self, house: &House, method: Method, path: &str, body: &Value) -> Answer {
        Answer::of(
            house
                .request(method, path)
                .bearer_auth(&self.token)
                .json(body),
        )
        .await
    }
}

async fn list(house: &House, person: &Person) -> Vec<Value> {
    let page = person
        .get(house, "/v1/me/api-keys")
        .await
        .expect(StatusCode::OK);
    page["items"].as_array().expect("items").clone()
}

#[tokio::test]
async fn a_key_is_limited_to_its_scopes() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let file = person.upload(&house, "a.txt", b"hello".to_vec()).await;
    let key = Key::of(
        &house,
        &person,
        json!({ "name": "ci", "scopes": ["profile:read", "files:read"] }),
    )
    .await;
    let me = key.get(&house, "/v1/me").await.expect(StatusCode::OK);
    assert_eq!(text(&me["email"]), person.email);
    assert_eq!(me["permissions"], json!(["profile:read", "files:read"]));
    let path = format!("/v1/files/{}", text(&file["id"]));
    key.get(&house, &path).await.expect(StatusCode::OK);
    key.send(&house, Method::DELETE, &path, &json!({}))
        .await
        .problem(403, "permission_denied");
    key.send(&house, Method::PATCH, "/v1/me", &json!({}))
        .await
        .problem(403, "permission_denied");
}

#[tokio::test]
async fn the_audit_log_names_the_key_of_a_program() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let key = Key::of(
        &house,
        &person,
        json!({ "name": "ci", "scopes": ["profile:write"] }),
    )
    .await;
    key.send(
        &house,
        Method::PATCH,
        "/v1/me",
        &json!({ "display_name": "Bot" }),
    )
    .await
    .expect(StatusCode::OK);
    let admin = house.administrator().await;
    let events = admin
        .get(&house, "/v1/audit-events?action=account.updated")
        .await
        .expect(StatusCode::OK);
    let event = &events["items"][0];
    assert_eq!(
        (&event["actor_id"], &event["api_key_id"]),
        (&json!(person.id), &json!(key.id))
    );
    assert!(event["session_id"].is_null());
}

#[tokio::test]
async fn a_key_loses_a_scope_that_its_owner_has_lost() {
    let house = House::open().await;
    let admin = house.administrator().await;
    let auditor = house.official(&admin, "auditor", &["audit:read"]).await;
    let body = json!({ "name": "ci", "scopes": ["audit:read", "profile:read"] });
    let key = Key::of(&house, &auditor, body).await;
    key.get(&house, "/v1/audit-events")
        .await
        .expect(StatusCode::OK);
    house.assign(&admin, &auditor, &["member"]).await;
    key.get(&house, "/v1/audit-events")
        .await
        .problem(403, "permission_denied");
    key.get(&house, "/v1/me").await.expect(StatusCode::OK);
    house.assign(&admin, &auditor, &["member", "auditor"]).await;
    key.get(&house, "/v1/audit-events")
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn a_key_expires() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let short = Key::of(
        &house,
        &person,
        json!({ "name": "a", "scopes": ["profile:read"], "expires_in_days": 1 }),
    )
    .await;
    let usual = Key::of(
        &house,
        &person,
        json!({ "name": "b", "scopes": ["profile:read"] }),
    )
    .await;
    let within = house.stores.clock.now() + Duration::days(2);
    let format = &time::format_description::well_known::Rfc3339;
    let within = within.format(format).expect("formats");
    let given = Key::of(
        &house,
        &person,
        json!({ "name": "c", "scopes": ["profile:read"], "expires_at": within }),
    )
    .await;
    assert_eq!(given.whole["expires_at"], within);
    for key in [&short, &usual, &given] {
        key.get(&house, "/v1/me").await.expect(StatusCode::OK);
    }
    let ended = async |keys: &[&Key], live: &[&Key]| {
        for key in keys {
            key.get(&house, "/v1/me")
                .await
                .problem(401, "invalid_token");
        }
        for key in live {
            key.get(&house, "/v1/me").await.expect(StatusCode::OK);
        }
    };
    house
        .stores
        .clock
        .advance(Duration::days(1) + Duration::seconds(1));
    ended(&[&short], &[&given, &usual]).await;
    house.stores.clock.advance(Duration::days(1));
    ended(&[&short, &given], &[&usual]).await;
    house.forget_copies().await;
    house.stores.clock.advance(Duration::days(88));
    ended(&[&short, &given, &usual], &[]).await;
}

#[tokio::test]
async fn invalid_properties_of_a_key_are_reported() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let at = |after: Duration| {
        let format = &time::format_description::well_known::Rfc3339;
        (house.stores.clock.now() + after)
            .format(format)
            .expect("formats")
    };
    for (body, faults) in [
        (json!({}), vec!["/name missing", "/scopes missing"]),
        (
            json!({ "name": " ", "scopes": ["a:b"] }),
            vec!["/name too_short", "/scopes/0 unknown_permission"],
        ),
        (
            json!({ "name": "a", "scopes": [] }),
            vec!["/scopes too_short"],
        ),
        (
            json!({ "name": "a", "scopes": ["credentials:write"] }),
            vec!["/scopes unsuited_permission"],
        ),
        (
            json!({ "name": "a", "scopes": ["files:read"], "expires_in_days": 0 }),
            vec!["/expires_in_days not_in_the_future"],
        ),
        (
            json!({ "name": "a", "scopes": ["files:read"], "expires_in_days": 366 }),
            vec!["/expires_in_days too_late"],
        ),
        (
            json!({ "name": "a", "scopes": ["files:read"], "expires_at": at(Duration::ZERO) }),
            vec!["/expires_at not_in_the_future"],
        ),
        (
            json!({ "name": "a", "scopes": ["files:read"], "expires_at": at(Duration::days(366)) }),
            vec!["/expires_at too_late"],
        ),
        (
            json!({ "name": "a", "scopes": ["files:read"], "expires_at": at(Duration::days(1)), "expires_in_days": 1 }),
            vec!["/expires_in_days ambiguous"],
        ),
    ] {
        let refused = person.post(&house, "/v1/me/api-keys", &body).await;
        refused.problem(422, "validation_failed");
        assert_eq!(refused.faults(), faults, "{body}");
    }
    let lacking = json!({ "name": "a", "scopes": ["users:read"] });
    person
        .post(&house, "/v1/me/api-keys", &lacking)
        .await
        .problem(403, "permission_denied");
    assert_eq!(house.count("api_keys").await, 0);
}

#[tokio::test]
async fn a_revocation_applies_to_the_next_request() {
    let house = House::open().await;
    let other = house.twin().await;
    let person = house.person("ada").await;
    let [goes, stays] = [
        Key::of(
            &house,
            &person,
            json!({ "name": "a", "scopes": ["profile:read"] }),
        )
        .await,
        Key::of(
            &house,
            &person,
            json!({ "name": "b", "scopes": ["profile:read"] }),
        )
        .await,
    ];
    let by_key = Person {
        access_token: goes.token.clone(),
        ..house.elsewhere(&person).await
    };
    for _ in 0..2 {
        goes.get(&house, "/v1/me").await.expect(StatusCode::OK);
        by_key.get(&other, "/v1/me").await.expect(StatusCode::OK);
    }
    let path = format!("/v1/me/api-keys/{}", goes.id);
    house
        .person("eve")
        .await
        .delete(&house, &path)
        .await
        .problem(404, "not_found");
    goes.get(&house, "/v1/me").await.expect(StatusCode::OK);
    person
        .delete(&house, &path)
        .await
        .expect(StatusCode::NO_CONTENT);
    goes.get(&house, "/v1/me")
        .await
        .problem(401, "invalid_token");
    by_key
        .get(&other, "/v1/me")
        .await
        .problem(401, "invalid_token");
    stays.get(&house, "/v1/me").await.expect(StatusCode::OK);
    person.delete(&house, &path).await.problem(404, "not_found");
    house.forget_copies().await;
    goes.get(&house, "/v1/me")
        .await
        .problem(401, "invalid_token");
    let names: Vec<_> = list(&house, &person)
        .await
        .iter()
        .map(|key| text(&key["name"]))
        .collect();
    assert_eq!(names, ["b"]);
    let told: Vec<_> = house
        .actions()
        .await
        .into_iter()
        .filter(|action| action.starts_with("api_key."))
        .collect();
    assert_eq!(
        told,
        [
            "api_key.created:success",
            "api_key.created:success",
            "api_key.revoked:success"
        ]
    );
}

#[tokio::test]
async fn a_token_is_shown_once_and_stored_as_a_hash() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let body = json!({ "name": "ci", "scopes": ["profile:read"] });
    let made = person.post(&house, "/v1/me/api-keys", &body).await;
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let token = text(&made.expect(StatusCode::CREATED)["token"]);
    let hash = ApiKeyToken::parse(&token)
        .expect("the format is recognizable by secret scanners")
        .hash();
    let kept: Vec<u8> = sqlx::query_scalar("SELECT token_hash FROM api_keys")
        .fetch_one(&house.stores.db)
        .await
        .expect("reads");
    assert_eq!(kept, hash);
    let shown = list(&house, &person).await;
    assert_eq!(text(&shown[0]["hint"]), format!("{}…", &token[..8]));
    let everything: Vec<Value> = sqlx::query_scalar(
        "SELECT to_jsonb(api_keys) FROM api_keys UNION ALL SELECT to_jsonb(audit_events) FROM audit_events
         UNION ALL SELECT to_jsonb(jobs) FROM jobs",
    )
    .fetch_all(&house.stores.db)
    .await
    .expect("reads");
    assert!(
        !json!([everything, shown]).to_string().contains(&token[8..]),
        "the token is stored"
    );
    let notice: Value = sqlx::query_scalar("SELECT payload FROM jobs WHERE payload ? 'notice'")
        .fetch_one(&house.stores.db)
        .await
        .expect("the owner is notified");
    let expected = json!({ "user_id": person.id, "notice": "api_key_created", "name": "ci" });
    assert_eq!(notice, expected);
}

#[tokio::test]
async fn a_list_has_the_last_use_of_a_key() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let key = Key::of(
        &house,
        &person,
        json!({ "name": "ci", "scopes": ["profile:read"] }),
    )
    .await;
    assert!(list(&house, &person).await[0]["last_used_at"].is_null());
    key.get(&house, "/v1/me").await.expect(StatusCode::OK);
    assert!(list(&house, &person).await[0]["last_used_at"].is_string());
    for n in 1..=3 {
        Key::of(
            &house,
            &person,
            json!({ "name": n.to_string(), "scopes": ["profile:read"] }),
        )
        .await;
    }
    let page = person
        .get(&house, "/v1/me/api-keys?limit=3")
        .await
        .expect(StatusCode::OK);
    let next = format!(
        "/v1/me/api-keys?limit=3&cursor={}",
        text(&page["next_cursor"])
    );
    let rest = person.get(&house, &next).await.expect(StatusCode::OK);
    assert_eq!(
        (text(&rest["items"][0]["id"]), rest["next_cursor"].is_null()),
        (key.id, true)
    );
}

#[tokio::test]
async fn an_account_has_a_limited_number_of_valid_keys() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let body = json!({ "name": "x", "scopes": ["profile:read"], "expires_in_days": 1 });
    sqlx::query(
        "INSERT INTO api_keys (id, user_id, name, token_hash, hint, scopes, expires_at, created_at)
         SELECT gen_random_uuid(), $1, n::text, sha256(n::text::bytea), 'plk_', '{}', now() + interval '1 day', now()
         FROM generate_series(1, 48) n",
    )
    .bind(person.id.0)
    .execute(&house.stores.db)
    .await
    .expect("inserts");
    let many = (0..4).map(|_| person.post(&house, "/v1/me/api-keys", &body));
    let answers = futures_util::future::join_all(many).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.status == StatusCode::CREATED);
    assert_eq!((made.len(), refused.len()), (2, 2));
    for answer in refused {
        answer.problem(409, "too_many_api_keys");
    }
    house.stores.clock.advance(Duration::days(2));
    let person = house.elsewhere(&person).await;
    Key::of(&house, &person, body).await;
}

#[tokio::test]
async fn an_api_key_opens_no_session() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let key = Key::of(
        &house,
        &person,
        json!({ "name": "ci", "scopes": ["profile:read"] }),
    )
    .await;
    // A key with a permission that the API never grants to keys.
    let scopes =
        "UPDATE api_keys SET scopes = (SELECT permissions FROM roles WHERE name = 'member')";
    sqlx::query(scopes)
        .execute(&house.stores.db)
        .await
        .expect("updates");
    house.forget_copies().await;
    for (method, path) in [
        (Method::POST, "/v1/auth/logout"),
        (Method::GET, "/v1/me/sessions"),
        (Method::DELETE, "/v1/me/sessions"),
        (Method::GET, "/v1/me/api-keys"),
    ] {
        key.send(&house, method, path, &json!({}))
            .await
            .problem(403, "session_required");
    }
    let another = json!({ "name": "another", "scopes": ["profile:read"] });
    key.send(&house, Method::POST, "/v1/me/api-keys", &another)
        .await
        .problem(403, "session_required");
    let refresh = json!({ "refresh_token": key.token });
    key.send(&house, Method::POST, "/v1/auth/refresh", &refresh)
        .await
        .problem(401, "invalid_refresh_token");
    house
        .log_in(&person.email, &key.token)
        .await
        .problem(401, "invalid_credentials");
    let cookie = format!("__Host-plinth_access={}", key.token);
    let by_cookie = house
        .request(Method::GET, "/v1/me")
        .header("cookie", cookie);
    Answer::of(by_cookie).await.problem(401, "invalid_token");
    let sessions = house.count("sessions").await;
    key.get(&house, "/v1/me").await.expect(StatusCode::OK);
    assert_eq!(house.count("sessions").await, sessions);
    house
        .log_in(&person.email, PASSWORD)
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn an_unknown_key_is_refused() {
    let house = House::open().await;
    let unknown = ApiKeyToken::generate();
    for token in [
        unknown.reveal(),
        "plk_",
        &format!("plk_{}", "0".repeat(46)),
        "plk_\u{7f}",
    ] {
        let request = house.request(Method::GET, "/v1/me").bearer_auth(token);
        if let Ok(answer) = Answer::try_of(request).await {
            answer.problem(401, "invalid_token");
        }
    }
}

#[tokio::test]
async fn keys_have_their_own_limit() {
    let stage = Stage::open()
        .await
        .with("PLINTH_LIMITS_API_KEY_PER_MINUTE", "12");
    let house = House::on(stage).await;
    let person = house.person("ada").await;
    let [one, two] = [
        Key::of(
            &house,
            &person,
            json!({ "name": "a", "scopes": ["profile:read"] }),
        )
        .await,
        Key::of(
            &house,
            &person,
            json!({ "name": "b", "scopes": ["profile:read"] }),
        )
        .await,
    ];
    for _ in 0..2 {
        one.get(&house, "/v1/me").await.expect(StatusCode::OK);
    }
    let refused = one.get(&house, "/v1/me").await;
    refused.problem(429, "rate_limited");
    assert!(refused.header("retry-after").is_some());
    two.get(&house, "/v1/me").await.expect(StatusCode::OK);
    person.get(&house, "/v1/me").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_warm_request_with_a_key_costs_one_round_trip_and_no_query() {
    let mut stage = Stage::open()
        .await
        .with("PLINTH_LIMITS_API_KEY_PER_MINUTE", "600000");
    stage.set_limits("600000");
    let (redis, database) = (stage.wire_redis().await, stage.wire_database().await);
    let house = House::on(stage).await;
    let person = house.person("ada").await;
    let key = Key::of(
        &house,
        &person,
        json!({ "name": "ci", "scopes": ["profile:read"] }),
    )
    .await;
    house.forget_copies().await;
    for _ in 0..2 {
        key.get(&house, "/v1/me").await.expect(StatusCode::OK);
    }
    // Periodic tasks of the process may run in between.
    let measure = async || {
        let before = (redis.requests(), database.requests());
        for _ in 0..10 {
            key.get(&house, "/v1/me").await.expect(StatusCode::OK);
        }
        (redis.requests() - before.0, database.requests() - before.1)
    };
    let costs = [measure().await, measure().await, measure().await];
    assert_eq!(costs.iter().min(), Some(&(10, 0)), "{costs:?}");
}
