//! One-time codes of an authenticator app (RFC 6238): SHA-1, six digits, 30 seconds, which is what every app can do.

use plinth_domain::one_time_code::OneTimeCode;
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
pub(super) fn provision(secret: [u8; SECRET_BYTES], email: &str, product: &str) -> Result<Provisioning> {
    let totp = builder(secret)
        .with_account_name(email)
        // A colon parts the issuer from the account.
        .with_issuer(Some(product.replace(':', " ")))
        .build()
        .map_err(|error| Error::internal(error.to_string()))?;
    let otpauth_uri = totp.to_url().map_err(|error| Error::internal(error.to_string()))?;
    let picture = QrCode::new(&otpauth_uri).map_err(Error::internal)?;
    let qr_svg = picture.render::<svg::Color<'_>>().min_dimensions(240, 240).build();
    Ok(Provisioning { secret: totp.secret().to_base32(), otpauth_uri, qr_svg })
}

/// The time step that `code` is of, if it is one of now; compared in constant time.
pub(super) fn step_of(secret: [u8; SECRET_BYTES], code: &OneTimeCode, now: OffsetDateTime) -> Option<i64> {
    let now = u64::try_from(now.unix_timestamp()).ok()?;
    let step = builder(secret).build_noncompliant().check(code.as_str(), now)?;
    i64::try_from(step).ok()
}

fn builder(secret: [u8; SECRET_BYTES]) -> Builder {
    Builder::new().with_algorithm(Algorithm::SHA1).with_skew(SKEW).with_secret(Secret::new_stack(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; SECRET_BYTES] = *b"12345678901234567890";

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).expect("a time")
    }

    fn step(code: &str, seconds: i64) -> Option<i64> {
        step_of(SECRET, &OneTimeCode::normalise(code), at(seconds))
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
        for (seconds, is_good) in [(-60, false), (-30, true), (0, true), (30, true), (60, false)] {
            assert_eq!(step("287082", 45 + seconds), is_good.then_some(1), "{seconds} seconds away");
        }
        for bad in ["", "28708", "2870820", "28708a", "٢٨٧٠٨٢"] {
            assert_eq!(step(bad, 45), None, "{bad}");
        }
    }

    #[test]
    fn an_app_is_told_issuer_account_and_secret() {
        let told = provision(SECRET, "ada@example.org", "Plinth: test").expect("provisions");
        assert_eq!(told.secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let uri = &told.otpauth_uri;
        assert!(uri.starts_with("otpauth://totp/Plinth%20%20test:ada%40example.org?"), "{uri}");
        assert!(uri.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ") && uri.contains("issuer="), "{uri}");
        assert!(told.qr_svg.contains("<svg"), "a picture");
    }
}
