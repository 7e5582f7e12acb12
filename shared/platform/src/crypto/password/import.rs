//! Conversion of other systems' hashes to the stored form.

use ::base64::Engine as _;
use ::base64::alphabet;
use ::base64::engine::DecodePaddingMode;
use ::base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use super::firebase::FirebaseParameters;
use super::{HashFailure, StoredHash};

/// Base64 with or without padding.
const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A password credential of Keycloak's export: two JSON documents, as strings or as objects.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeycloakCredential {
    secret_data: Value,
    credential_data: Value,
}

#[derive(Deserialize)]
struct KeycloakSecret {
    value: String,
    salt: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeycloakFunction {
    algorithm: String,
    hash_iterations: u32,
    #[serde(default)]
    additional_parameters: Value,
}

impl StoredHash {
    /// Converts a hash of another system to the stored form. Accepts the forms of [`Self::parse`],
    /// and those of Django, better-auth (`salt:hash`), phpass and SHA-crypt.
    ///
    /// # Errors
    ///
    /// [`HashFailure::Unreadable`] if the form is unknown, or if a check would take more than some
    /// seconds.
    pub fn import(text: &str) -> Result<String, HashFailure> {
        to_stored(text)
            .and_then(if_affordable)
            .ok_or(HashFailure::Unreadable)
    }

    /// Converts a Keycloak credential (PBKDF2 or argon2) like [`Self::import`].
    pub fn import_keycloak(credential: &KeycloakCredential) -> Result<String, HashFailure> {
        from_keycloak(credential)
            .and_then(if_affordable)
            .ok_or(HashFailure::Unreadable)
    }

    /// Converts a hash of a Firebase project like [`Self::import`]. `salt` and `hash` are base64 in
    /// either alphabet.
    pub fn import_firebase(
        parameters: &FirebaseParameters,
        salt: &str,
        hash: &str,
    ) -> Result<String, HashFailure> {
        let decoded = |text| decode(text).ok_or(HashFailure::Unreadable);
        let text = parameters.to_stored(&decoded(salt)?, &decoded(hash)?);
        text.and_then(if_affordable).ok_or(HashFailure::Unreadable)
    }
}

/// Decodes base64 in the standard or the URL-safe alphabet.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    ANY_PADDING
        .decode(text.trim().replace('-', "+").replace('_', "/"))
        .ok()
}

fn if_affordable(text: String) -> Option<String> {
    StoredHash::parse_imported(&text).ok().map(|_| text)
}

fn to_stored(text: &str) -> Option<String> {
    if let Some(rest) = text.strip_prefix("$H$") {
        return Some(format!("$P${rest}"));
    }
    // The stored form starts with the cost: see `StoredHash::cost_prefix`.
    for name in ["$5$", "$6$"] {
        if let Some(rest) = text
            .strip_prefix(name)
            .filter(|rest| !rest.starts_with("rounds="))
        {
            return Some(format!("{name}rounds=5000${rest}"));
        }
    }
    if text.starts_with('$') {
        return Some(text.to_owned());
    }
    match text.split_once('$') {
        Some((name, rest)) => from_django(name, rest),
        None => from_better_auth(text),
    }
}

/// Converts Django's `algorithm$...`:
/// <https://docs.djangoproject.com/en/5.2/topics/auth/passwords/>.
fn from_django(name: &str, rest: &str) -> Option<String> {
    let fields: Vec<&str> = rest.split('$').collect();
    match (name, fields.as_slice()) {
        ("pbkdf2_sha256", [iterations, salt, hash]) => {
            format_pbkdf2("pbkdf2-sha256", iterations, salt.as_bytes(), hash)
        }
        ("pbkdf2_sha1", [iterations, salt, hash]) => {
            format_pbkdf2("pbkdf2", iterations, salt.as_bytes(), hash)
        }
        ("argon2" | "bcrypt", _) => Some(format!("${}", rest.trim_start_matches('$'))),
        ("bcrypt_sha256", _) => Some(format!("$django-bcrypt-sha256{rest}")),
        ("scrypt", [n, salt, r, p, hash]) => {
            let n: u32 = n.parse().ok().filter(|n: &u32| n.is_power_of_two())?;
            Some(format_scrypt(
                &format!("ln={},r={r},p={p}", n.ilog2()),
                salt.as_bytes(),
                &decode(hash)?,
            ))
        }
        _ => None,
    }
}

/// Converts better-auth's `salt:hash` in hexadecimal digits: scrypt with fixed cost. The digits of
/// the salt are the salt.
fn from_better_auth(text: &str) -> Option<String> {
    let (salt, hash) = text.split_once(':')?;
    let is_even = hash.len().is_multiple_of(2) && hash.is_ascii();
    let hash: Option<Vec<u8>> = (0..hash.len() / 2)
        .map(|place| u8::from_str_radix(hash.get(place * 2..place * 2 + 2)?, 16).ok())
        .collect();
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_even && is_digits(salt))
        .then(|| Some(format_scrypt("ln=14,r=16,p=1", salt.as_bytes(), &hash?)))?
}

