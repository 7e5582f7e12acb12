//! The steps of a clean-up: so much in one statement, then whoever waits has a turn.
//!
//! A row that cannot be removed does not keep those behind it: its statement is repeated for fewer rows until it is known
//! which one it is, and that one is passed over.

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Error, Result};

/// Rows removed in one statement, where a kind does not say another number.
pub(crate) const BATCH: i64 = 1_000;

/// Items that a batch passes over before it is given up.
const MAX_PASSED_OVER: u64 = 100;

/// By so much fewer rows a statement has that failed.
const NARROWING: i64 = 10;

/// Every batch divided by this is one row.
const ONE_ROW: i64 = 10_000;

/// What is done with what is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    Remove(Slice),
    /// Nothing is changed.
    Count,
}

/// Which of the rows that are over a step removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slice {
    divisor: i64,
    skip: i64,
}

impl Default for Slice {
    fn default() -> Self {
        Self {
            divisor: 1,
            skip: 0,
        }
    }
}

impl Slice {
    /// How many rows a statement has, of a kind that removes `batch` at once.
    pub(crate) fn limit(self, batch: i64) -> i64 {
        (batch / self.divisor).max(1)
    }

    /// How many of the first rows cannot be removed and are passed over.
    pub(crate) fn skip(self) -> i64 {
        self.skip
    }

    fn is_one_row(self) -> bool {
        self.divisor >= ONE_ROW
    }
}

/// What came of a step.
#[derive(Debug)]
pub(crate) struct Batch {
    rows: u64,
    /// Where the next step begins; `None` when there is none.
    next: Option<Uuid>,
    passed_over: PassedOver,
    /// Rows that were passed over and that the next step would find first again.
    stay_first: u64,
    held_back: Option<&'static str>,
}

/// Rows that could not be removed, and why the last of them could not.
#[derive(Debug, Default)]
pub(crate) struct PassedOver {
    pub(crate) rows: u64,
    pub(crate) last_error: Option<Error>,
}

impl PassedOver {
    /// Notes an item that failed. An outage is no fault of the item: it ends the step.
    pub(crate) fn note(&mut self, item: impl std::fmt::Display, error: Error) -> Result<()> {
        if !error.is_outage() {
            tracing::error!(%item, error = plinth_platform::error_chain::format_error_chain(&error), "an item of a batch is passed over");
        }
        self.count(error)
    }

    /// Counts an item that failed, as [`PassedOver::note`] does, without a line in the log.
    pub(crate) fn count(&mut self, error: Error) -> Result<()> {
        if error.is_outage() {
            return Err(error);
        }
        self.rows += 1;
        self.last_error = Some(error);
        Ok(())
    }

    pub(crate) fn add(&mut self, others: Self) {
        self.rows += others.rows;
        self.last_error = others.last_error.or(self.last_error.take());
    }

    /// Gives the rest up once so many items failed that it is not the items.
    pub(crate) fn check(&mut self) -> Result<()> {
        if self.rows > MAX_PASSED_OVER
            && let Some(error) = self.last_error.take()
        {
            return Err(error);
        }
        Ok(())
    }
}

/// What came of a walk along items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub done: u64,
    /// Items that failed and were passed over; the log says why.
    pub passed_over: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, items: usize, passed_over: &PassedOver) {
        self.done += items as u64 - passed_over.rows;
        self.passed_over += passed_over.rows;
    }
}

/// Does something for all items at once. If that fails, it is done for each by itself, and those that fail are passed over.
pub(crate) async fn all_or_each<T, F>(items: &[T], run: impl Fn(Vec<T>) -> F) -> Result<PassedOver>
where
    T: Copy + std::fmt::Display,
    F: Future<Output = Result<()>>,
{
    let mut passed_over = PassedOver::default();
    match run(items.to_vec()).await {
        Ok(()) => return Ok(passed_over),
        Err(error) if error.is_outage() => return Err(error),
        Err(error) => tracing::warn!(%error, "a batch failed; its items are done one by one"),
    }
    for item in items {
        if let Err(error) = run(vec![*item]).await {
            passed_over.note(item, error)?;
        }
    }
    Ok(passed_over)
}

