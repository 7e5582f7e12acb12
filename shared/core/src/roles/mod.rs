//! Roles: which there are, and what each lets its holders do.

mod repository;

use plinth_domain::role::Role;

use crate::{Result, Stores};

/// Every role, by name.
pub(crate) async fn all(stores: &Stores) -> Result<Vec<Role>> {
    Ok(repository::all(&stores.db).await?)
}
