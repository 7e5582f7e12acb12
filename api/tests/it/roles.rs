//! Roles over HTTP: created, changed, removed, and effective at once.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::house::{House, Person, text};

async fn patch(house: &House, person: &Person, role: &str, body: &Value) -> crate::house::Answer {
    person
        .send(house, Method::PATCH, &format!("/v1/roles/{role}"), body)
        .await
}

#[tokio::test]
async fn a_role_can_be_created_changed_and_removed() {
    let house = House::open().await;
    let admin = house.administrator().await;
    let body = json!({ "name": "auditor", "description": " Reads the log ", "permissions": ["audit:read"] });
    let made = admin
        .post(&house, "/v1/roles", &body)
        .await
        .expect(StatusCode::CREATED);
    let expected = json!({
        "name": "auditor", "description": "Reads the log", "permissions": ["audit:read"],
        "requires_mfa": false, "built_in": false,
    });
    assert_eq!(made, expected);
    let change = json!({ "description": null, "permissions": ["users:read", "audit:read"], "requires_mfa": true });
    let changed = patch(&house, &admin, "auditor", &change)
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        admin
            .get(&house, "/v1/roles/auditor")
            .await
            .expect(StatusCode::OK),
        changed
    );
    assert_eq!(changed["permissions"], json!(["users:read", "audit:read"]));
    assert_eq!(
        (
            changed["description"].is_null(),
            changed["requires_mfa"].as_bool()
        ),
        (true, Some(true))
    );
    assert_eq!(
        patch(&house, &admin, "auditor", &json!({}))
            .await
            .expect(StatusCode::OK),
        changed
    );
    let list = admin.get(&house, "/v1/roles").await.expect(StatusCode::OK);
    let names: Vec<_> = list["items"]
        .as_array()
        .expect("roles")
        .iter()
        .map(|role| text(&role["name"]))
        .collect();
    assert_eq!(names, ["admin", "auditor", "member"]);
    admin
        .delete(&house, "/v1/roles/auditor")
        .await
        .expect(StatusCode::NO_CONTENT);
    admin
        .get(&house, "/v1/roles/auditor")
        .await
        .problem(404, "not_found");
    let told: Vec<_> = house
        .actions()
        .await
        .into_iter()
        .filter(|action| action.starts_with("role."))
        .collect();
    assert_eq!(
        told,
        [
            "role.created:success",
            "role.changed:success",
            "role.removed:success"
        ]
    );
}

#[tokio::test]
async fn permissions_are_listed_with_descriptions() {
    let house = House::open().await;
    let admin = house.administrator().await;
    let list = admin
        .get(&house, "/v1/permissions")
        .await
        .expect(StatusCode::OK);
    let items = list["items"].as_array().expect("permissions");
    let own = admin.get(&house, "/v1/me").await.expect(StatusCode::OK)["permissions"].clone();
    let names: Vec<_> = items
        .iter()
        .map(|permission| permission["name"].clone())
        .collect();
    assert_eq!(
        Value::Array(names),
        own,
        "an administrator has all permissions"
    );
    let roles_write = items
        .iter()
        .find(|permission| permission["name"] == "roles:write")
        .expect("is there");
    let expected = json!({ "name": "roles:write", "description": "Make, change and remove roles.", "api_keys": false });
    assert_eq!(*roles_write, expected);
}

#[tokio::test]
async fn invalid_properties_of_a_role_are_reported() {
    let house = House::open().await;
    let admin = house.administrator().await;
    for (body, faults) in [
        (
            json!({ "name": "Ops", "description": "a\u{202e}b", "permissions": ["files:read", "root:all", "*"] }),
            vec![
                "/description control_character",
                "/name invalid_role_name",
                "/permissions/1 unknown_permission",
                "/permissions/2 unknown_permission",
            ],
        ),
        (
            json!({ "name": "ops", "permissions": [], "built_in": true }),
            vec!["/built_in unknown_field"],
        ),
        (
            json!({ "name": "ops", "permissions": "files:read" }),
            vec!["/permissions wrong_type"],
        ),
    ] {
        let refused = admin.post(&house, "/v1/roles", &body).await;
        refused.problem(422, "validation_failed");
        assert_eq!(refused.faults(), faults);
    }
    let refused = patch(
        &house,
        &admin,
        "member",
        &json!({ "permissions": ["nothing"], "name": "x" }),
    )
    .await;
    refused.problem(422, "validation_failed");
    assert_eq!(refused.faults(), ["/name unknown_field"]);
    let taken = json!({ "name": "member", "permissions": [] });
    admin
        .post(&house, "/v1/roles", &taken)
        .await
        .problem(409, "role_exists");
    for path in ["/v1/roles/nothing", "/v1/roles/NOT%20ONE"] {
        admin.get(&house, path).await.problem(404, "not_found");
    }
    assert_eq!(house.count("roles").await, 2);
}

