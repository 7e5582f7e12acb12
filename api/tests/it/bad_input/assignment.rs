//! Bodies with fields that only the server sets (mass assignment).

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::house::{House, PASSWORD};

/// Fields that a client must not be able to set.
fn forbidden_fields() -> Vec<(&'static str, Value)> {
    vec![
        ("id", json!("01937b1e-0000-7000-8000-000000000001")),
        ("role", json!("admin")),
        ("roles", json!(["admin"])),
        ("permissions", json!(["roles:write"])),
        ("email_verified_at", json!("2026-01-01T00:00:00Z")),
        ("email_verified", json!(true)),
        ("status", json!("active")),
        ("has_second_factor", json!(true)),
        ("user_id", json!("01937b1e-0000-7000-8000-000000000001")),
        (
            "impersonator_id",
            json!("01937b1e-0000-7000-8000-000000000001"),
        ),
    ]
}

#[tokio::test]
async fn no_client_can_set_its_own_role_or_verification() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let before = house.user(person.id).await;
    let bodies = [
        (
            Method::POST,
            "/v1/auth/register",
            json!({ "email": "eve@example.org", "password": PASSWORD }),
        ),
        (
            Method::POST,
            "/v1/auth/login",
            json!({ "email": person.email, "password": PASSWORD }),
        ),
        (
            Method::POST,
            "/v1/auth/refresh",
            json!({ "refresh_token": person.refresh_token }),
        ),
        (
            Method::POST,
            "/v1/auth/verify-email",
            json!({ "token": "x", "password": PASSWORD }),
        ),
        (Method::PATCH, "/v1/me", json!({ "display_name": "Ada" })),
        (
            Method::POST,
            "/v1/me/api-keys",
            json!({ "name": "x", "scopes": ["files:read"] }),
        ),
    ];
    for (method, path, body) in bodies {
        for (field, value) in forbidden_fields() {
            let mut body = body.clone();
            body[field] = value;
            let refused = person.send(&house, method.clone(), path, &body).await;
            refused.problem(422, "validation_failed");
            assert_eq!(
                refused.faults(),
                [format!("/{field} unknown_field")],
                "{method} {path}"
            );
        }
    }
    assert_eq!(house.user(person.id).await, before);
    assert_eq!(
        (house.count("users").await, house.count("api_keys").await),
        (1, 0)
    );
    let me = person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    assert_eq!(me["roles"], json!(["member"]));
}
