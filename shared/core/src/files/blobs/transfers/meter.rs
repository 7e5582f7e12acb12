//! How fast a buffer fills.

use std::time::Duration;

use tokio::time::Instant;

/// What is measured is the present window and the one before it.
pub(super) const WINDOW: Duration = Duration::from_millis(500);

/// Bytes of the last two windows.
#[derive(Debug)]
pub(super) struct Meter {
    start: Instant,
    current: u64,
    /// `None` while the first window lasts.
    previous: Option<u64>,
}

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            start: now,
            current: 0,
            previous: None,
        }
    }

    pub(super) fn add(&mut self, bytes: usize, now: Instant) {
        self.advance(now);
        self.current += bytes as u64;
    }

    /// Bytes a second; `None` if it was measured for less than a window.
    pub(super) fn rate(&mut self, now: Instant) -> Option<u64> {
        self.advance(now);
        let bytes = self.previous? + self.current;
        let measured = u64::try_from((WINDOW + now.duration_since(self.start)).as_millis()).ok()?;
        Some(bytes * 1000 / measured)
    }

    fn advance(&mut self, now: Instant) {
        let passed = now.duration_since(self.start);
        if passed < WINDOW {
            return;
        }
        if passed < 2 * WINDOW {
            self.previous = Some(std::mem::take(&mut self.current));
            self.start += WINDOW;
        } else {
            *self = Self {
                start: now,
                current: 0,
                previous: Some(0),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_long_ago_does_not_count() {
        let start = Instant::now();
        let mut meter = Meter::new(start);
        meter.add(8_000_000, start);
        assert_eq!(meter.rate(start + WINDOW / 2), None);
        assert_eq!(meter.rate(start + WINDOW), Some(16_000_000));
        meter.add(1, start + 2 * WINDOW);
        assert_eq!(meter.rate(start + 2 * WINDOW), Some(2));
        assert_eq!(meter.rate(start + 10 * WINDOW), Some(0));
    }
}
