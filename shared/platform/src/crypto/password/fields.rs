//! The fields of stored hashes in the PHC string format and passlib's dialect of it.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Accepted bytes of a salt. The minimum is that of the PHC string format ("Function Duties").
pub(super) const SALT_BYTES: RangeInclusive<usize> = 4..=64;
/// Accepted bytes of a hash: a shorter one can match by chance, a longer one only costs more.
pub(super) const HASH_BYTES: RangeInclusive<usize> = 16..=64;

/// Splits at `$` into exactly `N` fields.
pub(super) fn split<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.split('$').collect::<Vec<_>>().try_into().ok()
}

/// Parses fields like `m=19456,t=2,p=1`: each name once, in the order of the function's
/// specification.
pub(super) fn numbers<const N: usize>(field: &str, names: [&str; N]) -> Option<[u32; N]> {
    let pairs: [&str; N] = field.split(',').collect::<Vec<_>>().try_into().ok()?;
    let mut values = [0; N];
    for ((value, pair), name) in values.iter_mut().zip(pairs).zip(names) {
        *value = decimal(pair.strip_prefix(name)?.strip_prefix('=')?)?;
    }
    Some(values)
}

/// Parses a decimal number without sign or leading zeros.
pub(super) fn decimal(text: &str) -> Option<u32> {
    let is_canonical = text == "0" || !text.starts_with('0');
    (is_canonical && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Decodes base64 without padding whose length is in `bytes`. passlib writes `.` for `+`.
pub(super) fn base64(text: &str, bytes: &RangeInclusive<usize>) -> Option<Vec<u8>> {
    let decoded = STANDARD_NO_PAD.decode(text.replace('.', "+")).ok()?;
    bytes.contains(&decoded.len()).then_some(decoded)
}

/// Decodes a number in crypt(3)'s base64, lowest six bits first.
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

/// Decodes bytes in crypt(3)'s base64: four characters encode three bytes, lowest first.
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
