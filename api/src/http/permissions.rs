//! Permissions by name in a request or response.

use plinth_core::error::Faults;
use plinth_domain::closed_set::Recorded;
use plinth_domain::permission::{Permission, Permissions};
use plinth_domain::rejection::Rejection;

/// Parses permission names. Adds a fault for each unknown name to `faults`, below `pointer`.
pub fn parse(
    faults: &mut Faults,
    pointer: &str,
    names: Vec<Recorded<Permission>>,
) -> Option<Permissions> {
    let unknown = || {
        Rejection::new(
            "unknown_permission",
            "Unknown permission; GET /v1/permissions lists all.",
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
