//! Errors as operators see them: without what names a person.

const HIDDEN: &str = "***";

/// The text of an error with the first part of every address hidden: a mail server repeats what it refuses.
pub(super) fn error(text: &str) -> String {
    let Some((before, rest)) = text.rsplit_once('@') else {
        return text.to_owned();
    };
    let parts = before.split('@').map(|part| {
        let kept = part.trim_end_matches(is_in_address);
        if kept.len() < part.len() {
            format!("{kept}{HIDDEN}")
        } else {
            part.to_owned()
        }
    });
    format!("{}@{rest}", parts.collect::<Vec<_>>().join("@"))
}

/// Whether the part of an address before its `@` may have it, where it is not quoted (RFC 5322, section 3.2.3).
fn is_in_address(c: char) -> bool {
    c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_the_domain_of_an_address() {
        let said = "550 5.1.1 <ada.l+x@example.org>: no; see bob@b.example, or @c";
        assert_eq!(
            error(said),
            "550 5.1.1 <***@example.org>: no; see ***@b.example, or @c"
        );
        assert_eq!(error("S3 is away"), "S3 is away");
    }
}
