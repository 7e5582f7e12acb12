//! How many uploads one process receives at once, from each account and in all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::UserId;

use crate::{Error, Result};

/// When a client that is refused may try again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Uploads that one process receives at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct MaxUploads {
    pub(super) of_account: usize,
    pub(super) of_process: usize,
}

/// The uploads that are being received. Clones share them.
#[derive(Clone)]
pub(super) struct Slots {
    max: MaxUploads,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    accounts: HashMap<UserId, usize>,
}

/// The right of an account to send one request with bytes of files; given back when it is dropped.
pub struct UploadSlot {
    owner: UserId,
    taken: Arc<Mutex<Taken>>,
}

impl Slots {
    pub(super) fn new(max: MaxUploads) -> Self {
        Self {
            max,
            taken: Arc::default(),
        }
    }

    /// # Errors
    /// [`Error::TooManyAtOnce`] if the account has as many as it may, [`Error::Busy`] if the process has.
    pub(super) fn take(&self, owner: UserId) -> Result<UploadSlot> {
        let mut taken = locked(&self.taken);
        let of_account = taken.accounts.get(&owner).copied().unwrap_or(0);
        if of_account >= self.max.of_account {
            let detail = format!(
                "An account sends at most {} uploads at once.",
                self.max.of_account
            );
            return Err(Error::TooManyAtOnce {
                code: ErrorCode::TooManyUploads,
                detail,
                retry_after: RETRY_AFTER,
            });
        }
        if taken.all >= self.max.of_process {
            return Err(Error::Busy {
                retry_after: RETRY_AFTER,
            });
        }
        taken.all += 1;
        *taken.accounts.entry(owner).or_default() += 1;
        Ok(UploadSlot {
            owner,
            taken: self.taken.clone(),
        })
    }
}

impl UploadSlot {
    pub(super) fn owner(&self) -> UserId {
        self.owner
    }
}

impl Drop for UploadSlot {
    fn drop(&mut self) {
        let mut taken = locked(&self.taken);
        taken.all -= 1;
        if let Some(of_account) = taken.accounts.get_mut(&self.owner) {
            *of_account -= 1;
            if *of_account == 0 {
                taken.accounts.remove(&self.owner);
            }
        }
    }
}

fn locked(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_slot_is_free_again_when_its_upload_has_ended() {
        let slots = Slots::new(MaxUploads {
            of_account: 2,
            of_process: 3,
        });
        let (ada, bob) = (UserId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2)));
        let one = slots.take(ada).expect("is free");
        let _other = slots.take(ada).expect("is free");
        assert!(matches!(
            slots.take(ada),
            Err(Error::TooManyAtOnce {
                code: ErrorCode::TooManyUploads,
                ..
            })
        ));
        let _of_bob = slots.take(bob).expect("is free");
        assert!(matches!(slots.take(bob), Err(Error::Busy { .. })));
        drop(one);
        slots.take(bob).expect("is free");
        slots.take(ada).expect("is free");
    }
}