#[tokio::test]
async fn the_number_of_roles_is_limited_to_what_a_process_caches() {
    let house = House::open().await;
    let admin = house.administrator().await;
    sqlx::query("INSERT INTO roles (name, permissions) SELECT 'r' || n, '{}' FROM generate_series(1, 198) n")
        .execute(&house.stores.db)
        .await
        .expect("inserts");
    let one_more = json!({ "name": "one-more", "permissions": [] });
    admin
        .post(&house, "/v1/roles", &one_more)
        .await
        .problem(409, "too_many_roles");
    admin
        .delete(&house, "/v1/roles/r7")
        .await
        .expect(StatusCode::NO_CONTENT);
    admin
        .post(&house, "/v1/roles", &one_more)
        .await
        .expect(StatusCode::CREATED);
}

#[tokio::test]
async fn a_built_in_role_cannot_be_changed() {
    let house = House::open().await;
    let admin = house.administrator().await;
    for role in ["admin", "member"] {
        patch(
            &house,
            &admin,
            role,
            &json!({ "permissions": ["files:read"] }),
        )
        .await
        .problem(409, "built_in_role");
        admin
            .delete(&house, &format!("/v1/roles/{role}"))
            .await
            .problem(409, "built_in_role");
    }
    // The caller has no second factor and would be locked out first.
    let demand = json!({ "requires_mfa": true });
    patch(&house, &admin, "admin", &demand)
        .await
        .problem(409, "second_factor_required");
    admin.get(&house, "/v1/roles").await.expect(StatusCode::OK);
    let changed = patch(&house, &admin, "member", &demand)
        .await
        .expect(StatusCode::OK);
    assert_eq!(changed["requires_mfa"], true);
}

