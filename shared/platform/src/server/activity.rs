//! What happens on a connection, as its deadlines need it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use poem::http::Version;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ServerLimits;

/// At the limit of connections those on which nothing happens are closed after this time.
const IDLE_AT_LIMIT: Duration = Duration::from_secs(1);

/// At the limit of connections a head has to end within this time.
const HEAD_AT_LIMIT: Duration = Duration::from_secs(3);

/// A connection that is to end and has no request under way ends after this time.
const CLOSE_GRACE: Duration = Duration::from_secs(5);

/// Shared by a connection, its stream and the bodies of its answers.
#[derive(Clone)]
pub(super) struct Activity(Arc<Mutex<State>>);

struct State {
    /// Requests whose answers have not ended.
    in_flight: usize,
    /// Since when no request is under way.
    idle_since: Instant,
    /// Frames that come between its requests are not the beginning of one.
    is_http2: bool,
    /// The first byte since then.
    head_since: Option<Instant>,
    /// The client takes no more bytes.
    blocked_since: Option<Instant>,
    /// Bodies that gave bytes and were not asked for more, since when, and what ends their streams.
    unread: HashMap<u64, (Instant, Option<CancellationToken>)>,
    last_body: u64,
    closing_since: Option<Instant>,
}

/// What is to be done about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again then.
    Wait(Instant),
    /// No new request is taken.
    Close,
    /// It ends at once.
    Abort(&'static str),
}

/// A request under way, until it is dropped.
pub(super) struct InFlight {
    activity: Activity,
    body: u64,
    /// Ends its stream of HTTP/2.
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

    /// Bytes came.
    pub(super) fn received(&self) {
        let mut state = self.state();
        if state.in_flight == 0 && state.head_since.is_none() && !state.is_http2 {
            state.head_since = Some(Instant::now());
        }
    }

    /// The client takes bytes, or does not.
    pub(super) fn wrote(&self, is_blocked: bool) {
        let mut state = self.state();
        if !is_blocked {
            state.blocked_since = None;
        } else if state.blocked_since.is_none() {
            state.blocked_since = Some(Instant::now());
        }
    }

    /// The head of a request is whole.
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

    /// No new request is taken any more.
    pub(super) fn close(&self) {
        self.state().closing_since.get_or_insert_with(Instant::now);
    }

    /// What is to be done now; `is_full` if others wait for a connection. Resets the streams of HTTP/2 of which the client
    /// takes no bytes, whatever it does with the others.
    pub(super) fn judge(&self, limits: &ServerLimits, is_full: bool, now: Instant) -> Verdict {
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
                Verdict::Abort("the client takes no bytes"),
            ),
            (
                unread.map(|since| since + limits.stall),
                Verdict::Abort("the client takes no bytes"),
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
                    Verdict::Abort("the head did not end"),
                ),
                (closing, Verdict::Abort("it did not close")),
            ]);
            if closing.is_none() && state.head_since.is_none() {
                deadlines.push((Some(state.idle_since + idle), Verdict::Close));
            }
        }
        let due = |(deadline, verdict): &(Option<Instant>, Verdict)| {
            deadline
                .filter(|deadline| *deadline <= now)
                .map(|_| *verdict)
        };
        if let Some(verdict) = deadlines.iter().find_map(due) {
            return verdict;
        }
        // A deadline may come up meanwhile that is earlier than those there are.
        let shortest = limits
            .head
            .min(limits.stall)
            .min(limits.idle)
            .min(CLOSE_GRACE)
            / 4;
        let next = deadlines.iter().filter_map(|(deadline, _)| *deadline).min();
        Verdict::Wait(next.map_or(now + shortest, |next| next.min(now + shortest)))
    }
}

impl InFlight {
    /// What resets the stream of the answer if the client takes none of its bytes; without it the connection ends.
    pub(super) fn reset_by(&mut self, reset: Option<CancellationToken>) {
        self.reset = reset;
    }

    /// The body was asked for bytes.
    pub(super) fn asked(&self) {
        self.activity.state().unread.remove(&self.body);
    }

    /// The body gave bytes, which are to be taken before it is asked again.
    pub(super) fn gave(&self) {
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

    fn judged(activity: &Activity, seconds: u64) -> Verdict {
        activity.judge(
            &LIMITS,
            false,
            Instant::now() + Duration::from_secs(seconds),
        )
    }

    #[test]
    fn a_connection_may_be_idle_but_a_head_must_end() {
        let activity = Activity::new();
        assert!(matches!(judged(&activity, 70), Verdict::Wait(_)));
        assert_eq!(judged(&activity, 76), Verdict::Close);
        let later = Instant::now() + Duration::from_secs(2);
        assert_eq!(
            activity.judge(&LIMITS, true, later),
            Verdict::Close,
            "others wait for it"
        );
        activity.received();
        assert!(matches!(judged(&activity, 14), Verdict::Wait(_)));
        let later = Instant::now() + Duration::from_secs(4);
        assert_eq!(
            activity.judge(&LIMITS, true, later),
            Verdict::Abort("the head did not end")
        );
        assert_eq!(
            judged(&activity, 16),
            Verdict::Abort("the head did not end")
        );
        let request = activity.begin_request(Version::HTTP_11);
        assert!(
            matches!(judged(&activity, 1_000), Verdict::Wait(_)),
            "an operation has its own deadline"
        );
        drop(request);
        assert_eq!(judged(&activity, 76), Verdict::Close);
    }

    #[test]
    fn a_client_takes_bytes_or_loses_its_connection() {
        let activity = Activity::new();
        let request = activity.begin_request(Version::HTTP_11);
        request.gave();
        assert!(matches!(judged(&activity, 19), Verdict::Wait(_)));
        assert_eq!(
            judged(&activity, 21),
            Verdict::Abort("the client takes no bytes")
        );
        request.asked();
        assert!(
            matches!(judged(&activity, 1_000), Verdict::Wait(_)),
            "an event may come late"
        );
        activity.wrote(true);
        assert_eq!(
            judged(&activity, 21),
            Verdict::Abort("the client takes no bytes")
        );
        activity.wrote(false);
        assert!(matches!(judged(&activity, 1_000), Verdict::Wait(_)));
    }

    #[test]
    fn a_stream_that_is_not_read_is_reset_whatever_others_do() {
        let activity = Activity::new();
        let tokens = [(); 2].map(|()| CancellationToken::new());
        let streams = tokens.clone().map(|token| {
            let mut stream = activity.begin_request(Version::HTTP_2);
            stream.reset_by(Some(token));
            stream.gave();
            stream
        });
        streams[1].asked();
        assert!(matches!(judged(&activity, 19), Verdict::Wait(_)));
        assert_eq!(
            tokens.each_ref().map(CancellationToken::is_cancelled),
            [false, false]
        );
        assert!(matches!(judged(&activity, 21), Verdict::Wait(_)));
        assert_eq!(
            tokens.each_ref().map(CancellationToken::is_cancelled),
            [true, false]
        );
        drop(streams);
        assert_eq!(judged(&activity, 76), Verdict::Close);
    }

    #[test]
    fn a_connection_that_is_closed_has_some_seconds() {
        let activity = Activity::new();
        let request = activity.begin_request(Version::HTTP_11);
        activity.close();
        assert!(matches!(judged(&activity, 1_000), Verdict::Wait(_)));
        drop(request);
        assert!(matches!(judged(&activity, 4), Verdict::Wait(_)));
        assert_eq!(judged(&activity, 6), Verdict::Abort("it did not close"));
    }
}
