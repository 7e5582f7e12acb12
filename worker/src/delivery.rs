//! What apalis hands over: "run job N now", and the desk that takes it.
//!
//! A delivery is answered (and acknowledged by apalis) as soon as the ledger has
//! said who runs the job. The job itself runs in a task of its own: apalis drops
//! its futures when Redis fails, and a job must not be cancelled by that.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use apalis_core::backend::codec::Codec;
use apalis_core::task::Task;
use futures_util::future::BoxFuture;
use plinth_domain::id::JobId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;
use tower_service::Service;

/// The job that is due, where what Redis carried names one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery(pub Option<JobId>);

/// Reads deliveries and never fails: for apalis an undecodable one is a broken backend, for us it is nothing.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryCodec;

impl Codec<Delivery> for DeliveryCodec {
    type Error = Infallible;
    type Compact = Vec<u8>;

    fn encode(&self, delivery: &Delivery) -> Result<Vec<u8>, Infallible> {
        Ok(serde_json::to_vec(&delivery.0).expect("an id is a JSON string"))
    }

    fn decode(&self, bytes: &Vec<u8>) -> Result<Delivery, Infallible> {
        let job = serde_json::from_slice(bytes).ok().flatten();
        if job.is_none() {
            tracing::warn!(bytes = bytes.len(), "dropping a delivery that names no job");
        }
        Ok(Delivery(job))
    }
}

/// The right to run one job of a queue; the next one is taken when it is dropped.
pub type Slot = OwnedSemaphorePermit;

/// Takes a job over; ends once it is known who runs it, and goes on by itself.
pub type Accept = Arc<dyn Fn(JobId, Slot) -> BoxFuture<'static, ()> + Send + Sync>;

/// The service that apalis calls. Its slots outlive it: a restarted backend does not raise the concurrency.
pub struct Desk {
    slots: PollSemaphore,
    free: Option<Slot>,
    accept: Accept,
}

impl Desk {
    pub fn new(slots: Arc<Semaphore>, accept: Accept) -> Self {
        Self { slots: PollSemaphore::new(slots), free: None, accept }
    }
}

impl Service<Task<Delivery>> for Desk {
    type Response = ();
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<(), Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.free.is_none() {
            let slot = ready!(self.slots.poll_acquire(cx)).expect("the semaphore is never closed");
            self.free = Some(slot);
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Delivery>) -> Self::Future {
        let slot = self.free.take().expect("poll_ready came before");
        match task.args.0 {
            Some(job) => {
                let taken = (self.accept)(job, slot);
                Box::pin(async move {
                    taken.await;
                    Ok(())
                })
            }
            None => Box::pin(async { Ok(()) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_id_is_a_delivery() {
        let job = JobId("01937b1e-0000-7000-8000-000000000001".parse().expect("a uuid"));
        let bytes = DeliveryCodec.encode(&Delivery(Some(job))).expect("infallible");
        assert_eq!(bytes, b"\"01937b1e-0000-7000-8000-000000000001\"");
        assert_eq!(DeliveryCodec.decode(&bytes), Ok(Delivery(Some(job))));
        for garbage in [&b""[..], b"null", b"\"x\"", b"7", b"{", b"\xff\xfe"] {
            assert_eq!(DeliveryCodec.decode(&garbage.to_vec()), Ok(Delivery(None)));
        }
    }
}
