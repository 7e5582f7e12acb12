//! The thread pool that hashes passwords, with a bounded queue. A full queue fails new tasks.
//!
//! Each thread keeps its memory while it has work and frees it afterwards. A wrong password costs
//! the same whichever hash is stored, and whether one is: imported hashes have different costs, and
//! otherwise the time of an answer would reveal whether an account exists.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plinth_domain::password::Password;
use tokio::sync::oneshot;

use super::argon2::{Argon2Config, Argon2Hash, Memory};
use super::{HashFailure, StoredHash};
use crate::settings::AuthSettings;

/// A thread frees its memory after this time without work.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum number of other cost kinds that are equalized. Each one makes every wrong password more
/// expensive.
const MAX_COST_KINDS: usize = 8;

/// The result of comparing a password with a stored hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    No,
    Yes,
    /// The password matches, but the hash has another scheme or cost than new ones and should be
    /// replaced by a new hash of the same password. With bcrypt, only the first 72 bytes of that
    /// password are proved.
    YesOutdated,
}

/// A stored hash as text, and whether it was imported.
#[derive(Clone)]
pub struct StoredPassword {
    pub hash: String,
    /// Whether another system may have made the hash, from the password as typed.
    pub imported: bool,
}

enum Task {
    Hash(Password, oneshot::Sender<Result<String, HashFailure>>),
    Verify(
        Password,
        Option<StoredPassword>,
        oneshot::Sender<Result<Verified, HashFailure>>,
    ),
}

/// Hashes and verifies passwords. Clones share the thread pool.
#[derive(Clone)]
pub struct PasswordHasher {
    queue: SyncSender<Task>,
    config: Argon2Config,
    kinds: CostKinds,
}

/// The costs of the accounts' hashes that differ from those of new hashes, as far as known. Clones
/// share them.
#[derive(Clone, Default)]
struct CostKinds {
    dummies: Arc<Mutex<Vec<Arc<StoredHash>>>>,
    /// Whether accounts were imported with hashes that cost the same as new ones.
    has_imports_at_new_cost: Arc<AtomicBool>,
}

impl CostKinds {
    fn add(&self, stored: &StoredHash) {
        let mut kinds = self.dummies.lock().unwrap_or_else(PoisonError::into_inner);
        if kinds.len() < MAX_COST_KINDS && !kinds.iter().any(|kind| kind.has_same_cost(stored)) {
            kinds.push(Arc::new(stored.dummy()));
        }
    }

    fn all(&self) -> Vec<Arc<StoredHash>> {
        self.dummies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn add_imports_at_new_cost(&self) {
        self.has_imports_at_new_cost.store(true, Ordering::Relaxed);
    }

    fn has_imports_at_new_cost(&self) -> bool {
        self.has_imports_at_new_cost.load(Ordering::Relaxed)
    }
}

impl PasswordHasher {
    /// Starts the threads, which end when the last clone is dropped.
    pub fn start(settings: &AuthSettings) -> Result<Self, HashFailure> {
        let config = Argon2Config::for_new_hashes(
            settings.argon2_memory.kib(),
            settings.argon2_iterations.0,
            settings.argon2_parallelism.0,
        )?;
        let threads = match settings.hash_threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let (queue, tasks) = sync_channel(settings.hash_queue.count());
        let tasks = Arc::new(Mutex::new(tasks));
        let kinds = CostKinds::default();
        for number in 0..threads {
            let tasks = Arc::clone(&tasks);
            let thread = HashThread {
                config: config.clone(),
                memory: Memory::default(),
                kinds: kinds.clone(),
            };
            std::thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || thread.run(&tasks))
                .expect("the process can start threads");
        }
        Ok(Self {
            queue,
            config,
            kinds,
        })
    }

    /// Registers the cost of a hash that some account has: from now on a wrong password costs as
    /// much as one of it in addition. Verifying a hash registers its cost as well.
    pub fn register_cost(&self, stored: &StoredHash) {
        if !stored.has_cost_of(&self.config) {
            self.kinds.add(stored);
        }
    }

