//! The breached and common passwords that nobody may take, known offline (NIST SP 800-63B-4, section 3.1.1.2).
//!
//! `breached.bin` holds, without header or gaps and in ascending order, the first five bytes of the SHA-256 of
//! each password, normalised (NFKC) and then in lower case. It has 399,999 entries, so that one in 2.7 million
//! passwords that are not on the list (entries / 2^40) is refused with them.
//!
//! `cargo dev breached` makes it; docs/explanation/accounts.md names the lists that it was made of, and their licences.

use plinth_platform::crypto::sha256;

const BYTES: &[u8] = include_bytes!("breached.bin");
const HASHES: &[[u8; 5]] = {
    let (hashes, rest) = BYTES.as_chunks();
    assert!(rest.is_empty(), "the file holds whole hashes");
    hashes
};

/// Whether the list holds a password, given normalised and in lower case.
pub(super) fn contains(password: &str) -> bool {
    let hash = sha256(password.as_bytes());
    let hash = hash.first_chunk().expect("SHA-256 has 32 bytes");
    HASHES.binary_search(hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_long_small_and_in_order() {
        assert!(
            HASHES.len() >= 100_000 && BYTES.len() < 2_000_000,
            "{} entries",
            HASHES.len()
        );
        assert!(HASHES.is_sorted_by(|one, next| one < next));
    }
}
