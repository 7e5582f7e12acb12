//! Password hashing in a bounded pool: so many threads, so long a queue, and past it a refusal.
//!
//! argon2id by RFC 9106; each thread keeps its memory while there is work and frees it after.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use plinth_domain::password::Password;
use subtle::ConstantTimeEq as _;
use tokio::sync::oneshot;

use super::random;
use crate::settings::AuthSettings;

const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// A thread without work for so long frees its memory.
const IDLE: Duration = Duration::from_secs(5);

/// Why a password was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashFailure {
    #[error("too many passwords wait to be hashed")]
    Busy,
    #[error("a stored password hash cannot be read")]
    Unreadable,
    #[error("argon2 refuses its parameters: {0}")]
    Parameters(argon2::Error),
}

enum Task {
    Hash(Password, oneshot::Sender<Result<String, HashFailure>>),
    Verify(Password, Option<String>, oneshot::Sender<Result<bool, HashFailure>>),
}

/// Hashes and verifies passwords. Clones share the pool.
#[derive(Clone)]
pub struct PasswordHasher {
    queue: SyncSender<Task>,
}

impl PasswordHasher {
    /// Starts the threads, which end when the last clone is dropped.
    pub fn start(settings: &AuthSettings) -> Result<Self, HashFailure> {
        let params = Params::new(
            settings.argon2_memory.kib(),
            settings.argon2_iterations.0,
            settings.argon2_parallelism.0,
            Some(HASH_BYTES),
        )
        .map_err(HashFailure::Parameters)?;
        let threads = match settings.hash_threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            given => given,
        };
        let (queue, tasks) = sync_channel(settings.hash_queue.count());
        let tasks = Arc::new(Mutex::new(tasks));
        for number in 0..threads {
            let (tasks, params) = (Arc::clone(&tasks), params.clone());
            std::thread::Builder::new()
                .name(format!("argon2-{number}"))
                .spawn(move || Lane::new(params).work(&tasks))
                .expect("a process can start its few threads");
        }
        Ok(Self { queue })
    }

    /// The PHC string of a password.
    pub async fn hash(&self, password: Password) -> Result<String, HashFailure> {
        let (answer, hashed) = oneshot::channel();
        self.submit(Task::Hash(password, answer))?;
        hashed.await.unwrap_or(Err(HashFailure::Busy))
    }

    /// Whether the password has the given PHC string. `None`, for an account that does not exist, takes the
    /// same time and is never true.
    pub async fn verify(&self, password: Password, phc: Option<String>) -> Result<bool, HashFailure> {
        let (answer, verified) = oneshot::channel();
        self.submit(Task::Verify(password, phc, answer))?;
        verified.await.unwrap_or(Err(HashFailure::Busy))
    }

    fn submit(&self, task: Task) -> Result<(), HashFailure> {
        self.queue.try_send(task).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => HashFailure::Busy,
        })
    }
}

/// One thread with its memory.
struct Lane {
    params: Params,
    memory: Vec<Block>,
}

impl Lane {
    fn new(params: Params) -> Self {
        Self { params, memory: Vec::new() }
    }

    fn work(mut self, tasks: &Mutex<Receiver<Task>>) {
        loop {
            let next = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(IDLE);
            match next {
                Ok(Task::Hash(password, answer)) if !answer.is_closed() => {
                    let _ = answer.send(self.hash(&password));
                }
                Ok(Task::Verify(password, phc, answer)) if !answer.is_closed() => {
                    let _ = answer.send(self.verify(&password, phc.as_deref()));
                }
                // Whoever asked has gone: the work is not worth doing.
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => self.memory = Vec::new(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn hash(&mut self, password: &Password) -> Result<String, HashFailure> {
        let salt: [u8; SALT_BYTES] = random();
        let params = self.params.clone();
        let hash = self.argon2(&params, password, &salt)?;
        Ok(format!(
            "$argon2id$v=19$m={},t={},p={}${}${}",
            params.m_cost(),
            params.t_cost(),
            params.p_cost(),
            STANDARD_NO_PAD.encode(salt),
            STANDARD_NO_PAD.encode(hash)
        ))
    }

    fn verify(&mut self, password: &Password, phc: Option<&str>) -> Result<bool, HashFailure> {
        let Some(phc) = phc else {
            let params = self.params.clone();
            self.argon2(&params, password, &[0; SALT_BYTES])?;
            return Ok(false);
        };
        let phc = PasswordHash::new(phc).map_err(|_| HashFailure::Unreadable)?;
        let params = Params::try_from(&phc).map_err(|_| HashFailure::Unreadable)?;
        let (Some(salt), Some(expected)) = (phc.salt.as_ref(), phc.hash.as_ref()) else {
            return Err(HashFailure::Unreadable);
        };
        if phc.algorithm.as_str() != "argon2id" || expected.as_bytes().len() != HASH_BYTES {
            return Err(HashFailure::Unreadable);
        }
        let actual = self.argon2(&params, password, salt.as_ref())?;
        Ok(actual.ct_eq(expected.as_bytes()).into())
    }

    fn argon2(
        &mut self,
        params: &Params,
        password: &Password,
        salt: &[u8],
    ) -> Result<[u8; HASH_BYTES], HashFailure> {
        if self.memory.len() < params.block_count() {
            self.memory.resize(params.block_count(), Block::default());
        }
        let mut hash = [0; HASH_BYTES];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
            .hash_password_into_with_memory(password.as_bytes(), salt, &mut hash, &mut self.memory)
            .map_err(HashFailure::Parameters)?;
        Ok(hash)
    }
}
