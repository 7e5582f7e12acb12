//! scrypt (RFC 7914): the PHC form, passlib's, and crypt(3)'s `$7$`.

use ::scrypt::{Params, scrypt};
use subtle::ConstantTimeEq as _;

use super::fields::{HASH_BYTES, SALT_BYTES, base64, crypt_bytes, crypt_number, numbers, split};

const MAX_MEMORY_BYTES: u64 = 1 << 30;
/// Maximum block size `r`. Eight is the usual value; without a limit, a huge block size would fit
/// into little memory.
const MAX_BLOCK_SIZE: u32 = 64;
const MAX_PARALLELISM: u32 = 16;
/// Maximum memory of an imported hash over all lanes, because they are computed one after the
/// other.
const MAX_IMPORTED_BYTES: u64 = 1 << 30;

/// The cost parameters of one computation.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Cost(Params);

impl Cost {
    /// Returns whether the cost is low enough for an imported hash.
    pub(super) fn is_affordable(self) -> bool {
        let blocks = u64::from(self.0.r()) * u64::from(self.0.p());
        (blocks * 128) << self.0.log_n() <= MAX_IMPORTED_BYTES
    }

    /// Fills `output`, which has at most 64 bytes.
    pub(super) fn compute(self, password: &[u8], salt: &[u8], output: &mut [u8]) {
        scrypt(password, salt, &self.0, output).expect("scrypt can output 64 bytes");
    }
}

/// Parses `ln=17,r=8,p=1`.
pub(super) fn cost(text: &str) -> Option<Cost> {
    let [log_n, block_size, parallelism] = numbers(text, ["ln", "r", "p"])?;
    cost_from_params(log_n, block_size, parallelism)
}

/// A stored scrypt hash.
pub struct ScryptHash {
    cost: Cost,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl ScryptHash {
    /// Parses the part after `$scrypt$`, e.g. `ln=17,r=8,p=1$salt$hash`.
    pub(super) fn parse_phc(rest: &str) -> Option<Self> {
        let [costs, salt, hash] = split(rest)?;
        Some(Self {
            cost: cost(costs)?,
            salt: base64(salt, &SALT_BYTES)?,
            hash: base64(hash, &HASH_BYTES)?,
        })
    }

    /// Parses the part after `$7$`: one character of log N, five of r, five of p, the raw salt, `$`
    /// and the hash.
    pub(super) fn parse_crypt(rest: &str) -> Option<Self> {
        let [setting, hash] = split(rest)?;
        let setting = setting.as_bytes();
        let (costs, salt) = (setting.get(..11)?, setting.get(11..)?);
        let hash = crypt_bytes(hash.as_bytes())?;
        if !SALT_BYTES.contains(&salt.len()) || !HASH_BYTES.contains(&hash.len()) {
            return None;
        }
        let cost = cost_from_params(
            crypt_number(&costs[..1])?,
            crypt_number(&costs[1..6])?,
            crypt_number(&costs[6..])?,
        )?;
        Some(Self {
            cost,
            salt: salt.to_vec(),
            hash,
        })
    }

    /// Returns whether the cost is low enough for an imported hash.
    pub(super) fn is_affordable(&self) -> bool {
        self.cost.is_affordable()
    }

    /// Returns a dummy hash with the same cost that matches no password.
    pub(super) fn dummy(&self) -> Self {
        Self {
            cost: self.cost,
            salt: vec![0; 16],
            hash: vec![0; self.hash.len()],
        }
    }

    pub(super) fn has_same_cost(&self, other: &Self) -> bool {
        self.cost == other.cost
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let mut actual = vec![0; self.hash.len()];
        self.cost.compute(password, &self.salt, &mut actual);
        actual.ct_eq(&self.hash).into()
    }
}

fn cost_from_params(log_n: u32, block_size: u32, parallelism: u32) -> Option<Cost> {
    let memory = 1u64
        .checked_shl(log_n)?
        .checked_mul(u64::from(block_size) * 128)?;
    let is_within_bounds = log_n > 0
        && memory <= MAX_MEMORY_BYTES
        && block_size <= MAX_BLOCK_SIZE
        && parallelism <= MAX_PARALLELISM;
    is_within_bounds.then(|| {
        Params::new(u8::try_from(log_n).ok()?, block_size, parallelism)
            .ok()
            .map(Cost)
    })?
}

#[cfg(test)]
mod tests {
    use super::super::stored::tests::{assert_rejected, assert_verifies};

