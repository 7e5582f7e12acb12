//! The activity of a connection, from which its deadlines follow.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Version;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ServerLimits;

/// Idle timeout while clients wait for a connection.
const IDLE_AT_LIMIT: Duration = Duration::from_secs(1);

/// Limit for a request head while clients wait for a connection.
const HEAD_AT_LIMIT: Duration = Duration::from_secs(3);

/// How long a closing connection without requests may stay open.
const CLOSE_GRACE: Duration = Duration::from_secs(5);

/// The activity of one connection, shared by the connection, its stream and its response bodies.
#[derive(Clone)]
pub(super) struct Activity(Arc<Mutex<State>>);

struct State {
    /// Number of requests whose responses have not ended.
    in_flight: usize,
    /// Time since which no request is in flight.
    idle_since: Instant,
    /// HTTP/2 sends frames between requests, so a byte that arrives does not mean that a head
    /// begins.
    is_http2: bool,
    /// Time of the first byte of the next request's head.
    head_since: Option<Instant>,
    /// Time since which the client accepts no bytes.
    blocked_since: Option<Instant>,
    /// Response bodies that produced bytes and were not polled again: since when, and the token
    /// that resets their stream.
    unread: HashMap<u64, (Instant, Option<CancellationToken>)>,
    last_body: u64,
    closing_since: Option<Instant>,
}

/// The next step for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeadlineAction {
    /// Check again at this time.
    Wait(Instant),
    /// Stop accepting requests.
    Close,
    /// End the connection at once, for this reason.
    Abort(&'static str),
}

/// A request in flight, until dropped.
pub(super) struct InFlight {
    activity: Activity,
    body: u64,
    /// Resets the request's HTTP/2 stream.
    reset: Option<CancellationToken>,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            in_flight: 0,
            idle_since: Instant::now(),
            is_http2: false,
            head_since: None,
            blocked_since: None,
            unread: HashMap::new(),
            last_body: 0,
            closing_since: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that bytes arrived.
    pub(super) fn record_read(&self) {
        let mut state = self.state();
        if state.in_flight == 0 && state.head_since.is_none() && !state.is_http2 {
            state.head_since = Some(Instant::now());
        }
    }

    /// Records whether the client accepts bytes.
    pub(super) fn record_write(&self, is_blocked: bool) {
        let mut state = self.state();
        if !is_blocked {
            state.blocked_since = None;
        } else if state.blocked_since.is_none() {
            state.blocked_since = Some(Instant::now());
        }
    }

    /// Records that the head of a request is complete.
    pub(super) fn begin_request(&self, version: Version) -> InFlight {
        let mut state = self.state();
        state.is_http2 = version == Version::HTTP_2;
        state.in_flight += 1;
        state.head_since = None;
        state.last_body += 1;
        InFlight {
            activity: self.clone(),
            body: state.last_body,
            reset: None,
        }
    }

    /// Records that the connection stops accepting requests.
    pub(super) fn close(&self) {
        self.state().closing_since.get_or_insert_with(Instant::now);
    }

    /// Returns the next step at time `now`. `is_full` means that clients wait for a connection.
    /// Resets each HTTP/2 stream whose client accepts no bytes, whatever happens on the others.
    pub(super) fn next_action(
        &self,
        limits: &ServerLimits,
        is_full: bool,
        now: Instant,
    ) -> DeadlineAction {
        let state = self.state();
        let mut unread = None;
        for (since, reset) in state.unread.values() {
            match reset {
                Some(reset) if *since + limits.stall <= now => reset.cancel(),
                Some(_) => {}
                None => unread = Some(*since),
            }
        }
        let mut deadlines = vec![
            (
                state.blocked_since.map(|since| since + limits.stall),
                DeadlineAction::Abort("the client accepts no bytes"),
            ),
            (
                unread.map(|since| since + limits.stall),
                DeadlineAction::Abort("the client accepts no bytes"),
            ),
        ];
        if state.in_flight == 0 {
            let at_limit =
                |limit: Duration, bound: Duration| if is_full { limit.min(bound) } else { limit };
            let (idle, head) = (
                at_limit(limits.idle, IDLE_AT_LIMIT),
                at_limit(limits.head, HEAD_AT_LIMIT),
            );
            let closing = state
                .closing_since
                .map(|since| since.max(state.idle_since) + CLOSE_GRACE);
            deadlines.extend([
                (
                    state.head_since.map(|since| since + head),
                    DeadlineAction::Abort("request head timed out"),
                ),
                (closing, DeadlineAction::Abort("close timed out")),
            ]);
            if closing.is_none() && state.head_since.is_none() {
                deadlines.push((Some(state.idle_since + idle), DeadlineAction::Close));
            }
        }
        let due = |(deadline, action): &(Option<Instant>, DeadlineAction)| {
            deadline
                .filter(|deadline| *deadline <= now)
                .map(|_| *action)
        };
        if let Some(action) = deadlines.iter().find_map(due) {
            return action;
        }
        // An event in the meantime may start a deadline that is earlier than these.
        let poll_interval = limits
            .head
            .min(limits.stall)
            .min(limits.idle)
            .min(CLOSE_GRACE)
            / 4;
        let next = deadlines.iter().filter_map(|(deadline, _)| *deadline).min();
        DeadlineAction::Wait(next.map_or(now + poll_interval, |next| next.min(now + poll_interval)))
    }
}

