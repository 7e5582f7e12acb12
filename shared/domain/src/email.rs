//! E-mail addresses: checked in shape, kept as written, compared without case.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::rejection::Rejection;

/// An address that a mail can be sent to, in the shape of RFC 5321 with the limits of its section 4.5.3.1.
///
/// Quoted local parts, address literals and comments are refused: no product's users have them,
/// and mail systems disagree on them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email {
    written: String,
    key: String,
}

impl Email {
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let written: String = text.trim().nfc().collect();
        let refuse = |detail: &str| Err(Rejection::new("invalid_email", detail));
        if written.len() > 254 {
            return refuse("An e-mail address has at most 254 bytes.");
        }
        let Some((local, domain)) = written.rsplit_once('@') else {
            return refuse("An e-mail address has the shape name@domain.");
        };
        if local.is_empty() || local.len() > 64 || !local.split('.').all(is_atom) {
            return refuse("The part before the @ is not a valid mailbox name.");
        }
        if !is_domain(domain) {
            return refuse("The part after the @ is not a valid domain.");
        }
        let key = written.nfkc().collect::<String>().to_lowercase();
        Ok(Self { written, key })
    }

    /// The address as its owner wrote it: where mail goes.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The form under which an address is unique: NFKC, lower case.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Personal data stays out of logs: only the domain is shown.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let domain = self.written.rsplit_once('@').map_or("", |(_, domain)| domain);
        write!(f, "Email(…@{domain})")
    }
}

fn is_atom(part: &str) -> bool {
    !part.is_empty()
        && part.chars().all(|c| {
            c.is_ascii_alphanumeric()
                || "!#$%&'*+/=?^_`{|}~-".contains(c)
                || (!c.is_ascii() && c.is_alphanumeric())
        })
}

fn is_domain(domain: &str) -> bool {
    domain.len() <= 253
        && domain.contains('.')
        && domain.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_addresses_are_kept_as_written_and_compared_without_case() {
        let email = Email::parse(" Ada.Lovelace+x@Example.ORG ").expect("valid");
        assert_eq!(email.as_str(), "Ada.Lovelace+x@Example.ORG");
        assert_eq!(email.key(), "ada.lovelace+x@example.org");
    }

    #[test]
    fn what_no_mail_server_would_take_is_refused() {
        for bad in [
            "",
            "@",
            "a@",
            "@b.c",
            "a b@c.d",
            "a@b",
            "a@-b.c",
            "a@b..c",
            "a..b@c.d",
            ".a@b.c",
            "a@b.c\0",
            "a\n@b.c",
            "\"a b\"@c.d",
            "a@[127.0.0.1]",
            "a,b@c.d",
            "<a@b.c>",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?} was taken");
        }
        assert!(Email::parse(&format!("{}@b.cd", "a".repeat(65))).is_err());
    }

    #[test]
    fn debug_shows_no_personal_data() {
        let email = Email::parse("ada@example.org").expect("valid");
        assert_eq!(format!("{email:?}"), "Email(…@example.org)");
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_stable(text in ".{0,300}") {
            if let Ok(email) = Email::parse(&text) {
                let again = Email::parse(email.as_str()).expect("its own form parses");
                prop_assert_eq!(again.key(), email.key());
                prop_assert!(!email.as_str().chars().any(char::is_control));
            }
        }
    }
}
