//! The steps of a clean-up: so much in one statement, then whoever waits has a turn.

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Result;

/// Rows removed in one statement, where a kind does not say another number.
pub(crate) const BATCH: i64 = 1_000;

/// What is done with what is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    Remove,
    /// Nothing is changed.
    Count,
}

/// What came of a step.
#[derive(Debug)]
pub(crate) struct Batch {
    rows: u64,
    /// Where the next step begins; `None` when there is none.
    next: Option<Uuid>,
}

impl Batch {
    /// The whole of it.
    pub(crate) fn whole(rows: i64) -> Self {
        Self { rows: rows.unsigned_abs(), next: None }
    }

    /// Of at most `limit` rows at once: where there were so many, there may be more.
    pub(crate) fn of(rows: u64, limit: i64) -> Self {
        Self { rows, next: (rows >= limit.unsigned_abs()).then_some(Uuid::nil()) }
    }

    /// How many it was.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether no other step follows.
    pub(crate) fn is_last(&self) -> bool {
        self.next.is_none()
    }

    /// A step of a walk along ids.
    pub(crate) fn step(rows: i64, next: Option<Uuid>) -> Self {
        Self { rows: rows.unsigned_abs(), next }
    }
}

/// Steps until nothing is left or somebody asks for an end; adds up what was done also where a step fails. False when
/// it was ended.
pub(super) async fn in_steps<F>(
    stop: &CancellationToken,
    total: &mut u64,
    run: impl Fn(Uuid) -> F,
) -> Result<bool>
where
    F: Future<Output = Result<Batch>>,
{
    let mut next = Some(Uuid::nil());
    while let Some(from) = next {
        if stop.is_cancelled() {
            return Ok(false);
        }
        let batch = run(from).await?;
        *total += batch.rows;
        next = batch.next;
    }
    Ok(true)
}
