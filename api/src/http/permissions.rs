//! Permissions by name in a body.

use plinth_core::error::Faults;
use plinth_domain::closed_set::Recorded;
use plinth_domain::permission::{Permission, Permissions};
use plinth_domain::rejection::Rejection;

/// Returns the permissions of these names; each name that is none is kept as a fault of its place below `pointer`.
pub fn parse(
    faults: &mut Faults,
    pointer: &str,
    names: Vec<Recorded<Permission>>,
) -> Option<Permissions> {
    let unknown = || {
        Rejection::new(
            "unknown_permission",
            "GET /v1/permissions lists what there is.",
        )
    };
    let parsed: Vec<Option<Permission>> = names
        .into_iter()
        .enumerate()
        .map(|(index, name)| {
            faults.keep(
                &format!("{pointer}/{index}"),
                name.known().ok_or_else(unknown),
            )
        })
        .collect();
    parsed.into_iter().collect()
}
