//! Which requirements docs/security/asvs.md has to answer: those of OWASP ASVS 5.0.0 of
//! levels 1 and 2, without the chapters on an OAuth server (V10) and on WebRTC (V17).

/// For each chapter its sections, and how many requirements of a section are of
/// levels 1 and 2: they are numbered from 1 without a gap.
const CHAPTERS: [(u8, &[(u8, u8)]); 15] = [
    (1, &[(1, 2), (2, 9), (3, 11), (4, 3), (5, 2)]),
    (2, &[(1, 3), (2, 3), (3, 4), (4, 1)]),
    (3, &[(2, 2), (3, 4), (4, 6), (5, 5), (7, 2)]),
    (4, &[(1, 3), (2, 1), (3, 2), (4, 4)]),
    (5, &[(1, 1), (2, 3), (3, 2), (4, 3)]),
    (
        6,
        &[(1, 3), (2, 12), (3, 4), (4, 4), (5, 5), (6, 3), (8, 4)],
    ),
    (7, &[(1, 3), (2, 4), (3, 2), (4, 5), (5, 2), (6, 2)]),
    (8, &[(1, 2), (2, 3), (3, 1), (4, 1)]),
    (9, &[(1, 3), (2, 4)]),
    (11, &[(1, 2), (2, 3), (3, 3), (4, 4), (5, 1), (6, 1)]),
    (12, &[(1, 3), (2, 2), (3, 4)]),
    (13, &[(1, 1), (2, 5), (3, 2), (4, 5)]),
    (14, &[(1, 2), (2, 4), (3, 3)]),
    (15, &[(1, 3), (2, 3), (3, 7)]),
    (16, &[(1, 1), (2, 5), (3, 4), (4, 3), (5, 3)]),
];

/// The chapters on authentication, sessions, authorization and tokens: nothing of
/// them is left to a later version or to whoever runs Plinth.
const COMPLETE: [&str; 4] = ["V6.", "V7.", "V8.", "V9."];

/// Every id, in the standard's order.
pub(super) fn expected() -> Vec<String> {
    let sections = CHAPTERS.iter().flat_map(|(chapter, sections)| {
        sections
            .iter()
            .map(move |(section, count)| (chapter, section, count))
    });
    sections
        .flat_map(|(chapter, section, count)| {
            (1..=*count).map(move |number| format!("V{chapter}.{section}.{number}"))
        })
        .collect()
}

/// Whether the requirement must be met, or have a written reason why it does not apply.
pub(super) fn is_complete(id: &str) -> bool {
    COMPLETE.iter().any(|chapter| id.starts_with(chapter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_requirements_as_the_standard_has() {
        let mut ids = expected();
        assert_eq!(ids.len(), 217);
        assert_eq!(ids.iter().filter(|id| is_complete(id)).count(), 67);
        assert!(!is_complete("V16.1.1") && !is_complete("V1.1.1"));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 217);
    }
}
