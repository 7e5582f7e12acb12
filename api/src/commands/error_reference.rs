//! The reference page of the error codes.

use std::fmt::Write as _;

use plinth_domain::error_code::ErrorCode;

const BEGINNING: &str = "\
# Error codes

Made by `plinth-api errors --reference` from the declaration of the codes; do not edit.

The `code` of a problem ([api](api.md#refusals)) says what was refused or failed. Its text never changes. Later releases add
codes: a client handles a code that it does not know by its status. The codes in `errors` of `validation_failed` name broken
rules of single fields and are not listed here.

A code with several statuses names one state that stops the credentials (401), the caller (403) or the change (409).

The shipped nginx itself answers with `malformed_request`, `too_many_connections` and, if no replica answers, `unavailable`.

| code | status | meaning | what to do |
| --- | --- | --- | --- |
";

/// The page in Markdown, as committed in docs/reference/errors.md. Each code is an anchor.
pub fn markdown() -> String {
    let mut page = BEGINNING.to_owned();
    for code in ErrorCode::ALL {
        let statuses = code
            .statuses()
            .iter()
            .map(u16::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        let (meaning, remedy) = (code.meaning(), code.remedy());
        writeln!(
            page,
            "| <a id=\"{code}\"></a>`{code}` | {statuses} | {meaning} | {remedy} |"
        )
        .expect("a String takes every write");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_page_has_a_row_for_every_code() {
        let page = markdown();
        for code in ErrorCode::ALL {
            let row = page
                .lines()
                .find(|line| line.contains(&format!("<a id=\"{code}\"></a>")));
            let row = row.unwrap_or_else(|| panic!("{code} has no row"));
            assert!(
                row.ends_with(". |") && row.matches('|').count() == 5,
                "{row}"
            );
        }
        assert_eq!(
            page,
            include_str!("../../../docs/reference/errors.md"),
            "docs/reference/errors.md: `plinth-api errors --reference`"
        );
    }
}
