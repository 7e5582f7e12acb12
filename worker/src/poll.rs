//! When the worker looks into its Redis list: at once when the bell rings, else at a slow tick.
//!
//! apalis's own interval strategy makes a new timer without polling it when the
//! timer fires in the same poll in which the fetch finds nothing: no waker is left
//! and the worker sleeps until its heartbeat (up to 30 s, measured). This one
//! re-arms and polls again until every source holds the current waker.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use apalis_core::backend::ext::poll_strategy::{PollSnapshot, PollStrategy};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, Sleep, sleep};

/// Rung when something was put into a queue.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Wakes who waits; where nobody waits yet, the next one does not wait.
    pub fn ring(&self) {
        self.0.notify_one();
    }
}

/// The first look after a ring is at once; a second one follows so soon.
const ECHO: Duration = Duration::from_millis(5);

/// Each further look is so much later than the one before, up to the slow tick.
const FADE: u32 = 4;

/// The strategy: bell, echoes, slow tick.
///
/// A ring that arrives while a fetch is already under way is used up by the poll
/// that finds that fetch pending, and the fetch may have read the list before the
/// push. apalis does not tell a strategy which it was; the echoes look again, so
/// that such a push is found after some milliseconds and not at the slow tick.
pub struct BellOrTick {
    bell: Bell,
    rung: Pin<Box<OwnedNotified>>,
    tick: Duration,
    wait: Duration,
    timer: Pin<Box<Sleep>>,
}

impl BellOrTick {
    pub fn new(bell: Bell, tick: Duration) -> Self {
        let rung = Box::pin(bell.0.clone().notified_owned());
        Self { bell, rung, tick, wait: ECHO.min(tick), timer: Box::pin(sleep(ECHO.min(tick))) }
    }

    /// Arms the timer `wait` from now.
    fn arm(&mut self, wait: Duration) {
        self.wait = wait.min(self.tick);
        let at = Instant::now() + self.wait;
        self.timer.as_mut().reset(at);
    }
}

impl PollStrategy for BellOrTick {
    fn poll_drive(&mut self, cx: &mut Context<'_>, _snapshot: &PollSnapshot) -> Poll<Option<()>> {
        let mut woken = false;
        while self.rung.as_mut().poll(cx).is_ready() {
            woken = true;
            self.rung.set(self.bell.0.clone().notified_owned());
            self.arm(ECHO);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            woken = true;
            self.arm(self.wait * FADE);
        }
        // Both sources hold this waker now, whatever is returned.
        if woken { Poll::Ready(Some(())) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::future::poll_fn;

    use super::*;

    const TICK: Duration = Duration::from_secs(4);

    /// What apalis does with a strategy: each poll drives it, then starts a fetch or polls the one under way.
    async fn pick_up_all(mut strategy: BellOrTick, arrivals: &[Duration], fetch: Duration) -> Duration {
        let start = Instant::now();
        let mut waiting: BTreeSet<(Duration, usize)> = arrivals.iter().copied().zip(0..).collect();
        let mut under_way: Option<(Pin<Box<Sleep>>, Duration)> = None;
        let mut slowest = Duration::ZERO;
        poll_fn(|cx| {
            let _ = strategy.poll_drive(cx, &PollSnapshot::default());
            loop {
                // The list is read half-way between the question and the answer.
                let (answer, read_at) =
                    under_way.get_or_insert_with(|| (Box::pin(sleep(fetch)), start.elapsed() + fetch / 2));
                if answer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                let read_at = *read_at;
                under_way = None;
                let found: Vec<_> = waiting.iter().copied().take_while(|(at, _)| *at <= read_at).collect();
                for item in &found {
                    slowest = slowest.max(start.elapsed().saturating_sub(item.0));
                    waiting.remove(item);
                }
                if waiting.is_empty() {
                    return Poll::Ready(());
                }
                if found.is_empty() {
                    return Poll::Pending;
                }
            }
        })
        .await;
        slowest
    }

    async fn slowest_pickup(
        arrivals: Vec<Duration>,
        fetch: Duration,
        tick: Duration,
        ring: bool,
    ) -> Duration {
        let bell = Bell::default();
        let strategy = BellOrTick::new(bell.clone(), tick);
        let times = arrivals.clone();
        let start = Instant::now();
        let pushes = async move {
            for at in times {
                tokio::time::sleep_until(start + at).await;
                if ring {
                    bell.ring();
                }
            }
        };
        let ((), slowest) = tokio::join!(pushes, pick_up_all(strategy, &arrivals, fetch));
        slowest
    }

    #[tokio::test]
    async fn without_a_bell_the_tick_finds_everything() {
        let arrivals = (0..20).map(|n| Duration::from_millis(n * 17)).collect();
        let tick = Duration::from_millis(50);
        let slowest = slowest_pickup(arrivals, Duration::from_millis(1), tick, false).await;
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    }

    /// Real time, since what is looked for is a sleep of a whole tick: that is far from any delay of a busy machine.
    #[tokio::test]
    async fn no_ring_is_lost_whenever_it_comes() {
        let mut random = fastrand::Rng::with_seed(5);
        let runs = (0..500).map(|_| {
            let mut arrivals: Vec<_> =
                (0..20).map(|_| Duration::from_micros(random.u64(..400_000))).collect();
            arrivals.sort_unstable();
            slowest_pickup(arrivals, Duration::from_micros(random.u64(1_000..4_000)), TICK, true)
        });
        let slowest = futures_util::future::join_all(runs).await.into_iter().max().expect("there were runs");
        assert!(slowest < TICK / 4, "a ring was heard after {slowest:?}");
    }
}
