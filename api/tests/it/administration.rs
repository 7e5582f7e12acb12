//! Administration of other accounts.

use plinth_core::users::Users;
use plinth_domain::email::Email;
use plinth_domain::password::Password;
use plinth_platform::crypto::PasswordHasher;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{Answer, House, PASSWORD, Person, text};

fn ids(page: &Value) -> Vec<String> {
    page["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| text(&item["id"]))
        .collect()
}

async fn suspend(house: &House, admin: &Person, person: &Person) -> Answer {
    let path = format!("/v1/users/{}/suspend", person.id);
    admin.post(house, &path, &json!({ "reason": "spam" })).await
}

async fn reactivate(house: &House, admin: &Person, person: &Person) -> Answer {
    admin
        .post(
            house,
            &format!("/v1/users/{}/reactivate", person.id),
            &json!({}),
        )
        .await
}

#[tokio::test]
async fn accounts_are_listed_in_pages_and_filtered() {
    let house = House::open().await;
    let admin = house.administrator().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    suspend(&house, &admin, &bob).await.expect(StatusCode::OK);
    let all = [bob.id.to_string(), ada.id.to_string(), admin.id.to_string()];
    let list = async |query: &str| {
        admin
            .get(&house, &format!("/v1/users?{query}"))
            .await
            .expect(StatusCode::OK)
    };
    assert_eq!(ids(&list("").await), all);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = list(&format!("limit=1{cursor}")).await;
        seen.extend(ids(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, all);
    assert_eq!(
        ids(&list(&format!("email={}", ada.email.to_uppercase())).await),
        all[1..2]
    );
    assert_eq!(ids(&list("status=suspended").await), all[..1]);
    assert_eq!(ids(&list("status=active&role=member").await), all[1..2]);
    assert_eq!(ids(&list("role=admin").await), all[2..]);
    assert!(ids(&list("role=nobody").await).is_empty());
    let one = admin
        .get(&house, &format!("/v1/users/{}", bob.id))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (text(&one["email"]), text(&one["status"])),
        (bob.email.clone(), "suspended".to_owned())
    );
    assert_eq!(
        (&one["roles"], &one["has_second_factor"]),
        (&json!(["member"]), &json!(false))
    );
    assert!(one.get("password_hash").is_none());
    for query in [
        "email=x",
        "status=deleted",
        "role=No%20One",
        "limit=0",
        "cursor=x",
    ] {
        let refused = admin.get(&house, &format!("/v1/users?{query}")).await;
        refused.problem(422, "validation_failed");
    }
}

#[tokio::test]
async fn a_deleted_account_is_not_found() {
    let house = House::open().await;
    let (admin, gone) = (house.administrator().await, house.person("ada").await);
    sqlx::query("UPDATE users SET status = 'deleted' WHERE id = $1")
        .bind(gone.id.0)
        .execute(&house.stores.db)
        .await
        .expect("updates");
    admin
        .get(&house, &format!("/v1/users/{}", gone.id))
        .await
        .problem(404, "not_found");
    admin
        .get(&house, &format!("/v1/users/{}/sessions", gone.id))
        .await
        .problem(404, "not_found");
    suspend(&house, &admin, &gone)
        .await
        .problem(404, "not_found");
    reactivate(&house, &admin, &gone)
        .await
        .problem(404, "not_found");
    assert_eq!(
        ids(&admin.get(&house, "/v1/users").await.expect(StatusCode::OK)),
        [admin.id.to_string()]
    );
}

#[tokio::test]
async fn an_administrator_can_end_any_session() {
    let house = House::open().await;
    let admin = house.administrator().await;
    let (first, other) = (house.person("ada").await, house.person("bob").await);
    let (second, third) = (house.elsewhere(&first).await, house.elsewhere(&first).await);
    let path = format!("/v1/users/{}/sessions", first.id);
    let page = admin.get(&house, &path).await.expect(StatusCode::OK);
    let expected = [&third, &second, &first].map(|person| person.session_id.to_string());
    assert_eq!(ids(&page), expected);
    assert!(
        page["items"]
            .as_array()
            .expect("items")
            .iter()
            .all(|session| session["current"] == false)
    );

    second.get(&house, "/v1/me").await.expect(StatusCode::OK);
    admin
        .delete(&house, &format!("{path}/{}", other.session_id))
        .await
        .problem(404, "not_found");
    admin
        .delete(&house, &format!("{path}/{}", second.session_id))
        .await
        .expect(StatusCode::NO_CONTENT);
    second
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    admin
        .delete(&house, &format!("{path}/{}", second.session_id))
        .await
        .problem(404, "not_found");
    first.get(&house, "/v1/me").await.expect(StatusCode::OK);

    let ended = admin.delete(&house, &path).await.expect(StatusCode::OK);
    assert_eq!(ended["revoked"], 2);
    for person in [&first, &third] {
        person
            .get(&house, "/v1/me")
            .await
            .problem(401, "session_ended");
        let refresh = json!({ "refresh_token": person.refresh_token });
        house
            .post("/v1/auth/refresh", &refresh)
            .await
            .problem(401, "invalid_refresh_token");
    }
    other.get(&house, "/v1/me").await.expect(StatusCode::OK);

    let support = house
        .official(&admin, "support", &["users:read", "users:write"])
        .await;
    let theirs = format!("/v1/users/{}/sessions", admin.id);
    support
        .delete(&house, &theirs)
        .await
        .problem(403, "permission_denied");
    support
        .delete(&house, &format!("{theirs}/{}", admin.session_id))
        .await
        .problem(403, "permission_denied");
    let ended = support
        .delete(&house, &format!("/v1/users/{}/sessions", other.id))
        .await;
    assert_eq!(ended.expect(StatusCode::OK)["revoked"], 1);
}

#[tokio::test]
async fn a_suspended_account_is_refused_by_every_credential() {
    let house = House::open().await;
    let (admin, person) = (house.administrator().await, house.person("ada").await);
    let key = json!({ "name": "ci", "scopes": ["profile:read"] });
    let key = person
        .post(&house, "/v1/me/api-keys", &key)
        .await
        .expect(StatusCode::CREATED);
    let by_key = || {
        house
            .request(Method::GET, "/v1/me")
            .bearer_auth(text(&key["token"]))
    };
    let acting = format!("/v1/users/{}/impersonate", person.id);
    let reason = json!({ "reason": "a look" });
    let acted = admin
        .post(&house, &acting, &reason)
        .await
        .expect(StatusCode::OK);
    let by_impersonation = || {
        house
            .request(Method::GET, "/v1/me")
            .bearer_auth(text(&acted["access_token"]))
    };
    person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    Answer::of(by_key()).await.expect(StatusCode::OK);
    Answer::of(by_impersonation()).await.expect(StatusCode::OK);

    let suspended = suspend(&house, &admin, &person)
        .await
        .expect(StatusCode::OK);
    assert_eq!(suspended["status"], "suspended");
    person
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    Answer::of(by_impersonation())
        .await
        .problem(401, "session_ended");
    Answer::of(by_key()).await.problem(401, "account_suspended");
    let refresh = json!({ "refresh_token": person.refresh_token });
    house
        .post("/v1/auth/refresh", &refresh)
        .await
        .problem(401, "invalid_refresh_token");
    house
        .log_in(&person.email, PASSWORD)
        .await
        .problem(403, "account_suspended");
    admin
        .post(&house, &acting, &reason)
        .await
        .problem(409, "account_suspended");
    let (action, reason): (String, Value) = sqlx::query_as(
        "SELECT action, details FROM audit_events WHERE action LIKE 'account.susp%'",
    )
    .fetch_one(&house.stores.db)
    .await
    .expect("one event");
    assert_eq!(
        (action.as_str(), reason),
        ("account.suspended", json!({ "reason": "spam" }))
    );
}

#[tokio::test]
async fn a_reactivated_account_has_no_old_sessions() {
    let house = House::open().await;
    let (admin, person) = (house.administrator().await, house.person("ada").await);
    suspend(&house, &admin, &person)
        .await
        .expect(StatusCode::OK);
    suspend(&house, &admin, &person)
        .await
        .expect(StatusCode::OK);
    // A login that was in progress during the suspension leaves this state.
    sqlx::query("UPDATE sessions SET revoked_at = NULL WHERE id = $1")
        .bind(person.session_id)
        .execute(&house.stores.db)
        .await
        .expect("updates");
    let back = reactivate(&house, &admin, &person)
        .await
        .expect(StatusCode::OK);
    assert_eq!(back["status"], "active");
    reactivate(&house, &admin, &person)
        .await
        .expect(StatusCode::OK);
    person
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    let refresh = json!({ "refresh_token": person.refresh_token });
    house
        .post("/v1/auth/refresh", &refresh)
        .await
        .problem(401, "invalid_refresh_token");
    house
        .elsewhere(&person)
        .await
        .get(&house, "/v1/me")
        .await
        .expect(StatusCode::OK);
    let told = house.actions().await;
    for action in ["account.suspended:success", "account.reactivated:success"] {
        assert_eq!(
            told.iter().filter(|known| *known == action).count(),
            1,
            "{action}"
        );
    }
}

#[tokio::test]
async fn an_administrator_cannot_suspend_themselves_or_a_more_privileged_account() {
    let house = House::open().await;
    let admin = house.administrator().await;
    suspend(&house, &admin, &admin)
        .await
        .problem(409, "own_account");
    let support = house
        .official(&admin, "support", &["users:read", "users:write"])
        .await;
    suspend(&house, &support, &admin)
        .await
        .problem(403, "permission_denied");
    let auditor = house.official(&admin, "auditor", &["audit:read"]).await;
    suspend(&house, &support, &auditor)
        .await
        .problem(403, "permission_denied");
    suspend(&house, &admin, &auditor)
        .await
        .expect(StatusCode::OK);
    reactivate(&house, &support, &auditor)
        .await
        .problem(403, "permission_denied");
    let person = house.person("ada").await;
    suspend(&house, &support, &person)
        .await
        .expect(StatusCode::OK);
    reactivate(&house, &support, &person)
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn the_last_administrator_cannot_be_removed() {
    let house = House::open().await;
    let admin = house.administrator().await;
    let demote = async |by: &Person, whom: &Person| {
        let path = format!("/v1/users/{}/roles", whom.id);
        by.send(&house, Method::PUT, &path, &json!({ "roles": ["member"] }))
            .await
    };
    demote(&admin, &admin)
        .await
        .problem(409, "last_administrator");
    // A suspended administrator does not count.
    let other = house.administrator().await;
    suspend(&house, &admin, &other).await.expect(StatusCode::OK);
    demote(&admin, &admin)
        .await
        .problem(409, "last_administrator");
    demote(&admin, &other).await.expect(StatusCode::OK);

    // Two administrators remove each other concurrently, in both ways.
    for round in 0..6 {
        let clear = "DELETE FROM user_roles WHERE role = 'admin'";
        sqlx::query(clear)
            .execute(&house.stores.db)
            .await
            .expect("clears");
        let (one, two) = (house.administrator().await, house.administrator().await);
        let ended = if round % 2 == 0 {
            tokio::join!(demote(&one, &two), demote(&two, &one))
        } else {
            tokio::join!(suspend(&house, &one, &two), suspend(&house, &two, &one))
        };
        let done = [&ended.0, &ended.1]
            .iter()
            .filter(|answer| answer.status == StatusCode::OK)
            .count();
        let left: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM users JOIN user_roles ON user_id = id WHERE role = 'admin' AND status = 'active'",
        )
        .fetch_one(&house.stores.db)
        .await
        .expect("counts");
        assert_eq!((done, left), (1, 1), "{ended:?}");
    }
}

#[tokio::test]
async fn an_unknown_account_is_not_found() {
    let house = House::open().await;
    let admin = house.administrator().await;
    let nobody = Uuid::new_v4();
    for path in [
        format!("/v1/users/{nobody}"),
        format!("/v1/users/{nobody}/sessions"),
        "/v1/users/7".to_owned(),
    ] {
        admin.get(&house, &path).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_new_password_from_the_command_line_ends_all_sessions() {
    let house = House::open().await;
    let admin = house.administrator().await;
    let users = Users::new(&house.stores);
    let hasher = PasswordHasher::start(&house.stage.settings().auth).expect("starts");
    let ensure = async |password: &str| {
        let email = Email::parse(&admin.email).expect("an address");
        let password = Password::parse(password).expect("a password");
        users
            .ensure_administrator(&hasher, email, password)
            .await
            .expect("answers")
    };
    assert!(!ensure(PASSWORD).await);
    admin.get(&house, "/v1/me").await.expect(StatusCode::OK);
    assert!(!ensure("another battery staple").await);
    admin
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    house
        .log_in(&admin.email, "another battery staple")
        .await
        .expect(StatusCode::OK);
}

/// The result of each operation on an account when applied to the caller's own: it is refused, or
/// allows no more than `/v1/me`. A new operation has to be added here.
const ON_ONESELF: &[(&str, &str, u16)] = &[
    ("delete", "/v1/users/{id}", 409),
    ("delete", "/v1/users/{id}/sessions", 200),
    ("delete", "/v1/users/{id}/sessions/{session_id}", 204),
    ("post", "/v1/users/{id}/impersonate", 409),
    ("post", "/v1/users/{id}/mfa/reset", 409),
    ("post", "/v1/users/{id}/password/reset", 409),
    ("post", "/v1/users/{id}/reactivate", 200),
    // A deleted account has no session to send the request.
    ("post", "/v1/users/{id}/restore", 409),
    ("post", "/v1/users/{id}/suspend", 409),
    ("put", "/v1/users/{id}/roles", 200),
];

#[tokio::test]
async fn no_operation_on_accounts_bypasses_the_checks_for_the_own_account() {
    let document: Value = serde_json::from_str(&plinth_api::app::document()).expect("JSON");
    let house = House::open().await;
    for (path, operations) in document["paths"].as_object().expect("paths") {
        let unsafe_methods = operations
            .as_object()
            .expect("operations")
            .keys()
            .filter(|method| *method != "get");
        for method in unsafe_methods.filter(|_| path.starts_with("/v1/users/{id}")) {
            let known = ON_ONESELF
                .iter()
                .find(|(known, place, _)| known == method && place == path);
            let (_, _, status) = known
                .unwrap_or_else(|| panic!("{method} {path}: add its result for the own account"));
            let admin = house.administrator().await;
            let path = path.replace("{id}", &admin.id.to_string());
            let path = path.replace("{session_id}", &admin.session_id.to_string());
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            let body = if path.ends_with("/roles") {
                json!({ "roles": ["admin"] })
            } else {
                json!({ "reason": "it is me" })
            };
            let request = admin.request(&house, method.clone(), &path);
            let request = if method == Method::DELETE {
                request
            } else {
                request.json(&body)
            };
            let answer = Answer::of(request).await;
            assert_eq!(answer.status.as_u16(), *status, "{method} {path}");
            if *status == 409 {
                let is_restore = path.ends_with("/restore");
                answer.problem(
                    409,
                    if is_restore {
                        "account_not_deleting"
                    } else {
                        "own_account"
                    },
                );
            }
        }
    }
}