impl InFlight {
    /// Sets the token that resets the response's stream if the client accepts none of its bytes.
    /// Without a token the whole connection ends.
    pub(super) fn reset_by(&mut self, reset: Option<CancellationToken>) {
        self.reset = reset;
    }

    /// Records that the response body was polled.
    pub(super) fn record_poll(&self) {
        self.activity.state().unread.remove(&self.body);
    }

    /// Records that the response body produced bytes. The client must accept them before the next
    /// poll.
    pub(super) fn record_frame(&self) {
        self.activity
            .state()
            .unread
            .insert(self.body, (Instant::now(), self.reset.clone()));
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.unread.remove(&self.body);
        state.in_flight -= 1;
        if state.in_flight == 0 {
            state.idle_since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ServerLimits = ServerLimits {
        connections: 1,
        head: Duration::from_secs(15),
        idle: Duration::from_secs(75),
        stall: Duration::from_secs(20),
        drain: Duration::from_secs(10),
    };

    fn action_after(activity: &Activity, seconds: u64) -> DeadlineAction {
        activity.next_action(
            &LIMITS,
            false,
            Instant::now() + Duration::from_secs(seconds),
        )
    }

    #[test]
    fn an_idle_connection_and_an_unfinished_head_have_deadlines() {
        let activity = Activity::new();
        assert!(matches!(
            action_after(&activity, 70),
            DeadlineAction::Wait(_)
        ));
        assert_eq!(action_after(&activity, 76), DeadlineAction::Close);
        let later = Instant::now() + Duration::from_secs(2);
        assert_eq!(
            activity.next_action(&LIMITS, true, later),
            DeadlineAction::Close,
            "other clients wait for a connection"
        );
        activity.record_read();
        assert!(matches!(
            action_after(&activity, 14),
            DeadlineAction::Wait(_)
        ));
        let later = Instant::now() + Duration::from_secs(4);
        assert_eq!(
            activity.next_action(&LIMITS, true, later),
            DeadlineAction::Abort("request head timed out")
        );
        assert_eq!(
            action_after(&activity, 16),
            DeadlineAction::Abort("request head timed out")
        );
        let request = activity.begin_request(Version::HTTP_11);
        assert!(
            matches!(action_after(&activity, 1_000), DeadlineAction::Wait(_)),
            "a running operation has its own deadline"
        );
        drop(request);
        assert_eq!(action_after(&activity, 76), DeadlineAction::Close);
    }

    #[test]
    fn a_client_that_accepts_no_bytes_loses_its_connection() {
        let activity = Activity::new();
        let request = activity.begin_request(Version::HTTP_11);
        request.record_frame();
        assert!(matches!(
            action_after(&activity, 19),
            DeadlineAction::Wait(_)
        ));
        assert_eq!(
            action_after(&activity, 21),
            DeadlineAction::Abort("the client accepts no bytes")
        );
        request.record_poll();
        assert!(
            matches!(action_after(&activity, 1_000), DeadlineAction::Wait(_)),
            "an event may come late"
        );
        activity.record_write(true);
        assert_eq!(
            action_after(&activity, 21),
            DeadlineAction::Abort("the client accepts no bytes")
        );
        activity.record_write(false);
        assert!(matches!(
            action_after(&activity, 1_000),
            DeadlineAction::Wait(_)
        ));
    }

    #[test]
    fn an_unread_stream_is_reset_whatever_happens_on_other_streams() {
        let activity = Activity::new();
        let tokens = [(); 2].map(|()| CancellationToken::new());
        let streams = tokens.clone().map(|token| {
            let mut stream = activity.begin_request(Version::HTTP_2);
            stream.reset_by(Some(token));
            stream.record_frame();
            stream
        });
        streams[1].record_poll();
        assert!(matches!(
            action_after(&activity, 19),
            DeadlineAction::Wait(_)
        ));
        assert_eq!(
            tokens.each_ref().map(CancellationToken::is_cancelled),
            [false, false]
        );
        assert!(matches!(
            action_after(&activity, 21),
            DeadlineAction::Wait(_)
        ));
        assert_eq!(
            tokens.each_ref().map(CancellationToken::is_cancelled),
            [true, false]
        );
        drop(streams);
        assert_eq!(action_after(&activity, 76), DeadlineAction::Close);
    }

    #[test]
    fn a_closing_connection_ends_after_a_grace_period() {
        let activity = Activity::new();
        let request = activity.begin_request(Version::HTTP_11);
        activity.close();
        assert!(matches!(
            action_after(&activity, 1_000),
            DeadlineAction::Wait(_)
        ));
        drop(request);
        assert!(matches!(
            action_after(&activity, 4),
            DeadlineAction::Wait(_)
        ));
        assert_eq!(
            action_after(&activity, 6),
            DeadlineAction::Abort("close timed out")
        );
    }
}
