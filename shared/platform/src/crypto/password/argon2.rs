//! argon2 (RFC 9106) in the PHC string format: what new hashes are made by, and its older forms.

use std::fmt;

use ::argon2::{Algorithm, Argon2, Block, Error, Params, Version};
use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq as _;

use super::HashFailure;
use super::fields::{HASH_BYTES, SALT_BYTES, base64, decimal, numbers, split};
use crate::crypto::random;

/// The most memory that a hash may ask for, in KiB: one GiB.
pub const MAX_MEMORY_KIB: u32 = 1 << 20;
/// The most passes that a hash may ask for.
pub const MAX_ITERATIONS: u32 = 64;
/// The most lanes that a hash may ask for.
pub const MAX_LANES: u32 = 16;
/// The most that a hash of another system may ask for, in passes over a KiB: four over one GiB are some seconds.
const MAX_FOREIGN_WORK: u64 = 4 << 20;

const OUR_SALT_BYTES: usize = 16;
const OUR_HASH_BYTES: usize = 32;

/// The blocks that one hash after another is computed in.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() < count {
            self.0.resize(count, Block::default());
        }
        &mut self.0
    }

    /// Gives back what this function does not need.
    pub(super) fn shrink_to(&mut self, function: &Function) {
        self.0.truncate(function.params.block_count());
        self.0.shrink_to_fit();
    }
}

/// Which argon2, and at what cost.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Function {
    algorithm: Algorithm,
    version: Version,
    params: Params,
}

impl Function {
    /// The one that new hashes are made by.
    pub(super) fn ours(memory_kib: u32, iterations: u32, lanes: u32) -> Result<Self, HashFailure> {
        let params = Params::new(memory_kib, iterations, lanes, Some(OUR_HASH_BYTES));
        let params = params.map_err(HashFailure::Parameters)?;
        Ok(Self {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            params,
        })
    }

    fn compute(&self, password: &[u8], salt: &[u8], memory: &mut Memory) -> Result<Vec<u8>, Error> {
        let mut hash = vec![0; self.params.output_len().unwrap_or(OUR_HASH_BYTES)];
        let blocks = memory.blocks(self.params.block_count());
        Argon2::new(self.algorithm, self.version, self.params.clone())
            .hash_password_into_with_memory(password, salt, &mut hash, blocks)?;
        Ok(hash)
    }
}

/// One stored hash of argon2id, argon2i or argon2d.
pub struct Argon2Hash {
    function: Function,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Argon2Hash {
    /// Hashes a password with a fresh salt.
    pub(super) fn make(
        function: &Function,
        password: &[u8],
        memory: &mut Memory,
    ) -> Result<Self, HashFailure> {
        let salt = random::<OUR_SALT_BYTES>().to_vec();
        let hash = function
            .compute(password, &salt, memory)
            .map_err(HashFailure::Parameters)?;
        Ok(Self {
            function: function.clone(),
            salt,
            hash,
        })
    }

    /// Reads what follows the name, e.g. `v=19$m=19456,t=2,p=1$salt$hash`. Without `v`, which argon2 had
    /// before its version 1.3, it is version 16.
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
            function: Function {
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
            .function
            .compute(password, &self.salt, memory)
            .map_err(HashFailure::Parameters)?;
        Ok(actual.ct_eq(&self.hash).into())
    }

    /// Whether it may come from another system.
    pub(super) fn is_affordable(&self) -> bool {
        let params = &self.function.params;
        u64::from(params.m_cost()) * u64::from(params.t_cost()) <= MAX_FOREIGN_WORK
    }

    /// One that costs the same, and is no password's.
    pub(super) fn blank(&self) -> Self {
        Self {
            function: self.function.clone(),
            salt: vec![0; OUR_SALT_BYTES],
            hash: vec![0; self.hash.len()],
        }
    }

    pub(super) fn costs_as(&self, other: &Self) -> bool {
        self.costs_as_of(&other.function)
    }

    /// Whether a hash that is made by this function now would cost the same.
    pub(super) fn costs_as_of(&self, function: &Function) -> bool {
        self.function == *function
    }

    /// Whether a hash that is made by this function now would be no other.
    pub(super) fn is_of(&self, function: &Function) -> bool {
        self.costs_as_of(function) && self.salt.len() >= OUR_SALT_BYTES
    }
}

/// The PHC string.
impl fmt::Display for Argon2Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Function {
            algorithm,
            version,
            params,
        } = &self.function;
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
    use super::super::stored::tests::{refuses, verifies};

    // Made by the reference implementation (argon2-cffi 25.1).
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
            verifies(hash, password);
        }
    }

    #[test]
    fn what_costs_too_much_or_is_no_argon2_is_refused() {
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
            refuses(&format!("$argon2id${costs}{END}"));
        }
        for hash in [
            "$argon2id$v=19$m=64,t=1,p=1$c2hvcnQ$/MDeq41pQU+izSqnIVE7hQ",
            "$argon2id$v=19$m=64,t=1,p=1$c2l4dGVlbiBieXRlIHNsdA$c2hvcnQ",
            "$argon2id$v=19$m=64,t=1,p=1$c2l4dGVlbiBieXRlIHNsdA",
            "$argon2id$v=19$m=64,t=1,p=1$c2l4dGVlbiBieXRlIHNsdA$/MDeq41pQU+izSqnIVE7hQ$",
            "$argon2id$v=19$m=64,t=1,p=1$c2l4dGVlbiBieXRlIHNsdA$/MDeq41pQU+izSqnIVE7h!",
        ] {
            refuses(hash);
        }
    }
}
