//! A continuous load of registrations, whatever happens to the stores.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use plinth_testkit::until;
use reqwest::StatusCode;
use tokio::task::JoinSet;

use crate::house::{Door, fresh_email};

/// The number of clients. Each sends a request after the previous answer and a short pause.
const CLIENTS: usize = 3;
const REST: Duration = Duration::from_millis(200);

/// The running clients.
pub(super) struct Load {
    accepted: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
    clients: JoinSet<Vec<String>>,
}

impl Load {
    pub(super) fn begin(door: &Door) -> Self {
        let (accepted, ends) = <(Arc<AtomicUsize>, Arc<AtomicBool>)>::default();
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(register(door.clone(), accepted.clone(), ends.clone()));
        }
        Self {
            accepted,
            ends,
            clients,
        }
    }

    /// Returns the number of accepted registrations.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Waits until `more` further registrations are accepted.
    pub(super) async fn until_more(&self, more: usize) {
        let goal = self.accepted() + more;
        until("more people are accepted", async || {
            (self.accepted() >= goal).then_some(())
        })
        .await;
    }

    /// Stops the clients and returns the accepted addresses.
    pub(super) async fn end(self) -> Vec<String> {
        self.ends.store(true, Ordering::Relaxed);
        self.clients.join_all().await.concat()
    }
}

async fn register(door: Door, accepted: Arc<AtomicUsize>, ends: Arc<AtomicBool>) -> Vec<String> {
    let mut emails = Vec::new();
    while !ends.load(Ordering::Relaxed) {
        let email = fresh_email();
        // A refused or failed registration is not repeated.
        if door
            .try_register(&email)
            .await
            .is_ok_and(|answer| answer.status == StatusCode::ACCEPTED)
        {
            emails.push(email);
            accepted.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(REST).await;
    }
    emails
}
