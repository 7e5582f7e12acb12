//! The table of roles.

use plinth_domain::role::{Role, RoleDescription, RoleName};
use plinth_platform::database::named;
use sqlx::{PgConnection, PgExecutor};

use super::RoleChange;

pub(super) async fn all(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Role>> {
    let query = sqlx::query_as!(
        Role,
        "SELECT name, description, permissions, requires_mfa, built_in FROM roles ORDER BY name"
    );
    named("roles.all", query.fetch_all(db)).await
}

pub(super) async fn find(db: impl PgExecutor<'_>, name: &RoleName) -> sqlx::Result<Option<Role>> {
    let query = sqlx::query_as!(
        Role,
        "SELECT name, description, permissions, requires_mfa, built_in FROM roles WHERE name = $1",
        name.as_str(),
    );
    named("roles.find", query.fetch_optional(db)).await
}

/// The role, locked: nobody else changes it, is given it or reads it for an impersonation meanwhile.
pub(super) async fn hold(
    connection: &mut PgConnection,
    name: &RoleName,
) -> sqlx::Result<Option<Role>> {
    let query = sqlx::query_as!(
        Role,
        "SELECT name, description, permissions, requires_mfa, built_in FROM roles WHERE name = $1 FOR UPDATE",
        name.as_str(),
    );
    named("roles.hold", query.fetch_optional(connection)).await
}

/// Those of the names that there are; they stay until the transaction ends.
pub(super) async fn keep(
    connection: &mut PgConnection,
    names: &[RoleName],
) -> sqlx::Result<Vec<Role>> {
    let names: Vec<String> = names.iter().map(|name| name.as_str().to_owned()).collect();
    let query = sqlx::query_as!(
        Role,
        "SELECT name, description, permissions, requires_mfa, built_in FROM roles
         WHERE name = ANY($1) ORDER BY name FOR KEY SHARE",
        &names,
    );
    named("roles.keep", query.fetch_all(connection)).await
}

pub(super) async fn stand_still(connection: &mut PgConnection) -> sqlx::Result<()> {
    let query = sqlx::query_scalar!("SELECT name FROM roles ORDER BY name FOR SHARE");
    named("roles.stand_still", query.fetch_all(connection))
        .await
        .map(drop)
}

/// False when the name is taken.
pub(super) async fn insert(connection: &mut PgConnection, role: &Role) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "INSERT INTO roles (name, description, permissions, requires_mfa, built_in) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name) DO NOTHING",
        role.name,
        role.description,
        role.permissions as _,
        role.requires_mfa,
        role.built_in,
    );
    Ok(named("roles.insert", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

/// What the change does not name stays as it is, permissions that only a newer build knows among it.
pub(super) async fn change(
    connection: &mut PgConnection,
    name: &RoleName,
    change: &RoleChange,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE roles SET description = CASE WHEN $2 THEN $3 ELSE description END,
                          permissions = COALESCE($4, permissions), requires_mfa = COALESCE($5, requires_mfa)
         WHERE name = $1",
        name.as_str(),
        change.description.is_some(),
        change.description.as_ref().and_then(Option::as_ref).map(RoleDescription::as_str),
        change.permissions as _,
        change.requires_mfa,
    );
    named("roles.change", query.execute(connection))
        .await
        .map(drop)
}

pub(super) async fn count(connection: &mut PgConnection) -> sqlx::Result<i64> {
    let query = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM roles"#);
    named("roles.count", query.fetch_one(connection)).await
}

pub(super) async fn is_in_use(
    connection: &mut PgConnection,
    name: &RoleName,
) -> sqlx::Result<bool> {
    let query = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM user_roles WHERE role = $1) AS "in_use!""#,
        name.as_str(),
    );
    named("roles.is_in_use", query.fetch_one(connection)).await
}

pub(super) async fn remove(connection: &mut PgConnection, name: &RoleName) -> sqlx::Result<()> {
    let query = sqlx::query!("DELETE FROM roles WHERE name = $1", name.as_str());
    named("roles.remove", query.execute(connection))
        .await
        .map(drop)
}
