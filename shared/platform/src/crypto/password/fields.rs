//! The fields that stored hashes are written in: the PHC string format, and passlib's dialect of it.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Bytes of a salt; under four it is none (PHC string format, "Function Duties").
pub(super) const SALT_BYTES: RangeInclusive<usize> = 4..=64;
/// Bytes of a hash: what is shorter can be met by chance, what is longer costs without a gain.
pub(super) const HASH_BYTES: RangeInclusive<usize> = 16..=64;

/// Exactly so many fields with `$` between them.
pub(super) fn split<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.split('$').collect::<Vec<_>>().try_into().ok()
}

/// `m=19456,t=2,p=1`: each name once, in the order of the function's specification.
pub(super) fn numbers<const N: usize>(field: &str, names: [&str; N]) -> Option<[u32; N]> {
    let pairs: [&str; N] = field.split(',').collect::<Vec<_>>().try_into().ok()?;
    let mut values = [0; N];
    for ((value, pair), name) in values.iter_mut().zip(pairs).zip(names) {
        *value = decimal(pair.strip_prefix(name)?.strip_prefix('=')?)?;
    }
    Some(values)
}

/// A decimal without sign or leading zeros.
pub(super) fn decimal(text: &str) -> Option<u32> {
    let minimal = text == "0" || !text.starts_with('0');
    (minimal && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Base64 without padding, of so many bytes; passlib writes `.` for `+`.
pub(super) fn base64(text: &str, bytes: &RangeInclusive<usize>) -> Option<Vec<u8>> {
    let decoded = STANDARD_NO_PAD.decode(text.replace('.', "+")).ok()?;
    bytes.contains(&decoded.len()).then_some(decoded)
}

/// A number in crypt(3)'s base64, its lowest six bits first.
pub(super) fn crypt_number(chars: &[u8]) -> Option<u32> {
    chars.iter().rev().try_fold(0, |number, char| {
        let bits = match char {
            b'.' | b'/' => char - b'.',
            b'0'..=b'9' => char - b'0' + 2,
            b'A'..=b'Z' => char - b'A' + 12,
            b'a'..=b'z' => char - b'a' + 38,
            _ => return None,
        };
        Some(number << 6 | u32::from(bits))
    })
}

/// Bytes in crypt(3)'s base64: each four characters are a number of three bytes, its lowest first.
pub(super) fn crypt_bytes(chars: &[u8]) -> Option<Vec<u8>> {
    let groups = chars.chunks(4).map(|group| {
        let bytes = crypt_number(group)?.to_le_bytes();
        Some(bytes.into_iter().take(group.len() * 6 / 8))
    });
    Some(
        groups
            .collect::<Option<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect(),
    )
}
