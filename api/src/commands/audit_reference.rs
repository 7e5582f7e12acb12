//! The reference page of the audit log.

use std::fmt::Write as _;

use plinth_domain::audit::Action;

const BEGINNING: &str = "\
# The audit log

Made by `plinth-api audit --reference` from the declaration of the actions; do not edit.

Every change by a user writes its event in its own transaction: if the change is there the event is, and the other way round.
Refused logins, and refresh tokens that came twice, are events too. The table takes no UPDATE, DELETE or TRUNCATE (a trigger
refuses them). A change without an event is committed only if its code gives a reason for it (`Unit::begin_exempt`): a challenge
that changes nothing until it is answered, a form before it is a file. Builds for development and tests stop at any other.

Refusals of callers who are not known (no session, no key) are written up to a hundred for each address, and then a hundred an
hour; the next one that is written says in `details.unlisted` how many were left out, and
`plinth_audit_refusals_unlisted_total` counts them. What succeeds is always written.

`GET /v1/audit-events` (permission `audit:read`), the newest first, filters `actor_id`, `action`, `target_id`. An event says
who (`actor_id`, `session_id`; null for the system and for the unknown), what (`action`), to what (`target_kind`, `target_id`),
from where (`ip`, `user_agent`, `request_id`), when, how it ended (`success` or `refused`), and `details`.

Code in the second column names members of `details`, unless it is a command.

| action | what happened |
| --- | --- |
";

const END: &str = "
Not there yet: seals that prove that nothing was altered, export, retention.
";

/// The page in Markdown, as committed in docs/reference/audit.md.
pub fn markdown() -> String {
    let mut page = BEGINNING.to_owned();
    for action in Action::ALL {
        let words = action
            .description()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        writeln!(page, "| `{action}` | {words} |").expect("a String takes every write");
    }
    page + END
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_row_of_words_for_every_action() {
        let page = markdown();
        for action in Action::ALL {
            let row = page
                .lines()
                .find(|line| line.starts_with(&format!("| `{action}` | ")));
            let words = row.unwrap_or_else(|| panic!("{action} has no row"));
            assert!(
                words.ends_with(". |") && words.matches('|').count() == 3,
                "{words}"
            );
        }
        assert_eq!(
            page,
            include_str!("../../../docs/reference/audit.md"),
            "docs/reference/audit.md: `plinth-api audit --reference`"
        );
    }
}
