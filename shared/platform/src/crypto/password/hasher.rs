//! The pool that passwords are hashed in: so many threads, so long a queue, and past it a refusal.
//!
//! Each thread keeps its memory while there is work and frees it after.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plinth_domain::password::Password;
use tokio::sync::oneshot;

use super::argon2::{Argon2Hash, Function, Memory};
use super::{HashFailure, StoredHash};
use crate::settings::AuthSettings;

/// A thread without work for so long frees its memory.
const IDLE: Duration = Duration::from_secs(5);

/// What came of comparing a password with a stored hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    No,
    Yes,
    /// It matched, but the hash is of another scheme, or cost more or less than those that are made now: a new
    /// one of the same password should replace it. Of that password bcrypt has proved the first 72 bytes only.
    YesOutdated,
}

enum Task {
    Hash(Password, oneshot::Sender<Result<String, HashFailure>>),
    Verify(Password, Option<String>, oneshot::Sender<Result<Verified, HashFailure>>),
}

/// Hashes and verifies passwords. Clones share the pool.
#[derive(Clone)]
pub struct PasswordHasher {
    queue: SyncSender<Task>,
}

impl PasswordHasher {
    /// Starts the threads, which end when the last clone is dropped.
    pub fn start(settings: &AuthSettings) -> Result<Self, HashFailure> {
        let function = Function::ours(
            settings.argon2_memory.kib(),
            settings.argon2_iterations.0,
            settings.argon2_parallelism.0,
        )?;
        let threads = match settings.hash_threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            given => given,
        };
        let (queue, tasks) = sync_channel(settings.hash_queue.count());
        let tasks = Arc::new(Mutex::new(tasks));
        for number in 0..threads {
            let (tasks, function) = (Arc::clone(&tasks), function.clone());
            std::thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || Lane::new(function).work(&tasks))
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

    /// Whether the password has the stored hash, of whichever scheme. `None`, for an account that does not
    /// exist, takes the time of a hash that is made now and is never true; so does one that cannot be read,
    /// which is an error after it.
    pub async fn verify(&self, password: Password, stored: Option<String>) -> Result<Verified, HashFailure> {
        let (answer, verified) = oneshot::channel();
        self.submit(Task::Verify(password, stored, answer))?;
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
    function: Function,
    memory: Memory,
}

impl Lane {
    fn new(function: Function) -> Self {
        Self { function, memory: Memory::default() }
    }

