//! One-time codes of an authenticator app (RFC 6238): SHA-1, six digits, 30 seconds, which is what every app can do.

use std::fmt;
use std::ops::RangeInclusive;

use plinth_domain::one_time_code::OneTimeCode;
use plinth_domain::rejection::Rejection;
use plinth_platform::crypto::random;
use qrcode::QrCode;
use qrcode::render::svg;
use time::OffsetDateTime;
use totp_rs::{Algorithm, Builder, Secret};

use crate::{Error, Result};

/// A code of the step before or after is good too: clocks differ, and people type slowly (RFC 6238, section 5.2).
const SKEW: u16 = 1;
/// 160 bits, as RFC 4226 advises.
pub(super) const SECRET_BYTES: usize = 20;

/// Bytes of a secret that another system made; HMAC-SHA1 reads no more than its upper bound as they are.
const IMPORTED_BYTES: RangeInclusive<usize> = 10..=64;

/// The secret of an app that another system made.
pub struct TotpSecret(Vec<u8>);

impl TotpSecret {
    /// Parses base32 (RFC 4648) as apps take it: without regard to case, blanks, dashes and padding.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let plain: String = text
            .chars()
            .filter(|c| !matches!(c, ' ' | '-' | '='))
            .collect();
        let secret = Secret::try_from_base32(plain.to_ascii_uppercase()).ok();
        let bytes = secret.map(|secret| secret.as_bytes().to_vec());
        bytes
            .filter(|bytes| IMPORTED_BYTES.contains(&bytes.len()))
            .map(Self)
            .ok_or_else(|| {
                Rejection::new(
                    "invalid_totp_secret",
                    "A TOTP secret is base32 of 10 to 64 bytes.",
                )
            })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Shows nothing of the secret.
impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(…)")
    }
}

/// What an app has to be told, once.
#[derive(Debug, Clone)]
pub struct Provisioning {
    /// In base32, for typing.
    pub secret: String,
    /// The same with the account's name, for apps.
    pub otpauth_uri: String,
    /// The same as a picture.
    pub qr_svg: String,
}

pub(super) fn fresh_secret() -> [u8; SECRET_BYTES] {
    random()
}

/// What an app is told of `secret`, for the account `email` of `product`.
pub(super) fn provision(
    secret: [u8; SECRET_BYTES],
    email: &str,
    product: &str,
) -> Result<Provisioning> {
    let totp = builder(Secret::new_stack(secret))
        .with_account_name(email)
        // A colon parts the issuer from the account.
        .with_issuer(Some(product.replace(':', " ")))
        .build()
        .map_err(|error| Error::internal(error.to_string()))?;
    let otpauth_uri = totp
        .to_url()
        .map_err(|error| Error::internal(error.to_string()))?;
    let picture = QrCode::new(&otpauth_uri).map_err(Error::internal)?;
    let qr_svg = picture
        .render::<svg::Color<'_>>()
        .min_dimensions(240, 240)
        .build();
    Ok(Provisioning {
        secret: totp.secret().to_base32(),
        otpauth_uri,
        qr_svg,
    })
}

/// The time step that `code` is of, if it is one of now; compared in constant time.
pub(super) fn step_of(secret: &[u8], code: &OneTimeCode, now: OffsetDateTime) -> Option<i64> {
    let now = u64::try_from(now.unix_timestamp()).ok()?;
    let step = builder(Secret::from(secret.to_vec()))
        .build_noncompliant()
        .check(code.as_str(), now)?;
    i64::try_from(step).ok()
}

fn builder(secret: Secret) -> Builder {
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_skew(SKEW)
        .with_secret(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; SECRET_BYTES] = *b"12345678901234567890";

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).expect("a time")
    }

    fn step(code: &str, seconds: i64) -> Option<i64> {
        step_of(&SECRET, &OneTimeCode::normalise(code), at(seconds))
    }

    #[test]
    fn the_codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, the last six of its eight digits.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(step(code, seconds), Some(seconds / 30), "{code}");
        }
    }

    #[test]
    fn a_code_is_good_in_its_step_and_in_the_ones_beside_it() {
        for (seconds, is_good) in [
            (-60, false),
            (-30, true),
            (0, true),
            (30, true),
            (60, false),
        ] {
            assert_eq!(
                step("287082", 45 + seconds),
                is_good.then_some(1),
                "{seconds} seconds away"
            );
        }
        for bad in ["", "28708", "2870820", "28708a", "٢٨٧٠٨٢"] {
            assert_eq!(step(bad, 45), None, "{bad}");
        }
    }

    #[test]
    fn a_secret_of_another_system_is_read_as_apps_read_it() {
        for text in [
            "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
            "gezd gnbv gy3t qojq gezd-gnbv-gy3t-qojq",
            "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ====",
        ] {
            assert_eq!(TotpSecret::parse(text).expect("reads").as_bytes(), &SECRET);
        }
        let short = TotpSecret::parse("GEZDGNBVGY3TQOJQ").expect("ten bytes");
        assert_eq!(
            step_of(short.as_bytes(), &OneTimeCode::normalise("000000"), at(59)),
            None
        );
        for bad in ["", "GEZDGNBV", "0189", "ü", &"A".repeat(200)] {
            assert_eq!(
                TotpSecret::parse(bad).expect_err(bad).code,
                "invalid_totp_secret"
            );
        }
    }

    #[test]
    fn an_app_is_told_issuer_account_and_secret() {
        let told = provision(SECRET, "ada@example.org", "Plinth: test").expect("provisions");
        assert_eq!(told.secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let uri = &told.otpauth_uri;
        assert!(
            uri.starts_with("otpauth://totp/Plinth%20%20test:ada%40example.org?"),
            "{uri}"
        );
        assert!(
            uri.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ") && uri.contains("issuer="),
            "{uri}"
        );
        assert!(told.qr_svg.contains("<svg"), "a picture");
    }
}
