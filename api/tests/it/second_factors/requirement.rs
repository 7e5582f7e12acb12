//! Roles that ask for a second factor.

use reqwest::StatusCode;

use super::{enrol, enrol_another, refreshed};
use crate::house::{House, Person, text};

/// A role that asks for a second factor, given to somebody.
async fn require_factor(house: &House, person: &Person) {
    let role = "INSERT INTO roles (name, permissions, requires_mfa) VALUES ('guarded', '{}', true)";
    sqlx::query(role).execute(&house.stores.db).await.expect("inserts");
    sqlx::query("INSERT INTO user_roles (user_id, role) VALUES ($1, 'guarded')")
        .bind(person.id.0)
        .execute(&house.stores.db)
        .await
        .expect("inserts");
    house.forget_copies().await;
}

#[tokio::test]
async fn who_must_have_a_second_factor_can_only_enrol() {
    let house = House::open().await;
    let person = house.person("ada").await;
    require_factor(&house, &person).await;
    for path in ["/v1/me", "/v1/files", "/v1/me/sessions", "/v1/me/notifications"] {
        person.get(&house, path).await.problem(403, "second_factor_required");
    }
    person.delete(&house, "/v1/me/sessions").await.problem(403, "second_factor_required");
    enrol(&house, &person).await;
    person.get(&house, "/v1/me").await.problem(403, "second_factor_required");
    let person = refreshed(&house, &person).await;
    let me = person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    assert_eq!(me["has_second_factor"], true);
    // The last one stays while the role asks for it.
    let listed = person.get(&house, "/v1/me/mfa/totp").await.expect(StatusCode::OK);
    let last = format!("/v1/me/mfa/totp/{}", text(&listed["items"][0]["id"]));
    person.delete(&house, &last).await.problem(409, "second_factor_required");
}

#[tokio::test]
async fn of_two_removals_at_once_one_keeps_the_last_factor() {
    let house = House::open().await;
    let person = house.person("ada").await;
    enrol(&house, &person).await;
    enrol_another(&house, &person, "Tablet").await;
    let person = refreshed(&house, &person).await;
    require_factor(&house, &person).await;
    let listed = person.get(&house, "/v1/me/mfa/totp").await.expect(StatusCode::OK);
    let path = |place: usize| format!("/v1/me/mfa/totp/{}", text(&listed["items"][place]["id"]));
    let (first, second) = (path(0), path(1));
    let both = tokio::join!(person.delete(&house, &first), person.delete(&house, &second));
    let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409]);
}
