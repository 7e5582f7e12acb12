//! E-mail addresses: checked in shape, shown in Unicode, compared and sent to by the A-labels of their domain.

use std::fmt;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::rejection::Rejection;
use crate::text::is_invisible;

/// Bytes of an address as the envelope has it.
const MAX_BYTES: usize = 254;
/// Bytes of a text that is looked at: a domain in Unicode can be longer than its A-labels.
const MAX_READ_BYTES: usize = 1024;
const TOO_LONG: &str = "An e-mail address has at most 254 bytes.";

/// An address that a mail can be sent to, in the shape of RFC 5321 with the limits of its section 4.5.3.1.
///
/// The domain is processed by UTS 46: both forms of an internationalized domain name are one address. The part before the
/// @ is kept as written, in NFC. Quoted local parts, address literals and comments are refused: no product's users have
/// them, and mail systems disagree on them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email {
    written: String,
    key: String,
    earlier_key: Option<String>,
    envelope: String,
}

impl Email {
    /// Parses an address that is to be registered or sent to. Refuses a local part that NFKC changes, such as circled or
    /// full-width letters: it names another mailbox than the one that it looks like.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let email = Self::parse_known(text)?;
        let local = local_part(&email.written);
        if !local.nfkc().eq(local.chars()) {
            return Err(refusal(
                "The part before the @ contains a compatibility form of a character; write the plain one.",
            ));
        }
        Ok(email)
    }

    /// Parses an address by which an account is looked up. Accepts what earlier releases accepted, so that accounts of
    /// such addresses still log in.
    pub fn parse_known(text: &str) -> Result<Self, Rejection> {
        let text: String = text.trim().nfc().collect();
        if text.len() > MAX_READ_BYTES {
            return Err(refusal(TOO_LONG));
        }
        let Some((local, domain)) = text.rsplit_once('@') else {
            return Err(refusal("An e-mail address has the shape name@domain."));
        };
        if local.is_empty() || local.len() > 64 || !local.split('.').all(is_atom) {
            return Err(refusal(
                "The part before the @ is not a valid mailbox name.",
            ));
        }
        let Some(domain) = Domain::parse(domain) else {
            return Err(refusal("The part after the @ is not a valid domain."));
        };
        let envelope = format!("{local}@{}", domain.ascii);
        if envelope.len() > MAX_BYTES {
            return Err(refusal(TOO_LONG));
        }
        let written = format!("{local}@{}", domain.shown);
        let key_local = local.nfkc().collect::<String>().to_lowercase();
        let key = format!("{key_local}@{}", domain.ascii);
        let earlier_key =
            (!domain.unicode.is_ascii()).then(|| format!("{key_local}@{}", domain.unicode));
        Ok(Self {
            written,
            key,
            earlier_key,
            envelope,
        })
    }

    /// The address as people see it: the local part as written, the domain in Unicode.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The form under which an address is unique: the local part in NFKC and lower case, the domain as A-labels.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Every key that an account of this address can have: [`Self::key`], and the one with the domain in Unicode that
    /// earlier releases wrote.
    pub fn keys(&self) -> Vec<String> {
        std::iter::once(&self.key)
            .chain(&self.earlier_key)
            .cloned()
            .collect()
    }

    /// The address for the SMTP envelope: the domain as A-labels, so that a relay needs no SMTPUTF8 for it.
    pub fn envelope(&self) -> &str {
        &self.envelope
    }

    /// The domain as A-labels, in lower case.
    pub fn ascii_domain(&self) -> &str {
        self.key.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// Personal data stays out of logs: only the domain is shown.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let domain = self
            .written
            .rsplit_once('@')
            .map_or("", |(_, domain)| domain);
        write!(f, "Email(…@{domain})")
    }
}

fn refusal(detail: &str) -> Rejection {
    Rejection::new("invalid_email", detail)
}

fn local_part(written: &str) -> &str {
    written.rsplit_once('@').map_or(written, |(local, _)| local)
}

fn is_atom(part: &str) -> bool {
    let is_first_mark = part.chars().next().is_some_and(is_combining_mark);
    !part.is_empty()
        && !is_first_mark
        && part.chars().all(|c| {
            c.is_ascii_alphanumeric()
                || "!#$%&'*+/=?^_`{|}~-".contains(c)
                || (!c.is_ascii()
                    && (c.is_alphanumeric() || is_combining_mark(c))
                    && !is_invisible(c))
        })
}

/// A domain of at least two labels, processed by UTS 46 (nontransitional, STD 3 rules, joiners and bidi checked).
struct Domain {
    /// In lower case.
    ascii: String,
    /// In lower case, U-labels where there are any.
    unicode: String,
    /// As written if it is ASCII without A-labels, otherwise in Unicode.
    shown: String,
}