    fn work(mut self, tasks: &Mutex<Receiver<Task>>) {
        loop {
            let next = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(IDLE);
            match next {
                Ok(Task::Hash(password, answer)) if !answer.is_closed() => {
                    let _ = answer.send(self.hash(&password));
                }
                Ok(Task::Verify(password, stored, answer)) if !answer.is_closed() => {
                    let _ = answer.send(self.verify(&password, stored.as_deref()));
                }
                // Whoever asked has gone: the work is not worth doing.
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => self.memory = Memory::default(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn hash(&mut self, password: &Password) -> Result<String, HashFailure> {
        let hash = Argon2Hash::make(&self.function, password.as_bytes(), &mut self.memory)?;
        Ok(hash.to_string())
    }

    fn verify(&mut self, password: &Password, stored: Option<&str>) -> Result<Verified, HashFailure> {
        let stored = match stored.map(StoredHash::parse) {
            Some(Ok(stored)) => stored,
            nothing_to_compare => {
                self.hash(password)?;
                return nothing_to_compare.transpose().map(|_| Verified::No);
            }
        };
        let matched = stored.matches(password.as_bytes(), &mut self.memory);
        // An imported hash may have taken much more than is to be kept.
        self.memory.shrink_to(&self.function);
        Ok(match matched? {
            false => Verified::No,
            true if stored.is_of(&self.function) => Verified::Yes,
            true => Verified::YesOutdated,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Argon2Memory, ByteSize, Settings};

    /// The costs of the pool, far under what may be configured.
    fn pool(memory_kib: u64, queue: u32) -> PasswordHasher {
        let required = [
            ("PLINTH_SECRET_KEY", "aHVudGVyMSBodW50ZXIxIGh1bnRlcjEgaHVudGVyMSE="),
            ("PLINTH_DATABASE_URL", "postgres://u@h/d"),
            ("PLINTH_REDIS_URL", "redis://h"),
            ("PLINTH_S3_ACCESS_KEY_ID", "id"),
            ("PLINTH_S3_SECRET_ACCESS_KEY", "key"),
            ("PLINTH_SMTP_URL", "smtp://h:25"),
        ];
        let given = required.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let mut auth = Settings::from_env(given).expect("valid").auth;
        auth.argon2_memory = Argon2Memory(ByteSize(memory_kib << 10));
        auth.hash_threads = 1;
        auth.hash_queue.0 = queue;
        PasswordHasher::start(&auth).expect("starts")
    }

    fn password(text: &str) -> Password {
        Password::normalise(text)
    }

    #[tokio::test]
    async fn a_hash_of_the_pool_is_of_today() {
        let pool = pool(64, 8);
        let hash = pool.hash(password("correct horse")).await.expect("hashes");
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=2,p=1$"), "{hash}");
        let verify = async |text| pool.verify(password(text), Some(hash.clone())).await.expect("verifies");
        assert_eq!(verify("correct horse").await, Verified::Yes);
        assert_eq!(verify("correct horsE").await, Verified::No);
        assert_ne!(pool.hash(password("correct horse")).await.expect("hashes"), hash, "the salt is fresh");
    }

    #[tokio::test]
    async fn another_scheme_or_cost_matches_and_is_outdated() {
        let pool = pool(64, 8);
        for hash in [
            // Made by argon2-cffi 25.1: less, more of each cost, another length, variant, salt and version.
            "$argon2id$v=19$m=32,t=2,p=1$c2l4dGVlbiBieXRlIHNsdA$E15hQJ6SGg0A3j5+gta2TITWYy9ngKWs8nvqpV7gA1A",
            "$argon2id$v=19$m=128,t=2,p=1$c2l4dGVlbiBieXRlIHNsdA$S7wCzeesNxjjn/bjFu1nurXUp5+9Z2en/vVGBvlBHJM",
            "$argon2id$v=19$m=64,t=1,p=1$c2l4dGVlbiBieXRlIHNsdA$Z+98165R4iHvsG27Rlx3gyzFZgg8++N/obLS6oueJwQ",
            "$argon2id$v=19$m=64,t=3,p=1$c2l4dGVlbiBieXRlIHNsdA$VlQw+yMwI9SBEyV2x5o2H0l7JaHPIKC9w9bIZjiNX4o",
            "$argon2id$v=19$m=64,t=2,p=2$c2l4dGVlbiBieXRlIHNsdA$NPiBM7Cbq+pUNQviHFoHwfMWkJ71vkFniQFfn3kyxzY",
            "$argon2id$v=19$m=64,t=2,p=1$c2l4dGVlbiBieXRlIHNsdA$PUg5jhkBOCDI8FiBApKLsw",
            "$argon2i$v=19$m=64,t=2,p=1$c2l4dGVlbiBieXRlIHNsdA$LDRR0LU9m5moXoM+zR1rXBjt1PD1CFkvcLPaYuRROTA",
            "$argon2id$v=19$m=64,t=2,p=1$ZWlnaHQhISE$bi/zqOUT7e4ZaaZ+G8aDKkZfj/flYHObAvgqvNsQm9w",
            "$argon2id$v=16$m=64,t=2,p=1$c2l4dGVlbiBieXRlIHNsdA$ZVlXpEpwMIqM1XkWGsIYd7A34Uni/yVvdIlielabe28",
            "$2b$04$zfwZf5MicB9iwBPnl54DieMASobWrlYdKhOrwF4.uilm0raFkac3C",
        ] {
            let verify =
                async |text| pool.verify(password(text), Some(hash.to_owned())).await.expect("verifies");
            assert_eq!(verify("correct horse battery staple").await, Verified::YesOutdated, "{hash}");
            assert_eq!(verify("correct horse battery stable").await, Verified::No, "{hash}");
        }
    }

    #[tokio::test]
    async fn an_unknown_account_is_never_verified_and_an_unreadable_hash_is_an_error() {
        let pool = pool(64, 8);
        assert_eq!(pool.verify(password("anything"), None).await.expect("verifies"), Verified::No);
        let unreadable = pool.verify(password("anything"), Some("plain text".to_owned())).await;
        assert!(matches!(unreadable, Err(HashFailure::Unreadable)), "{unreadable:?}");
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_recovers() {
        let pool = pool(19 << 10, 1);
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let pool = pool.clone();
                async move { pool.hash(password("correct horse")).await }
            })
            .collect();
        let outcomes = futures_util::future::join_all(waiting).await;
        assert!(outcomes.iter().any(Result::is_ok));
        assert!(outcomes.iter().any(|outcome| matches!(outcome, Err(HashFailure::Busy))));
        assert!(pool.hash(password("correct horse")).await.is_ok());
    }
}