fn from_keycloak(credential: &KeycloakCredential) -> Option<String> {
    let secret: KeycloakSecret = parse_document(&credential.secret_data)?;
    let function: KeycloakFunction = parse_document(&credential.credential_data)?;
    let salt = decode(&secret.salt)?;
    match function.algorithm.as_str() {
        "pbkdf2-sha256" | "pbkdf2-sha512" | "pbkdf2" => {
            let iterations = function.hash_iterations.to_string();
            format_pbkdf2(&function.algorithm, &iterations, &salt, &secret.value)
        }
        "argon2" => {
            let parameter = |name: &str| function.additional_parameters[name][0].as_str();
            let version = match parameter("version")? {
                "1.3" => 19,
                "1.0" => 16,
                _ => return None,
            };
            let (kind, memory) = (parameter("type")?, parameter("memory")?);
            let (iterations, lanes) = (function.hash_iterations, parameter("parallelism")?);
            let (salt, hash) = (
                STANDARD_NO_PAD.encode(salt),
                STANDARD_NO_PAD.encode(decode(&secret.value)?),
            );
            Some(format!(
                "$argon2{kind}$v={version}$m={memory},t={iterations},p={lanes}${salt}${hash}"
            ))
        }
        _ => None,
    }
}

/// Parses a JSON document that is an object or a string with the document.
fn parse_document<T: serde::de::DeserializeOwned>(value: &Value) -> Option<T> {
    match value {
        Value::String(text) => serde_json::from_str(text).ok(),
        value => T::deserialize(value).ok(),
    }
}

fn format_pbkdf2(name: &str, iterations: &str, salt: &[u8], hash: &str) -> Option<String> {
    let (salt, hash) = (
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(decode(hash)?),
    );
    Some(format!("${name}$i={iterations}${salt}${hash}"))
}

