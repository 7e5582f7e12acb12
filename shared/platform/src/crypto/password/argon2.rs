//! argon2 (RFC 9106) in the PHC string format: the scheme of new hashes, and its older forms.

use std::fmt;

use ::argon2::{Algorithm, Argon2, Block, Error, Params, Version};
use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq as _;

use super::HashFailure;
use super::fields::{HASH_BYTES, SALT_BYTES, base64, decimal, numbers, split};
use crate::crypto::random;

/// Maximum memory of a hash in KiB: one GiB.
pub const MAX_MEMORY_KIB: u32 = 1 << 20;
/// Maximum passes of a hash.
pub const MAX_ITERATIONS: u32 = 64;
/// Maximum lanes of a hash.
pub const MAX_LANES: u32 = 16;
/// Maximum cost of an imported hash, as passes times KiB of memory: four passes over one GiB, which
/// take some seconds.
const MAX_IMPORTED_COST: u64 = 4 << 20;

const NEW_SALT_BYTES: usize = 16;
const NEW_HASH_BYTES: usize = 32;

/// The memory in which a thread computes one hash after the other.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() < count {
            self.0.resize(count, Block::default());
        }
        &mut self.0
    }

    /// Frees the memory that this configuration does not need.
    pub(super) fn shrink_to(&mut self, config: &Argon2Config) {
        self.0.truncate(config.params.block_count());
        self.0.shrink_to_fit();
    }
}

/// A variant of argon2 with its cost parameters.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Argon2Config {
    algorithm: Algorithm,
    version: Version,
    params: Params,
}

impl Argon2Config {
    /// Creates the configuration of new hashes.
    pub(super) fn for_new_hashes(
        memory_kib: u32,
        iterations: u32,
        lanes: u32,
    ) -> Result<Self, HashFailure> {
        let params = Params::new(memory_kib, iterations, lanes, Some(NEW_HASH_BYTES));
        let params = params.map_err(HashFailure::Parameters)?;
        Ok(Self {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            params,
        })
    }

    fn compute(&self, password: &[u8], salt: &[u8], memory: &mut Memory) -> Result<Vec<u8>, Error> {
        let mut hash = vec![0; self.params.output_len().unwrap_or(NEW_HASH_BYTES)];
        let blocks = memory.blocks(self.params.block_count());
        Argon2::new(self.algorithm, self.version, self.params.clone())
            .hash_password_into_with_memory(password, salt, &mut hash, blocks)?;
        Ok(hash)
    }
}

