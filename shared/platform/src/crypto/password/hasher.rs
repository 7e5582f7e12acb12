//! The pool that passwords are hashed in: so many threads, so long a queue, and past it a refusal.
//!
//! Each thread keeps its memory while there is work and frees it after. A wrong password costs the same whatever is
//! stored, and whether anything is: hashes of other systems have costs of their own, by which an account could be told
//! from none.

use std::sync::atomic::{AtomicBool, Ordering};
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

/// So many kinds of hashes that are not ours are evened out: each makes every wrong password dearer.
const MOST_KINDS: usize = 8;

/// What came of comparing a password with a stored hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    No,
    Yes,
    /// It matched, but the hash is of another scheme, or cost more or less than those that are made now: a new
    /// one of the same password should replace it. Of that password bcrypt has proved the first 72 bytes only.
    YesOutdated,
}

/// A stored hash as text, and where it was made.
#[derive(Clone)]
pub struct StoredPassword {
    pub hash: String,
    /// Another system may have made it, of the password as typed.
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

/// Hashes and verifies passwords. Clones share the pool.
#[derive(Clone)]
pub struct PasswordHasher {
    queue: SyncSender<Task>,
    function: Function,
    kinds: Kinds,
}

/// The kinds of hashes that accounts have beside those that are made now, as far as they are known. Clones share them.
#[derive(Clone, Default)]
struct Kinds {
    known: Arc<Mutex<Vec<Arc<StoredHash>>>>,
    /// Whether accounts were imported with hashes of the kind that is made now.
    imports_ours: Arc<AtomicBool>,
}

impl Kinds {
    fn add(&self, stored: &StoredHash) {
        let mut kinds = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if kinds.len() < MOST_KINDS && !kinds.iter().any(|kind| kind.costs_as(stored)) {
            kinds.push(Arc::new(stored.blank()));
        }
    }

    fn all(&self) -> Vec<Arc<StoredHash>> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn add_ours(&self) {
        self.imports_ours.store(true, Ordering::Relaxed);
    }

    fn imports_ours(&self) -> bool {
        self.imports_ours.load(Ordering::Relaxed)
    }
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
        let kinds = Kinds::default();
        for number in 0..threads {
            let tasks = Arc::clone(&tasks);
            let lane = Lane {
                function: function.clone(),
                memory: Memory::default(),
                kinds: kinds.clone(),
            };
            std::thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || lane.work(&tasks))
                .expect("a process can start its few threads");
        }
        Ok(Self {
            queue,
            function,
            kinds,
        })
    }

    /// Says that some account has such a hash: from now on a wrong password costs as much as one of it, too. One that is
    /// verified says so itself.
    pub fn expect(&self, stored: &StoredHash) {
        if !stored.costs_as_of(&self.function) {
            self.kinds.add(stored);
        }
    }

    /// Says that some accounts were imported: from now on a wrong password whose normal form is not what was typed costs
    /// as much as one of theirs.
    pub fn expect_imported(&self) {
        self.kinds.add_ours();
    }

    /// The PHC string of a password.
    pub async fn hash(&self, password: Password) -> Result<String, HashFailure> {
        let (answer, hashed) = oneshot::channel();
        self.submit(Task::Hash(password, answer))?;
        hashed.await.unwrap_or(Err(HashFailure::Busy))
    }

    /// Whether the password has the stored hash, of whichever scheme. `None`, for an account that does not
    /// exist, takes the time of a wrong password and is never true; so does one that cannot be read, which is an
    /// error after it.
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

    /// The same for a hash that may have been imported: the password is compared in each form that the other system may
    /// have hashed.
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
struct Lane {
    function: Function,
    memory: Memory,
    kinds: Kinds,
}

impl Lane {
    fn work(mut self, tasks: &Mutex<Receiver<Task>>) {
        loop {
            let next = tasks
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .recv_timeout(IDLE);
            match next {
                Ok(Task::Hash(password, answer)) if !answer.is_closed() => {
                    let _ = answer.send(self.hash(&password));
                }
                Ok(Task::Verify(password, stored, answer)) if !answer.is_closed() => {
                    let _ = answer.send(self.verify(&password, stored.as_ref()));
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

    fn verify(
        &mut self,
        password: &Password,
        stored: Option<&StoredPassword>,
    ) -> Result<Verified, HashFailure> {
        let (read, imported) =
            match stored.map(|stored| (StoredHash::parse(&stored.hash), stored.imported)) {
                Some((Ok(read), imported)) => (read, imported),
                nothing_to_compare => {
                    self.even_out(password, None)?;
                    return nothing_to_compare
                        .map_or(Ok(()), |(read, _)| read.map(drop))
                        .map(|()| Verified::No);
                }
            };
        let is_ours = read.costs_as_of(&self.function);
        match (is_ours, imported) {
            (false, _) => self.kinds.add(&read),
            (true, true) => self.kinds.add_ours(),
            (true, false) => {}
        }
        let forms = if imported || !is_ours {
            password.forms()
        } else {
            vec![password.as_str().to_owned()]
        };
        for form in &forms {
            if self.matches(&read, form)? {
                let is_current = read.is_of(&self.function) && form == password.as_str();
                return Ok(if is_current {
                    Verified::Yes
                } else {
                    Verified::YesOutdated
                });
            }
        }
        self.even_out(password, Some((&read, forms.len())))?;
        Ok(Verified::No)
    }

    /// Computes what a wrong password costs beyond so many hashes of the one that was compared: one of ours, and one of
    /// each other kind in each form of the password; of ours in each form, too, if such were imported.
    fn even_out(
        &mut self,
        password: &Password,
        computed: Option<(&StoredHash, usize)>,
    ) -> Result<(), HashFailure> {
        let forms = password.forms();
        let ours = if self.kinds.imports_ours() {
            forms.len()
        } else {
            1
        };
        let done = computed
            .filter(|(read, _)| read.costs_as_of(&self.function))
            .map_or(0, |(_, done)| done);
        for _ in done..ours {
            self.hash(password)?;
        }
        for kind in self.kinds.all() {
            let done = computed
                .filter(|(read, _)| read.costs_as(&kind))
                .map_or(0, |(_, done)| done);
            for form in forms.iter().skip(done) {
                self.matches(&kind, form)?;
            }
        }
        Ok(())
    }

    fn matches(&mut self, stored: &StoredHash, password: &str) -> Result<bool, HashFailure> {
        let matched = stored.matches(password.as_bytes(), &mut self.memory);
        // A hash of another system may have taken much more than is to be kept.
        self.memory.shrink_to(&self.function);
        matched
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Argon2Memory, ByteSize, Settings};

    /// The costs of the pool, far under what may be configured.
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
    async fn a_hash_of_the_pool_is_of_today() {
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
            "the salt is fresh"
        );
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
    async fn an_unknown_account_is_never_verified_and_an_unreadable_hash_is_an_error() {
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
        assert!(
            outcomes
                .iter()
                .any(|outcome| matches!(outcome, Err(HashFailure::Busy)))
        );
        assert!(pool.hash(password("correct horse")).await.is_ok());
    }
}