fn format_scrypt(costs: &str, salt: &[u8], hash: &[u8]) -> String {
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    format!("$scrypt${costs}${salt}${hash}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::stored::tests::assert_verifies;
    use super::*;

    const ASCII: &str = "correct horse battery staple";
    const UNICODE: &str = "Grüße, Jürgen 🐎";

    // Computed by Django 5.2.19 and, for better-auth, by Python's hashlib with its parameters.
    #[test]
    fn every_text_form_verifies() {
        for (text, password) in [
            (
                "pbkdf2_sha256$1500$saltsalt12$k78yH/VFWYegfkcmjqc0F9l2vc8jZ3srX47xZLLpXVQ=",
                ASCII,
            ),
            (
                "pbkdf2_sha256$1500$saltsalt12$tPKW0Rd/Qxt1MPw0bDcabnklTOH6uVNEOdUpHRoGJ20=",
                UNICODE,
            ),
            (
                "pbkdf2_sha1$1500$saltsalt12$pzb9ySHj23Dyb2yDVKOuv2y2R10=",
                ASCII,
            ),
            (
                "bcrypt_sha256$$2b$04$zfwZf5MicB9iwBPnl54Diewn6OFQ.ATH9xuk3cC2OfH0ikh3aM4jq",
                ASCII,
            ),
            (
                "bcrypt_sha256$$2b$04$zfwZf5MicB9iwBPnl54DieWzOGky8vaYxzzZWLaGyZGAZOW7dnsiG",
                UNICODE,
            ),
            (
                "bcrypt$$2b$04$zfwZf5MicB9iwBPnl54DieMASobWrlYdKhOrwF4.uilm0raFkac3C",
                ASCII,
            ),
            (
                "scrypt$16$saltsalt12$8$1$Zv8VlgU3zDAzw7N2rn0w/hA6CTcI0Ys8M9VN/8j9qCnBfjxyQ1pi8lOiS90gBXz2ZfiYti2uE9EWoqU2TRhUgw==",
                ASCII,
            ),
            (
                "argon2$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHQxMg$R/2I/2EO+dSpM2YhxolRZ5Cq0iAXbvNO3Q7KfO0neqM",
                ASCII,
            ),
            (
                "8bd1b3a2ddf3f5a7b2ab9ad3c1f5e6a7:7da27bd7bee0142fba818fca6bd31aa1a5a4b6f7cdf04a70fcd2d625726ef4a8922ab5e8a972dcbc949504294cf5fc909d4f4208e0000793f35734d3d2f909ba",
                ASCII,
            ),
            ("$H$5saltsalt9hJCA5XQHb5HNaayqAQyz/", ASCII),
            (
                "$6$saltstring$WBchXh/vMlxeKkqWnSahU2ycHbq/J95v6noX7Ko80N7zEyXXrK5/6jfKvr70Lejr4YMCK7kN1fwvCdLdl7rk/1",
                UNICODE,
            ),
        ] {
            let stored = StoredHash::import(text).unwrap_or_else(|_| panic!("{text} was rejected"));
            assert_verifies(&stored, password);
            assert_eq!(
                StoredHash::import(&stored).ok(),
                Some(stored),
                "a stored form is not changed"
            );
        }
    }

    #[test]
    fn keycloak_credentials_verify() {
        let salt = "c2l4dGVlbiBieXRlIHNsdA==";
        let pbkdf2 = |algorithm: &str, value: &str| {
            json!({
                "secretData": json!({ "value": value, "salt": salt, "additionalParameters": {} }).to_string(),
                "credentialData": json!({ "hashIterations": 1500, "algorithm": algorithm }).to_string(),
            })
        };
        let argon2 = json!({
            "secretData": { "value": "6O9guLPBvvpsIYHStBx+bA8RUx/4Rri0RXLufGSBk8A=", "salt": salt },
            "credentialData": {
                "hashIterations": 5,
                "algorithm": "argon2",
                "additionalParameters": {
                    "hashLength": ["32"], "memory": ["64"], "type": ["id"], "version": ["1.3"], "parallelism": ["1"],
                },
            },
        });
        for credential in [
            pbkdf2(
                "pbkdf2-sha256",
                "v9nhM6GlsgCjm5oYGsxN+yrf7fRr+0KhhzJUyxTWjvwyU0GtpQG3/E+2ccB+iCqtHoUWzg+L/0hyux653I7JHw==",
            ),
            pbkdf2(
                "pbkdf2-sha512",
                "nDzem8x1UtkfPzWZv7KLbCTEjLB/3j8eMPMCVD5/UGYOCrej8t3IJb6HFYr4dKzSZvl/y2TbJOUYM7nKrH4omg==",
            ),
            argon2,
        ] {
            let credential = serde_json::from_value(credential).expect("a credential");
            assert_verifies(
                &StoredHash::import_keycloak(&credential).expect("reads"),
                ASCII,
            );
        }
        let unknown = serde_json::from_value(pbkdf2("md5", "AAAA")).expect("a credential");
        assert!(StoredHash::import_keycloak(&unknown).is_err());
    }

    // The first is the sample of github.com/firebase/scrypt. The other was computed by Python's
    // hashlib and cryptography.
    #[test]
    fn firebase_hashes_verify() {
        let parameters = |mem_cost| {
            FirebaseParameters {
            signer_key: decode(
                "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==",
            )
            .expect("base64"),
            salt_separator: decode("Bw==").expect("base64"),
            rounds: 8,
            mem_cost,
        }
        };
        let salt = "42xEC+ixf3L2lw==";
        for (mem_cost, hash, password) in [
            (
                14,
                "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==",
                "user1password",
            ),
            (
                4,
                "hlTPfuC12BDNsSWOnIum8xPEiplPzqPqMhYrzehHLZ9j5vYZgA9rUula/Xxm0yhnJGwAeMjbuNvZ8dIH+wcmZA==",
                UNICODE,
            ),
        ] {
            let stored =
                StoredHash::import_firebase(&parameters(mem_cost), salt, hash).expect("reads");
            assert_verifies(&stored, password);
            let urls = hash.replace('+', "-").replace('/', "_");
            assert_eq!(
                StoredHash::import_firebase(&parameters(mem_cost), salt, &urls).ok(),
                Some(stored)
            );
        }
        assert!(StoredHash::import_firebase(&parameters(14), salt, "AAAA").is_err());
        assert!(StoredHash::import_firebase(&parameters(63), salt, "AAAA").is_err());
    }

    #[test]
    fn costly_and_malformed_hashes_are_rejected() {
        for text in [
            "",
            ":",
            "abc",
            "abc:abc",
            "xyz:00112233445566778899aabbccddeeff",
            "md5$salt$5f4dcc3b5aa765d61d8327deb882cf99",
            "pbkdf2_sha256$10000001$saltsalt12$k78yH/VFWYegfkcmjqc0F9l2vc8jZ3srX47xZLLpXVQ=",
            "pbkdf2_sha256$1500$k78yH/VFWYegfkcmjqc0F9l2vc8jZ3srX47xZLLpXVQ=",
            "scrypt$17$saltsalt12$8$1$Zv8VlgU3zDAzw7N2rn0w/hA6CTcI0Ys8M9VN/8j9qCk=",
            "bcrypt_sha256$",
            "!unusable",
        ] {
            assert!(StoredHash::import(text).is_err(), "{text:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn importing_any_text_never_panics(text in ".{0,300}") {
            let _ = StoredHash::import(&text);
        }

        #[test]
        fn importing_text_like_a_hash_never_panics(
            name in "(pbkdf2_sha(1|256)|bcrypt(_sha256)?|scrypt|argon2|[0-9a-f:]{0,40})",
            rest in "(\\$[./+A-Za-z0-9=ü]{0,40}){0,5}",
        ) {
            let _ = StoredHash::import(&format!("{name}{rest}"));
        }
    }
}