#[tokio::test]
async fn a_role_that_requires_a_second_factor_applies_to_the_next_request() {
    let house = House::open().await;
    let admin = house.administrator().await;
    let auditor = house.official(&admin, "auditor", &["audit:read"]).await;
    auditor.get(&house, "/v1/me").await.expect(StatusCode::OK);
    patch(&house, &admin, "auditor", &json!({ "requires_mfa": true }))
        .await
        .expect(StatusCode::OK);
    auditor
        .get(&house, "/v1/me")
        .await
        .problem(403, "second_factor_required");
    auditor
        .get(&house, "/v1/audit-events")
        .await
        .problem(403, "second_factor_required");
    house.assign(&admin, &auditor, &["member"]).await;
    auditor.get(&house, "/v1/me").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_change_of_roles_applies_to_the_next_request() {
    let house = House::open().await;
    let other = house.twin().await;
    let (admin, person) = (house.administrator().await, house.person("ada").await);
    let body = json!({ "name": "auditor", "permissions": [] });
    admin
        .post(&house, "/v1/roles", &body)
        .await
        .expect(StatusCode::CREATED);
    let path = "/v1/audit-events";
    // Each replica has cached copies by the time of the change.
    let refused = async || {
        for _ in 0..2 {
            person
                .get(&house, path)
                .await
                .problem(403, "permission_denied");
            person
                .get(&other, path)
                .await
                .problem(403, "permission_denied");
        }
    };
    let admitted = async || {
        for _ in 0..2 {
            person.get(&house, path).await.expect(StatusCode::OK);
            person.get(&other, path).await.expect(StatusCode::OK);
        }
    };
    refused().await;
    house.assign(&admin, &person, &["member", "auditor"]).await;
    refused().await;
    patch(
        &house,
        &admin,
        "auditor",
        &json!({ "permissions": ["audit:read"] }),
    )
    .await
    .expect(StatusCode::OK);
    admitted().await;
    patch(
        &house,
        &admin,
        "auditor",
        &json!({ "permissions": ["files:read"] }),
    )
    .await
    .expect(StatusCode::OK);
    refused().await;
    patch(
        &house,
        &admin,
        "auditor",
        &json!({ "permissions": ["audit:read"] }),
    )
    .await
    .expect(StatusCode::OK);
    admitted().await;
    house.assign(&admin, &person, &["member"]).await;
    refused().await;
    person.get(&other, "/v1/me").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_role_in_use_cannot_be_removed() {
    let house = House::open().await;
    let admin = house.administrator().await;
    let auditor = house.official(&admin, "auditor", &["audit:read"]).await;
    admin
        .delete(&house, "/v1/roles/auditor")
        .await
        .problem(409, "role_in_use");
    auditor
        .get(&house, "/v1/audit-events")
        .await
        .expect(StatusCode::OK);
    house.assign(&admin, &auditor, &["member"]).await;
    admin
        .delete(&house, "/v1/roles/auditor")
        .await
        .expect(StatusCode::NO_CONTENT);
    let path = format!("/v1/users/{}/roles", auditor.id);
    let late = admin
        .send(
            &house,
            Method::PUT,
            &path,
            &json!({ "roles": ["member", "auditor"] }),
        )
        .await;
    late.problem(422, "validation_failed");
    assert_eq!(late.faults(), ["/roles/1 unknown_role"]);
}

#[tokio::test]
async fn a_permission_that_the_caller_lacks_cannot_be_granted() {
    let house = House::open().await;
    let admin = house.administrator().await;
    let clerk = house
        .official(
            &admin,
            "clerk",
            &["roles:read", "roles:write", "users:read"],
        )
        .await;
    let auditor = house.official(&admin, "auditor", &["audit:read"]).await;
    let target = house.person("eve").await;

    let made = json!({ "name": "mine", "permissions": ["users:read", "audit:read"] });
    clerk
        .post(&house, "/v1/roles", &made)
        .await
        .problem(403, "permission_denied");
    // Neither by adding it to a role nor by removing it.
    let more = json!({ "permissions": ["roles:read", "roles:write", "users:read", "users:write"] });
    patch(&house, &clerk, "clerk", &more)
        .await
        .problem(403, "permission_denied");
    patch(&house, &clerk, "auditor", &json!({ "permissions": [] }))
        .await
        .problem(403, "permission_denied");
    let more = json!({ "permissions": ["audit:read", "users:read"] });
    patch(&house, &clerk, "auditor", &more)
        .await
        .problem(403, "permission_denied");

    let assign = async |to: &Person, roles: Value| {
        let path = format!("/v1/users/{}/roles", to.id);
        clerk
            .send(&house, Method::PUT, &path, &json!({ "roles": roles }))
            .await
    };
    for role in ["admin", "auditor"] {
        assign(&clerk, json!(["member", "clerk", role]))
            .await
            .problem(403, "permission_denied");
        assign(&target, json!(["member", role]))
            .await
            .problem(403, "permission_denied");
    }
    assign(&auditor, json!(["member"]))
        .await
        .problem(403, "permission_denied");
    assign(&admin, json!([]))
        .await
        .problem(403, "permission_denied");
    assert_eq!(house.user(admin.id).await.roles, ["admin"]);
    // They can add and remove their own permissions.
    assign(&target, json!(["member", "clerk"]))
        .await
        .expect(StatusCode::OK);
    assign(&target, json!(["member"]))
        .await
        .expect(StatusCode::OK);

    let key = json!({ "name": "x", "scopes": ["audit:read"] });
    clerk
        .post(&house, "/v1/me/api-keys", &key)
        .await
        .problem(403, "permission_denied");
}

#[tokio::test]
async fn a_role_with_more_permissions_than_the_caller_cannot_be_changed() {
    let house = House::open().await;
    let admin = house.administrator().await;
    let clerk = house
        .official(
            &admin,
            "clerk",
            &["roles:read", "roles:write", "users:read"],
        )
        .await;
    let further = json!({ "name": "auditor", "permissions": ["users:read", "audit:read"] });
    let before = admin
        .post(&house, "/v1/roles", &further)
        .await
        .expect(StatusCode::CREATED);
    for (role, change) in [
        ("auditor", json!({ "requires_mfa": true })),
        ("auditor", json!({ "requires_mfa": false })),
        ("auditor", json!({ "description": "mine" })),
        ("auditor", json!({ "description": null })),
        ("auditor", json!({ "permissions": ["users:read"] })),
        ("auditor", json!({})),
        ("admin", json!({ "requires_mfa": true })),
        ("admin", json!({ "description": "mine" })),
    ] {
        patch(&house, &clerk, role, &change)
            .await
            .problem(403, "permission_denied");
    }
    clerk
        .delete(&house, "/v1/roles/auditor")
        .await
        .problem(403, "permission_denied");
    assert_eq!(
        admin
            .get(&house, "/v1/roles/auditor")
            .await
            .expect(StatusCode::OK),
        before
    );

    // A role within the caller's permissions can be changed and removed.
    let within = json!({ "name": "reader", "permissions": ["users:read"] });
    clerk
        .post(&house, "/v1/roles", &within)
        .await
        .expect(StatusCode::CREATED);
    patch(&house, &clerk, "reader", &json!({ "requires_mfa": true }))
        .await
        .expect(StatusCode::OK);
    clerk
        .delete(&house, "/v1/roles/reader")
        .await
        .expect(StatusCode::NO_CONTENT);
}