impl Batch {
    /// The whole of it.
    pub(crate) fn whole(rows: i64) -> Self {
        Self::done(rows.unsigned_abs(), None)
    }

    /// Of at most `limit` rows at once: where there were so many, there may be more.
    pub(crate) fn of(rows: u64, limit: i64) -> Self {
        let next = (rows >= limit.unsigned_abs()).then_some(Uuid::nil());
        Self::done(rows, next)
    }

    /// A step of a walk along ids.
    pub(crate) fn step(rows: i64, next: Option<Uuid>) -> Self {
        Self::done(rows.unsigned_abs(), next)
    }

    /// A step of a walk along ids whose items are removed one by one: the next step is behind those that failed.
    pub(crate) fn walk(rows: i64, next: Option<Uuid>, passed_over: PassedOver) -> Self {
        Self {
            passed_over,
            ..Self::step(rows, next)
        }
    }

    fn done(rows: u64, next: Option<Uuid>) -> Self {
        Self {
            rows,
            next,
            passed_over: PassedOver::default(),
            stay_first: 0,
            held_back: None,
        }
    }

    /// Nothing may be removed, for this reason; a later clean-up goes on.
    pub(crate) fn held_back(reason: &'static str) -> Self {
        Self {
            held_back: Some(reason),
            ..Self::done(0, None)
        }
    }

    /// Of items that are removed one by one: those that failed are not counted, and the next step would find them again.
    pub(crate) fn of_items(found: usize, limit: i64, passed_over: PassedOver) -> Self {
        Self {
            stay_first: passed_over.rows,
            ..Self::of_claimed(found, limit, passed_over)
        }
    }

    /// Of items that no other step finds again for a while, whatever became of them.
    pub(crate) fn of_claimed(found: usize, limit: i64, passed_over: PassedOver) -> Self {
        let found = found as u64;
        Self {
            rows: found - passed_over.rows,
            passed_over,
            ..Self::of(found, limit)
        }
    }

    /// How many it was.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether no other step follows.
    pub(crate) fn is_last(&self) -> bool {
        self.next.is_none()
    }

    pub(crate) fn into_passed_over(self) -> PassedOver {
        self.passed_over
    }
}

/// What came of all steps of a kind.
#[derive(Debug, Default)]
pub(super) struct Total {
    pub(super) rows: u64,
    pub(super) passed_over: PassedOver,
    /// Why nothing more may be removed.
    pub(super) held_back: Option<&'static str>,
}

/// Steps until nothing is left or somebody asks for an end; adds up what was done also where a step fails. False when
/// it was ended.
///
/// # Errors
/// A store is away, or so many rows could not be removed that it is not the rows.
pub(super) async fn in_steps<F>(
    stop: &CancellationToken,
    total: &mut Total,
    run: impl Fn(Uuid, Slice) -> F,
) -> Result<bool>
where
    F: Future<Output = Result<Batch>>,
{
    let mut next = Some(Uuid::nil());
    let mut slice = Slice::default();
    while let Some(from) = next {
        if stop.is_cancelled() {
            return Ok(false);
        }
        match run(from, slice).await {
            Ok(batch) => {
                total.rows += batch.rows;
                next = batch.next;
                // A walk that has gone on is behind what it passed over; what begins anew each time is not.
                let walked = next.is_some_and(|next| !next.is_nil());
                let skipped = i64::try_from(batch.stay_first).unwrap_or(i64::MAX);
                let skip = if walked {
                    0
                } else {
                    slice.skip.saturating_add(skipped)
                };
                slice = Slice {
                    divisor: (slice.divisor / NARROWING).max(1),
                    skip,
                };
                total.passed_over.add(batch.passed_over);
                total.held_back = batch.held_back.or(total.held_back);
            }
            Err(error) => {
                let is_too_large = error.is_of_statement() && !slice.is_one_row();
                if error.is_outage() && !is_too_large {
                    return Err(error);
                }
                if slice.is_one_row() {
                    total
                        .passed_over
                        .note(format_args!("row after {from}"), error)?;
                    slice.skip += 1;
                } else {
                    slice.divisor *= NARROWING;
                }
            }
        }
        total.passed_over.check()?;
    }
    Ok(true)
}