/// A stored hash of argon2id, argon2i or argon2d.
pub struct Argon2Hash {
    config: Argon2Config,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Argon2Hash {
    /// Hashes a password with a new random salt.
    pub(super) fn create(
        config: &Argon2Config,
        password: &[u8],
        memory: &mut Memory,
    ) -> Result<Self, HashFailure> {
        let salt = random::<NEW_SALT_BYTES>().to_vec();
        let hash = config
            .compute(password, &salt, memory)
            .map_err(HashFailure::Parameters)?;
        Ok(Self {
            config: config.clone(),
            salt,
            hash,
        })
    }

    /// Parses the part after the name, e.g. `v=19$m=19456,t=2,p=1$salt$hash`. Hashes from before
    /// argon2 1.3 have no `v`, which means version 16.
    pub(super) fn parse(name: &str, rest: &str) -> Option<Self> {
        let (version, rest) = match rest.strip_prefix("v=") {
            Some(rest) => {
                let (number, rest) = rest.split_once('$')?;
                (Version::try_from(decimal(number)?).ok()?, rest)
            }
            None => (Version::V0x10, rest),
        };
        let [costs, salt, hash] = split(rest)?;
        let [memory_kib, iterations, lanes] = numbers(costs, ["m", "t", "p"])?;
        if memory_kib > MAX_MEMORY_KIB || iterations > MAX_ITERATIONS || lanes > MAX_LANES {
            return None;
        }
        let salt = base64(salt, &(::argon2::MIN_SALT_LEN..=*SALT_BYTES.end()))?;
        let hash = base64(hash, &HASH_BYTES)?;
        let params = Params::new(memory_kib, iterations, lanes, Some(hash.len())).ok()?;
        Some(Self {
            config: Argon2Config {
                algorithm: name.parse().ok()?,
                version,
                params,
            },
            salt,
            hash,
        })
    }

    pub(super) fn matches(
        &self,
        password: &[u8],
        memory: &mut Memory,
    ) -> Result<bool, HashFailure> {
        let actual = self
            .config
            .compute(password, &self.salt, memory)
            .map_err(HashFailure::Parameters)?;
        Ok(actual.ct_eq(&self.hash).into())
    }

    /// Returns whether the cost is low enough for an imported hash.
    pub(super) fn is_affordable(&self) -> bool {
        let params = &self.config.params;
        u64::from(params.m_cost()) * u64::from(params.t_cost()) <= MAX_IMPORTED_COST
    }

    /// Returns a dummy hash with the same cost that matches no password.
    pub(super) fn dummy(&self) -> Self {
        Self {
            config: self.config.clone(),
            salt: vec![0; NEW_SALT_BYTES],
            hash: vec![0; self.hash.len()],
        }
    }

    pub(super) fn has_same_cost(&self, other: &Self) -> bool {
        self.has_cost_of(&other.config)
    }

    /// Returns whether hashes of this configuration have the same cost.
    pub(super) fn has_cost_of(&self, config: &Argon2Config) -> bool {
        self.config == *config
    }

    /// Returns whether the hash is up to date: a new one would have the same cost and no longer
    /// salt.
    pub(super) fn is_current(&self, config: &Argon2Config) -> bool {
        self.has_cost_of(config) && self.salt.len() >= NEW_SALT_BYTES
    }
}

/// Formats the hash as a PHC string.
impl fmt::Display for Argon2Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Argon2Config {
            algorithm,
            version,
            params,
        } = &self.config;
        write!(
            f,
            "${algorithm}$v={}$m={},t={},p={}${}${}",
            u32::from(*version),
            params.m_cost(),
            params.t_cost(),
            params.p_cost(),
            STANDARD_NO_PAD.encode(&self.salt),
            STANDARD_NO_PAD.encode(&self.hash)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::stored::tests::{assert_rejected, assert_verifies};

    // Computed by the reference implementation (argon2-cffi 25.1).
    #[test]
    fn every_variant_version_and_length_verifies() {
        for (hash, password) in [
            (
                "$argon2id$v=19$m=64,t=2,p=1$c2l4dGVlbiBieXRlIHNsdA$w2NY/Xs/cL1hXwkR8FFy3yC7cOQqvMdJ91DWl29E+lw",
                "correct horse battery staple",
            ),
            (
                "$argon2i$v=19$m=64,t=2,p=1$c2l4dGVlbiBieXRlIHNsdA$LDRR0LU9m5moXoM+zR1rXBjt1PD1CFkvcLPaYuRROTA",
                "correct horse battery staple",
            ),
            (
                "$argon2d$v=19$m=64,t=2,p=1$c2l4dGVlbiBieXRlIHNsdA$FiPsFdEoFV7Xz+/j9+5BGAJnbHNIsa3rZ5BAN+q3VPY",
                "correct horse battery staple",
            ),
            (
                "$argon2i$v=16$m=64,t=2,p=2$c2l4dGVlbiBieXRlIHNsdA$GLSYHlCgSdPZI2wYyPl57wsVzxl7FWua",
                "correct horse battery staple",
            ),
            (
                "$argon2i$m=64,t=2,p=2$c2l4dGVlbiBieXRlIHNsdA$GLSYHlCgSdPZI2wYyPl57wsVzxl7FWua",
                "correct horse battery staple",
            ),
            (
                "$argon2id$v=19$m=8,t=1,p=1$c2l4dGVlbiBieXRlIHNsdA$/MDeq41pQU+izSqnIVE7hQ",
                "correct horse battery staple",
            ),
            (
                "$argon2id$v=19$m=128,t=3,p=4$ZWlnaHQhISE$BJJMizuGyQrWEMzzaZBtcPngflkEe6ELqD5o3VGtyCa3mQqsNAq+o2MADPCcGrv94OLZPKc7Q/RSCAi6Gjf6Nw",
                "Grüße, Jürgen 🐎",
            ),
        ] {
            assert_verifies(hash, password);
        }
    }

    #[test]
    fn costly_and_malformed_argon2_hashes_are_rejected() {
        const END: &str = "$c2l4dGVlbiBieXRlIHNsdA$/MDeq41pQU+izSqnIVE7hQ";
        for costs in [
            "v=19$m=1048577,t=1,p=1",
            "v=19$m=4294967295,t=1,p=1",
            "v=19$m=64,t=65,p=1",
            "v=19$m=4096,t=1,p=17",
            "v=19$m=64,t=0,p=1",
            "v=19$m=64,t=1,p=0",
            "v=19$m=7,t=1,p=1",
            "v=19$m=064,t=1,p=1",
            "v=19$m=+64,t=1,p=1",
            "v=19$t=1,m=64,p=1",
            "v=19$m=64,t=1,p=1,data=AAAA",
            "v=19$m=64,t=1",
            "v=18$m=64,t=1,p=1",
            "v=19",
        ] {
            assert_rejected(&format!("$argon2id${costs}{END}"));
        }
        for hash in [
            "$argon2id$v=19$m=64,t=1,p=1$c2hvcnQ$/MDeq41pQU+izSqnIVE7hQ",
            "$argon2id$v=19$m=64,t=1,p=1$c2l4dGVlbiBieXRlIHNsdA$c2hvcnQ",
            "$argon2id$v=19$m=64,t=1,p=1$c2l4dGVlbiBieXRlIHNsdA",
            "$argon2id$v=19$m=64,t=1,p=1$c2l4dGVlbiBieXRlIHNsdA$/MDeq41pQU+izSqnIVE7hQ$",
            "$argon2id$v=19$m=64,t=1,p=1$c2l4dGVlbiBieXRlIHNsdA$/MDeq41pQU+izSqnIVE7h!",
        ] {
            assert_rejected(hash);
        }
    }
}
