//! The table of roles.

use plinth_domain::role::Role;
use plinth_platform::database::named;
use sqlx::PgExecutor;

struct Row {
    name: String,
    description: Option<String>,
    permissions: Vec<String>,
    requires_mfa: bool,
    built_in: bool,
}

impl From<Row> for Role {
    fn from(row: Row) -> Self {
        Self {
            name: row.name,
            description: row.description,
            permissions: row.permissions.into(),
            requires_mfa: row.requires_mfa,
            built_in: row.built_in,
        }
    }
}

pub(super) async fn all(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Role>> {
    let query = sqlx::query_as!(
        Row,
        "SELECT name, description, permissions, requires_mfa, built_in FROM roles ORDER BY name"
    );
    Ok(named("roles.all", query.fetch_all(db)).await?.into_iter().map(Role::from).collect())
}