    /// Registers that accounts were imported: from now on a wrong password whose normalized form
    /// differs from the typed one costs as much as one of theirs.
    pub fn register_imports(&self) {
        self.kinds.add_imports_at_new_cost();
    }

    /// Hashes a password, and returns the PHC string.
    pub async fn hash(&self, password: Password) -> Result<String, HashFailure> {
        let (answer, hashed) = oneshot::channel();
        self.submit(Task::Hash(password, answer))?;
        hashed.await.unwrap_or(Err(HashFailure::Busy))
    }

    /// Compares a password with a stored hash of any scheme. `None`, for an account that does not
    /// exist, takes the time of a wrong password and never matches. An unreadable hash takes the
    /// same time and is then an error.
    pub async fn verify(
        &self,
        password: Password,
        stored: Option<String>,
    ) -> Result<Verified, HashFailure> {
        self.verify_stored(
            password,
            stored.map(|hash| StoredPassword {
                hash,
                imported: false,
            }),
        )
        .await
    }

    /// Compares a password like [`Self::verify`] with a hash that may be imported: the password is
    /// tried in each form that the other system may have hashed.
    pub async fn verify_stored(
        &self,
        password: Password,
        stored: Option<StoredPassword>,
    ) -> Result<Verified, HashFailure> {
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
struct HashThread {
    config: Argon2Config,
    memory: Memory,
    kinds: CostKinds,
}

impl HashThread {
    fn run(mut self, tasks: &Mutex<Receiver<Task>>) {
        loop {
            let next = tasks
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .recv_timeout(IDLE_TIMEOUT);
            match next {
                Ok(Task::Hash(password, answer)) if !answer.is_closed() => {
                    let _ = answer.send(self.hash(&password));
                }
                Ok(Task::Verify(password, stored, answer)) if !answer.is_closed() => {
                    let _ = answer.send(self.verify(&password, stored.as_ref()));
                }
                // The caller has stopped waiting, so the result is useless.
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => self.memory = Memory::default(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn hash(&mut self, password: &Password) -> Result<String, HashFailure> {
        let hash = Argon2Hash::create(&self.config, password.as_bytes(), &mut self.memory)?;
        Ok(hash.to_string())
    }

    fn verify(
        &mut self,
        password: &Password,
        stored: Option<&StoredPassword>,
    ) -> Result<Verified, HashFailure> {
        let (read, imported) =
            match stored.map(|stored| (StoredHash::parse(&stored.hash), stored.imported)) {
                Some((Ok(read), imported)) => (read, imported),
                no_readable_hash => {
                    self.equalize_cost(password, None)?;
                    return no_readable_hash
                        .map_or(Ok(()), |(read, _)| read.map(drop))
                        .map(|()| Verified::No);
                }
            };
        let has_new_cost = read.has_cost_of(&self.config);
        match (has_new_cost, imported) {
            (false, _) => self.kinds.add(&read),
            (true, true) => self.kinds.add_imports_at_new_cost(),
            (true, false) => {}
        }
        let forms = if imported || !has_new_cost {
            password.forms()
        } else {
            vec![password.as_str().to_owned()]
        };
        for form in &forms {
            if self.matches(&read, form)? {
                let is_current = read.is_current(&self.config) && form == password.as_str();
                return Ok(if is_current {
                    Verified::Yes
                } else {
                    Verified::YesOutdated
                });
            }
        }
        self.equalize_cost(password, Some((&read, forms.len())))?;
        Ok(Verified::No)
    }

    /// Computes the hashes that a wrong password costs beyond those already computed: one of the
    /// new cost, and one of each other kind in each form of the password; one of the new cost in
    /// each form, if such hashes were imported.
    fn equalize_cost(
        &mut self,
        password: &Password,
        computed: Option<(&StoredHash, usize)>,
    ) -> Result<(), HashFailure> {
        let forms = password.forms();
        let new_cost_hashes = if self.kinds.has_imports_at_new_cost() {
            forms.len()
        } else {
            1
        };
        let done = computed
            .filter(|(read, _)| read.has_cost_of(&self.config))
            .map_or(0, |(_, done)| done);
        for _ in done..new_cost_hashes {
            self.hash(password)?;
        }
        for kind in self.kinds.all() {
            let done = computed
                .filter(|(read, _)| read.has_same_cost(&kind))
                .map_or(0, |(_, done)| done);
            for form in forms.iter().skip(done) {
                self.matches(&kind, form)?;
            }
        }
        Ok(())
    }

    fn matches(&mut self, stored: &StoredHash, password: &str) -> Result<bool, HashFailure> {
        let matched = stored.matches(password.as_bytes(), &mut self.memory);
        // An imported hash may have used much more memory than should be kept.
        self.memory.shrink_to(&self.config);
        matched
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Argon2Memory, ByteSize, Settings};

    /// Starts a pool with a cost far below the configurable minimum.
    fn pool(memory_kib: u64, queue: u32) -> PasswordHasher {
        let required = [
            (
                "PLINTH_SECRET_KEY",
                "aHVudGVyMSBodW50ZXIxIGh1bnRlcjEgaHVudGVyMSE=",
            ),
            ("PLINTH_DATABASE_URL", "postgres://u@h/d"),
            ("PLINTH_REDIS_URL", "redis://h"),
            ("PLINTH_S3_ACCESS_KEY_ID", "id"),
            ("PLINTH_S3_SECRET_ACCESS_KEY", "key"),
            ("PLINTH_SMTP_URL", "smtp://h:25"),
        ];
        let given = required
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
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
    async fn a_new_hash_verifies_and_is_current() {
        let pool = pool(64, 8);
        let hash = pool.hash(password("correct horse")).await.expect("hashes");
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=2,p=1$"), "{hash}");
        let verify = async |text| {
            pool.verify(password(text), Some(hash.clone()))
                .await
                .expect("verifies")
        };
        assert_eq!(verify("correct horse").await, Verified::Yes);
        assert_eq!(verify("correct horsE").await, Verified::No);
        assert_ne!(
            pool.hash(password("correct horse")).await.expect("hashes"),
            hash,
            "the salt is new"
        );
    }

    #[tokio::test]
    async fn a_hash_of_another_scheme_or_cost_matches_and_is_outdated() {
        let pool = pool(64, 8);
        for hash in [
            // Computed by argon2-cffi 25.1: less and more of each cost, another length, variant,
            // salt and version.
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
            let verify = async |text| {
                pool.verify(password(text), Some(hash.to_owned()))
                    .await
                    .expect("verifies")
            };
            assert_eq!(
                verify("correct horse battery staple").await,
                Verified::YesOutdated,
                "{hash}"
            );
            assert_eq!(
                verify("correct horse battery stable").await,
                Verified::No,
                "{hash}"
            );
        }
    }

    #[tokio::test]
    async fn a_missing_hash_never_matches_and_an_unreadable_one_is_an_error() {
        let pool = pool(64, 8);
        assert_eq!(
            pool.verify(password("anything"), None)
                .await
                .expect("verifies"),
            Verified::No
        );
        let unreadable = pool
            .verify(password("anything"), Some("plain text".to_owned()))
            .await;
        assert!(
            matches!(unreadable, Err(HashFailure::Unreadable)),
            "{unreadable:?}"
        );
    }

    #[tokio::test]
    async fn a_full_queue_fails_new_tasks_and_recovers() {
        let pool = pool(19 << 10, 1);
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let pool = pool.clone();
                async move { pool.hash(password("correct horse")).await }
            })
            .collect();
        let outcomes = futures_util::future::join_all(waiting).await;
        assert!(outcomes.iter().any(Result::is_ok));
        assert!(
            outcomes
                .iter()
                .any(|outcome| matches!(outcome, Err(HashFailure::Busy)))
        );
        assert!(pool.hash(password("correct horse")).await.is_ok());
    }
}
