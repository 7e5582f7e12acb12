//! Roles that require a second factor.

use reqwest::StatusCode;

use serde_json::{Value, json};

use super::{enrol, enrol_another, refreshed};
use crate::house::{House, Person, text};

/// Gives the person a role that requires a second factor.
async fn require_factor(house: &House, person: &Person) {
    let role = "INSERT INTO roles (name, permissions, requires_mfa) VALUES ('guarded', '{}', true)";
    sqlx::query(role)
        .execute(&house.stores.db)
        .await
        .expect("inserts");
    sqlx::query("INSERT INTO user_roles (user_id, role) VALUES ($1, 'guarded')")
        .bind(person.id.0)
        .execute(&house.stores.db)
        .await
        .expect("inserts");
    house.forget_copies().await;
}

#[tokio::test]
async fn a_user_who_lacks_a_required_second_factor_can_only_enrol() {
    let house = House::open().await;
    let person = house.person("ada").await;
    require_factor(&house, &person).await;
    for path in [
        "/v1/me",
        "/v1/files",
        "/v1/me/sessions",
        "/v1/me/notifications",
    ] {
        person
            .get(&house, path)
            .await
            .problem(403, "second_factor_required");
    }
    person
        .delete(&house, "/v1/me/sessions")
        .await
        .problem(403, "second_factor_required");
    enrol(&house, &person).await;
    person
        .get(&house, "/v1/me")
        .await
        .problem(403, "second_factor_required");
    let person = refreshed(&house, &person).await;
    let me = person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    assert_eq!(me["has_second_factor"], true);
    // The last factor cannot be removed while the role requires it.
    let listed = person
        .get(&house, "/v1/me/mfa/totp")
        .await
        .expect(StatusCode::OK);
    let last = format!("/v1/me/mfa/totp/{}", text(&listed["items"][0]["id"]));
    person
        .delete(&house, &last)
        .await
        .problem(409, "second_factor_required");
}

#[tokio::test]
async fn concurrent_removals_keep_the_last_required_factor() {
    let house = House::open().await;
    let person = house.person("ada").await;
    enrol(&house, &person).await;
    enrol_another(&house, &person, "Tablet").await;
    let person = refreshed(&house, &person).await;
    require_factor(&house, &person).await;
    let listed = person
        .get(&house, "/v1/me/mfa/totp")
        .await
        .expect(StatusCode::OK);
    let path = |place: usize| format!("/v1/me/mfa/totp/{}", text(&listed["items"][place]["id"]));
    let (first, second) = (path(0), path(1));
    let both = tokio::join!(
        person.delete(&house, &first),
        person.delete(&house, &second)
    );
    let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409]);
}

async fn key_of(house: &House, person: &Person) -> Value {
    let body = json!({ "name": "ci", "scopes": ["profile:read"] });
    person
        .post(house, "/v1/me/api-keys", &body)
        .await
        .expect(StatusCode::CREATED)
}

#[tokio::test]
async fn an_api_key_made_without_a_second_factor_does_not_satisfy_a_role_that_requires_one() {
    let house = House::open().await;
    let other = house.twin().await;
    let (admin, person) = (house.administrator().await, house.person("ada").await);
    let weak = key_of(&house, &person).await;
    enrol(&house, &person).await;
    let person = refreshed(&house, &person).await;
    let strong = key_of(&house, &person).await;
    assert_eq!(
        (
            &weak["api_key"]["multi_factor"],
            &strong["api_key"]["multi_factor"]
        ),
        (&json!(false), &json!(true))
    );
    let (weak, strong) = (text(&weak["token"]), text(&strong["token"]));
    for key in [&weak, &strong] {
        house.try_api_key(key).await.expect(StatusCode::OK);
        other.try_api_key(key).await.expect(StatusCode::OK);
    }

    // The role starts to require it later, on either replica.
    let body = json!({ "name": "guarded", "permissions": [] });
    admin
        .post(&house, "/v1/roles", &body)
        .await
        .expect(StatusCode::CREATED);
    house.assign(&admin, &person, &["member", "guarded"]).await;
    house.try_api_key(&weak).await.expect(StatusCode::OK);
    let demand = json!({ "requires_mfa": true });
    let path = "/v1/roles/guarded";
    admin
        .send(&house, reqwest::Method::PATCH, path, &demand)
        .await
        .expect(StatusCode::OK);
    for replica in [&house, &other] {
        for _ in 0..2 {
            replica
                .try_api_key(&weak)
                .await
                .problem(403, "second_factor_required");
            replica.try_api_key(&strong).await.expect(StatusCode::OK);
        }
    }
    house.assign(&admin, &person, &["member"]).await;
    house.try_api_key(&weak).await.expect(StatusCode::OK);

    // A role that is assigned later and always required it has the same effect.
    house.assign(&admin, &person, &["member", "guarded"]).await;
    other
        .try_api_key(&weak)
        .await
        .problem(403, "second_factor_required");
    other.try_api_key(&strong).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_cached_api_key_of_an_earlier_release_is_not_used() {
    let house = House::open().await;
    let person = house.person("ada").await;
    enrol(&house, &person).await;
    let person = refreshed(&house, &person).await;
    let key = key_of(&house, &person).await;
    require_factor(&house, &person).await;
    let name = house
        .stores
        .redis
        .key(&format!("api-key:{}", text(&key["api_key"]["id"])));
    // The format of the previous release, for a key with all permissions.
    let copy =
        json!({ "user": person.id, "scopes": ["audit:read", "profile:read"], "expires_at": null });
    let mut connection = house.redis().await;
    let _: () = redis::cmd("SET")
        .arg(&name)
        .arg(copy.to_string())
        .query_async(&mut connection)
        .await
        .expect("sets");
    let me = house
        .try_api_key(&text(&key["token"]))
        .await
        .expect(StatusCode::OK);
    assert_eq!(me["permissions"], json!(["profile:read"]));
}

/// The migration that decides about existing keys.
const BACKFILL: &str = include_str!("../../../../migrations/0028_multi_factor_api_keys.sql");

#[tokio::test]
async fn existing_keys_count_as_multi_factor_if_the_factor_is_an_hour_older() {
    let house = House::open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let before = house.api_key(ada.id, "profile:read").await;
    enrol(&house, &ada).await;
    // A session from before the factor is fresh for some minutes.
    house.stores.clock.advance(time::Duration::minutes(30));
    let soon = house.api_key(ada.id, "profile:read").await;
    house.stores.clock.advance(time::Duration::minutes(31));
    let after = house.api_key(ada.id, "profile:read").await;
    let without = house.api_key(bob.id, "profile:read").await;
    sqlx::raw_sql(BACKFILL)
        .execute(&house.stores.db)
        .await
        .expect("updates");
    require_factor(&house, &ada).await;
    sqlx::query("INSERT INTO user_roles (user_id, role) VALUES ($1, 'guarded')")
        .bind(bob.id.0)
        .execute(&house.stores.db)
        .await
        .expect("inserts");
    house.forget_copies().await;
    for key in [&before, &soon, &without] {
        house
            .try_api_key(key)
            .await
            .problem(403, "second_factor_required");
    }
    house.try_api_key(&after).await.expect(StatusCode::OK);
}