impl Domain {
    fn parse(text: &str) -> Option<Self> {
        let (deny, hyphens) = (AsciiDenyList::STD3, Hyphens::CheckFirstLast);
        let uts46 = Uts46::new();
        let ascii = uts46
            .to_ascii(text.as_bytes(), deny, hyphens, DnsLength::Verify)
            .ok()?
            .into_owned();
        if !ascii.contains('.') {
            return None;
        }
        let (unicode, processed) = uts46.to_unicode(ascii.as_bytes(), deny, hyphens);
        processed.ok()?;
        let unicode = unicode.into_owned();
        let is_plain = text.is_ascii() && unicode.is_ascii();
        let shown = if is_plain {
            text.to_owned()
        } else {
            unicode.clone()
        };
        Some(Self {
            ascii,
            unicode,
            shown,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> String {
        Email::parse(text).expect(text).key().to_owned()
    }

    #[test]
    fn ordinary_addresses_are_kept_as_written_and_compared_without_case() {
        let email = Email::parse(" Ada.Lovelace+x@Example.ORG ").expect("valid");
        assert_eq!(email.as_str(), "Ada.Lovelace+x@Example.ORG");
        assert_eq!(email.key(), "ada.lovelace+x@example.org");
        assert_eq!(email.keys(), ["ada.lovelace+x@example.org"]);
        assert_eq!(email.envelope(), "Ada.Lovelace+x@example.org");
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
            "a@b-.c",
            "a@b..c",
            "a@b.c.",
            "a..b@c.d",
            ".a@b.c",
            "a@b.c\0",
            "a\n@b.c",
            "\"a b\"@c.d",
            "a@[127.0.0.1]",
            "a,b@c.d",
            "<a@b.c>",
            "a@b_c.d",
            "a@xn--a.example",
            "a\u{3164}@b.c",
            "a\u{115F}@b.c",
            "\u{301}a@b.c",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?} was taken");
        }
        assert!(Email::parse(&format!("{}@b.cd", "a".repeat(65))).is_err());
        assert!(Email::parse(&format!("a@{}.cd", "b".repeat(64))).is_err());
    }

    #[test]
    fn both_forms_of_an_internationalized_domain_are_one_address() {
        let unicode = Email::parse("Ada@Müller.example").expect("valid");
        let ascii = Email::parse("ada@XN--mller-kva.example").expect("valid");
        assert_eq!(
            (unicode.key(), ascii.key()),
            ("ada@xn--mller-kva.example", "ada@xn--mller-kva.example")
        );
        assert_eq!(
            (unicode.as_str(), ascii.as_str()),
            ("Ada@müller.example", "ada@müller.example")
        );
        assert_eq!(unicode.envelope(), "Ada@xn--mller-kva.example");
        assert_eq!(
            unicode.keys(),
            ["ada@xn--mller-kva.example", "ada@müller.example"]
        );
        // An ideographic full stop, full-width letters and a decomposed letter are mapped by UTS 46.
        assert_eq!(key("a@ｍüller。example"), key("a@mu\u{308}ller.example"));
    }

    #[test]
    fn valid_domains_of_every_script_are_accepted() {
        for domain in [
            "हिन्दी.example",
            "உதாரணம்.example",
            "නිදසුන.example",
            "نامه\u{200c}ای.example",
            "ශ්\u{200d}රී.example",
            "例え.example",
            "faß.example",
            "παράδειγμα.example",
            "пример.example",
            "עברית.example",
        ] {
            let email = Email::parse(&format!("u@{domain}"))
                .unwrap_or_else(|refused| panic!("{domain}: {refused:?}"));
            assert!(
                email.envelope().is_ascii() && email.as_str().ends_with(domain),
                "{email:?}"
            );
        }
        // A joiner where UTS 46 does not allow one.
        assert!(Email::parse("u@a\u{200d}b.example").is_err());
        assert!(Email::parse("u@⒈example.example").is_err());
    }

    #[test]
    fn a_compatibility_spelling_of_a_mailbox_is_refused_and_still_found() {
        for spelling in ["ⓑⓞⓢⓢ", "ﬁona", "ſara", "ａnna", "anna²", "Ⅳ"] {
            let refused = Email::parse(&format!("{spelling}@example.org")).expect_err(spelling);
            assert_eq!(refused.code, "invalid_email");
            assert!(
                refused.detail.contains("compatibility"),
                "{spelling}: {}",
                refused.detail
            );
            assert!(Email::parse_known(&format!("{spelling}@example.org")).is_ok());
        }
        assert_eq!(
            Email::parse_known("ⓑⓞⓢⓢ@example.org").expect("known").key(),
            key("boss@example.org")
        );
        // A composed letter is only another encoding.
        assert_eq!(key("Zoe\u{308}@example.org"), key("zoë@example.org"));
        assert!(Email::parse("हिन्दी@example.org").is_ok());
    }

    #[test]
    fn debug_shows_no_personal_data() {
        let email = Email::parse("ada@example.org").expect("valid");
        assert_eq!(format!("{email:?}"), "Email(…@example.org)");
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_stable(text in ".{0,300}") {
            is_stable(&text)?;
        }

        #[test]
        fn parsing_of_what_looks_like_an_address_is_stable(text in r"[\p{L}\p{M}\p{N}.]{1,8}@[\p{L}\p{M}\p{N}.-]{1,12}\.[a-z]{2,3}") {
            is_stable(&text)?;
        }
    }

    fn is_stable(text: &str) -> Result<(), TestCaseError> {
        for parse in [Email::parse, Email::parse_known] {
            if let Ok(email) = parse(text) {
                let again = parse(email.as_str());
                prop_assert!(
                    again.is_ok(),
                    "its own form {:?} is refused",
                    email.as_str()
                );
                let again = again.expect("checked");
                prop_assert_eq!(again.key(), email.key());
                prop_assert_eq!(again.envelope(), email.envelope());
                prop_assert!(!email.as_str().chars().any(char::is_control));
                prop_assert!(email.ascii_domain().is_ascii());
            }
        }
        Ok(())
    }
}
