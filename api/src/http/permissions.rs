//! Permissions by name in a body.

use plinth_core::error::Faults;
use plinth_domain::permission::{Permission, Permissions};
use plinth_domain::rejection::Rejection;

/// The permissions of these names; every name that is none is kept as a fault of its place below `pointer`.
pub fn parse(faults: &mut Faults, pointer: &str, names: &[String]) -> Option<Permissions> {
    let parsed: Vec<Option<Permission>> = names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let known = name.parse().map_err(|_| {
                Rejection::new(
                    "unknown_permission",
                    "GET /v1/permissions lists what there is.",
                )
            });
            faults.keep(&format!("{pointer}/{index}"), known)
        })
        .collect();
    parsed.into_iter().collect()
}

/// The names of the permissions.
pub fn names(permissions: &Permissions) -> Vec<String> {
    permissions
        .iter()
        .map(|permission| permission.as_str().to_owned())
        .collect()
}
