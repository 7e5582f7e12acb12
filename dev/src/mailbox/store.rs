//! The latest messages, in memory. Their number and size are bounded; the oldest are removed first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;
use uuid::Uuid;

use super::message::{Envelope, Message};

const MAX_MESSAGES: usize = 2_000;
const MAX_BYTES: usize = 64 * 1024 * 1024;

#[derive(Debug, Clone, Default)]
pub(crate) struct Store {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Newest first.
    messages: VecDeque<Message>,
    bytes: usize,
}

impl Store {
    /// Takes a message that just arrived.
    #[expect(
        clippy::disallowed_methods,
        reason = "a caught message carries the real time of its arrival"
    )]
    pub(crate) fn receive(&self, envelope: &Envelope, bytes: &[u8], objections: Vec<String>) {
        let mut message = Message::read(envelope, bytes, OffsetDateTime::now_utc());
        message.objections = objections;
        let mut inner = self.lock();
        inner.bytes += message.weight();
        inner.messages.push_front(message);
        while inner.messages.len() > MAX_MESSAGES || inner.bytes > MAX_BYTES {
            let Some(oldest) = inner.messages.pop_back() else {
                break;
            };
            inner.bytes -= oldest.weight();
        }
    }

    /// Messages newest first; only those for one address when it is given.
    pub(crate) fn list(&self, to: Option<&str>) -> Vec<Message> {
        self.lock()
            .messages
            .iter()
            .filter(|message| to.is_none_or(|to| message.is_for(to)))
            .cloned()
            .collect()
    }

    pub(crate) fn get(&self, id: Uuid) -> Option<Message> {
        self.lock()
            .messages
            .iter()
            .find(|message| message.id == id)
            .cloned()
    }

    pub(crate) fn clear(&self) {
        *self.lock() = Inner::default();
    }

    /// A panic elsewhere cannot have left the list half-changed.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