    // Computed by passlib 1.7.4, OpenSSL (the one with p=2) and libxcrypt 4.4 (the last).
    #[test]
    fn every_form_verifies() {
        for (hash, password) in [
            (
                "$scrypt$ln=4,r=8,p=1$lTLGuHcOYexdqxVCqBWCEA$l9yXx8azv7BTdTj1hKauQMPxEvUdRK3PLZFeS6s3SUM",
                "correct horse battery staple",
            ),
            (
                "$scrypt$ln=5,r=4,p=3$4Ny717p3TgkBAKA0JoRwbg$AhhErLDedR1JIFJqnwi6orcoiawCv+MP2C97CvuH8Qs",
                "Grüße, Jürgen 🐎",
            ),
            (
                "$scrypt$ln=5,r=4,p=3$4Ny717p3TgkBAKA0JoRwbg$AhhErLDedR1JIFJqnwi6orcoiawCv.MP2C97CvuH8Qs",
                "Grüße, Jürgen 🐎",
            ),
            (
                "$scrypt$ln=5,r=8,p=2$YSBzYWx0IG9mIGhhc2hsaWI$ckK0G3nt/SYMz9iCaSTOW7l3TOOhN7M7jLKb/JrtVWR6wfvaIKw85Fw+rUZZtBzR9Rvj9RVvqX1hYUchNEibzw",
                "correct horse battery staple",
            ),
            (
                "$7$26..../....ZywlZKyVkjJGCEEoxRgDwA$R27qKSmX8OKX/Khwt7CWNVsgAAAP.gmnUN.cBWLS.i/",
                "correct horse battery staple",
            ),
            (
                "$7$32....1....TYkRQmhtLeVcqxUiBECIUQ$We6aHJI3BX.TKL90CX4NaNgy0sQ4MlDz03K9Fezax/1",
                "Grüße, Jürgen 🐎",
            ),
            (
                "$7$2/..../....saltsaltsalt$I6QEwT78Z6fCPwdr1iMDSjkY5YL3Mm7mHzJHCCYPJaA",
                "correct horse battery staple",
            ),
        ] {
            assert_verifies(hash, password);
        }
    }

    #[test]
    fn costly_and_malformed_scrypt_hashes_are_rejected() {
        const END: &str = "$lTLGuHcOYexdqxVCqBWCEA$l9yXx8azv7BTdTj1hKauQMPxEvUdRK3PLZFeS6s3SUM";
        for costs in [
            "ln=21,r=8,p=1",
            "ln=20,r=9,p=1",
            "ln=63,r=8,p=1",
            "ln=64,r=8,p=1",
            "ln=4294967295,r=8,p=1",
            "ln=1,r=4194304,p=16",
            "ln=1,r=65,p=1",
            "ln=4,r=8,p=17",
            "ln=4,r=8,p=4294967295",
            "ln=0,r=8,p=1",
            "ln=4,r=0,p=1",
            "ln=4,r=8,p=0",
            "n=16,r=8,p=1",
            "ln=4,r=8",
        ] {
            assert_rejected(&format!("$scrypt${costs}{END}"));
        }
        for hash in [
            "$scrypt$ln=4,r=8,p=1$AAAA$l9yXx8azv7BTdTj1hKauQMPxEvUdRK3PLZFeS6s3SUM",
            "$scrypt$ln=4,r=8,p=1$lTLGuHcOYexdqxVCqBWCEA$AAAA",
            "$7$26..../....",
            "$7$26..../....ü$R27qKSmX8OKX/Khwt7CWNVsgAAAP.gmnUN.cBWLS.i/",
            "$7$zzzzzzzzzzzsaltsaltsalt$I6QEwT78Z6fCPwdr1iMDSjkY5YL3Mm7mHzJHCCYPJaA",
            "$7$2/..../....saltsaltsalt$I6QEwT78Z6fCPwdr1iMDSjkY5YL3Mm7mHzJHCCYPJ+A",
        ] {
            assert_rejected(hash);
        }
    }
}
