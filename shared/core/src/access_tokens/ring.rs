//! The keys as this process knows them: read again every few seconds, and at once when a token names an unknown one.

use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::keys::{Key, Keys};
use super::rotation::SigningKeys;
use crate::Result;

/// How often the keys are read. A new key leads by more than this before it signs.
const TICK: Duration = Duration::from_secs(5);
/// Tokens that name unknown keys make them be read no more often than this.
const PAUSE: Duration = Duration::from_secs(1);

/// Shared by everything that signs or checks.
pub(super) struct Ring {
    known: RwLock<Option<Arc<Keys>>>,
    /// Where they are read from; none where they were configured.
    source: Option<SigningKeys>,
    /// When they were read last. One reads and the others wait for him.
    read_at: Mutex<Option<Instant>>,
}

impl Ring {
    /// Keys that were given in the settings.
    pub(super) fn fixed(keys: Keys) -> Arc<Self> {
        Arc::new(Self {
            known: RwLock::new(Some(Arc::new(keys))),
            source: None,
            read_at: Mutex::default(),
        })
    }

    /// Keys of the database. The task that reads them again ends with the ring.
    pub(super) fn start(source: SigningKeys) -> Arc<Self> {
        let ring = Arc::new(Self {
            known: RwLock::default(),
            source: Some(source),
            read_at: Mutex::default(),
        });
        tokio::spawn(keep(Arc::downgrade(&ring)));
        ring
    }

    /// The keys; read now, when they never were.
    pub(super) async fn keys(&self) -> Result<Arc<Keys>> {
        match self.known() {
            Some(keys) => Ok(keys),
            // Boxed: every request would carry, and move, the state of a query that hardly any makes.
            None => Box::pin(self.read(PAUSE)).await,
        }
    }

    /// The keys, read again unless that was done just now: a token names one that is not among them.
    pub(super) async fn look_again(&self) -> Result<Arc<Keys>> {
        self.read(PAUSE).await
    }

    fn known(&self) -> Option<Arc<Keys>> {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn read(&self, pause: Duration) -> Result<Arc<Keys>> {
        let mut read_at = self.read_at.lock().await;
        if let Some(keys) = self.known()
            && (self.source.is_none() || read_at.is_some_and(|at| at.elapsed() < pause))
        {
            return Ok(keys);
        }
        let source = self
            .source
            .as_ref()
            .expect("a ring without a source was given its keys");
        let keys = Arc::new(source.load().await?);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(keys.clone());
        *read_at = Some(Instant::now());
        Ok(keys)
    }
}

async fn keep(ring: Weak<Ring>) {
    let mut tick = tokio::time::interval(TICK);
    loop {
        tick.tick().await;
        let Some(ring) = ring.upgrade() else { return };
        if let Err(error) = ring.read(Duration::ZERO).await {
            tracing::warn!(%error, "the signing keys could not be read; those known stay in force");
        }
    }
}

/// Where keys come from that were given in the settings: the first signs, all check.
pub(super) fn configured(seeds: &[[u8; 32]]) -> Option<Keys> {
    let long_ago = time::OffsetDateTime::UNIX_EPOCH;
    let last = i64::try_from(seeds.len()).unwrap_or(i64::MAX);
    let keys = seeds.iter().zip(0..).map(|(seed, place)| {
        Key::from_seed(seed, long_ago + time::Duration::seconds(last - place), None)
    });
    Keys::of(keys.collect())
}
