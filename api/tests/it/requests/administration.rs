//! Accounts of others, roles, and the audit log.

use reqwest::{Method, StatusCode};
use serde_json::json;
use uuid::Uuid;

use super::{Request, missing_request};
use crate::house::{House, Person};

pub(super) async fn prepare(house: &House, operation: &str, caller: &Person) -> Request {
    match operation {
        "listPermissions" | "listRoles" => Request::new(),
        "createRole" => Request::json(json!({ "name": role_name(), "permissions": [] })),
        "readRole" | "removeRole" => Request::new().at("name", &role(house).await),
        "changeRole" => {
            Request::json(json!({ "requires_mfa": true })).at("name", &role(house).await)
        }
        "listAuditEvents" => {
            let change = json!({ "display_name": "Countess" });
            let changed = caller.send(house, Method::PATCH, "/v1/me", &change).await;
            changed.expect(StatusCode::OK);
            Request::new().query("action=account.updated")
        }
        _ => of_account(house, operation).await,
    }
}

/// Prepares an operation on the account of another person.
async fn of_account(house: &House, operation: &str) -> Request {
    let person = house.person("other").await;
    let reason = json!({ "reason": "called back on the number that we have" });
    let request = match operation {
        "listUsers" => return Request::new().query(&format!("email={}", person.email)),
        "readUser" | "deleteUser" | "listUserSessions" | "revokeUserSessions" => Request::new(),
        "revokeUserSession" => Request::new().at("session_id", &person.session_id),
        "restoreUser" => {
            let delete =
                "UPDATE users SET status = 'deleting', deletion_due_at = now() WHERE id = $1";
            sqlx::query(delete)
                .bind(person.id.0)
                .execute(&house.stores.db)
                .await
                .expect("updates");
            Request::new()
        }
        "reactivateUser" => {
            let suspend = sqlx::query("UPDATE users SET status = 'suspended' WHERE id = $1");
            suspend
                .bind(person.id.0)
                .execute(&house.stores.db)
                .await
                .expect("updates");
            Request::new()
        }
        "assignRoles" => Request::json(json!({ "roles": ["member", "admin"] })),
        "impersonateUser" | "resetFactors" | "resetUserPassword" | "suspendUser" => {
            Request::json(reason)
        }
        other => missing_request(other),
    };
    request.at("id", &person.id)
}

fn role_name() -> String {
    format!("role-{}", Uuid::new_v4().simple())
}

/// Creates a role without permissions and returns its name.
async fn role(house: &House) -> String {
    let name = role_name();
    let insert = sqlx::query("INSERT INTO roles (name, permissions) VALUES ($1, '{}')").bind(&name);
    insert.execute(&house.stores.db).await.expect("inserts");
    name
}
