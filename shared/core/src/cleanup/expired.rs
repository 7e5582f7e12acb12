//! Rows that are over by a time of their own, which one statement counts and one removes.

use plinth_platform::database::Transaction;
use sqlx::PgConnection;

use crate::{Result, Stores};

/// A step of a clean-up in a transaction of its own.
pub(crate) struct StepTransaction(Transaction);

impl StepTransaction {
    pub(crate) async fn begin(stores: &Stores) -> Result<Self> {
        Ok(Self(stores.db.begin().await?))
    }

    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.0
    }

    /// Commits, or rolls back if the step failed. The rollback is awaited: the next step passes over rows that are locked,
    /// and the error of a statement arrives before its locks are released.
    pub(crate) async fn end<T>(self, done: sqlx::Result<T>) -> Result<T> {
        match done {
            Ok(done) => {
                self.0.commit().await?;
                Ok(done)
            }
            Err(error) => {
                self.0.rollback().await?;
                Err(error.into())
            }
        }
    }
}

/// Defines the clean-up of a table: the columns of its key, the column with the time at which a row is over, and a further
/// condition if there is one. Both statements are checked when they are compiled.
macro_rules! expired_rows {
    ($(#[$doc:meta])* $name:ident: $table:literal, key $key:literal, over at $time:literal) => {
        $crate::cleanup::expired_rows! {
            $(#[$doc])* $name: $table, key $key, over at $time, only if "true"
        }
    };
    ($(#[$doc:meta])* $name:ident: $table:literal, key $key:literal, over at $time:literal, only if $condition:literal) => {
        $(#[$doc])*
        pub(crate) async fn $name(
            stores: &$crate::Stores,
            before: time::OffsetDateTime,
            pass: $crate::cleanup::Pass,
        ) -> $crate::Result<$crate::cleanup::Batch> {
            use $crate::cleanup::{BATCH, Batch, Pass, StepTransaction};
            let Pass::Remove(slice) = pass else {
                let query = sqlx::query_scalar!(
                    r#"SELECT count(*) AS "count!" FROM "# + $table + " WHERE " + $time + " < $1 AND " + $condition,
                    before,
                );
                let name = concat!($table, ".count_expired");
                let rows = plinth_platform::database::named(name, query.fetch_one(&stores.db)).await?;
                return Ok(Batch::whole(rows));
            };
            let limit = slice.limit(BATCH);
            let mut step = StepTransaction::begin(stores).await?;
            let query = sqlx::query!(
                "DELETE FROM " + $table + " WHERE (" + $key + ") IN (SELECT " + $key + " FROM " + $table
                    + " WHERE " + $time + " < $1 AND " + $condition
                    + " ORDER BY " + $time + ", " + $key + " LIMIT $2 OFFSET $3 FOR UPDATE SKIP LOCKED)",
                before,
                limit,
                slice.skip(),
            );
            let name = concat!($table, ".remove_expired");
            let removed = plinth_platform::database::named(name, query.execute(step.connection())).await;
            step.end(removed.map(|removed| Batch::of(removed.rows_affected(), limit))).await
        }
    };
}
pub(crate) use expired_rows;
