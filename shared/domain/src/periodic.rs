//! Periodic work: which tasks there are, and the table that says when each is due.

use std::fmt;
use std::str::FromStr;

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::closed_set::UnknownName;
use crate::cron::{Cron, CronError};
use crate::job::Queue;

/// Work that is to be done again and again.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = UnknownName, parse_err_fn = unknown_task)]
pub enum PeriodicTask {
    /// Remove what is over.
    #[strum(serialize = "cleanup")]
    CleanUp,
    /// Compare S3 with PostgreSQL.
    Reconcile,
}

fn unknown_task(text: &str) -> UnknownName {
    UnknownName::new::<PeriodicTask>("a periodic task", text)
}

impl PeriodicTask {
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Where its jobs wait; whoever serves it looks at the clock.
    pub const fn queue(self) -> Queue {
        match self {
            Self::CleanUp | Self::Reconcile => Queue::Cleanup,
        }
    }
}

/// When a task is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub task: PeriodicTask,
    pub cron: Cron,
}

/// The table: at most one entry a task. What is not in it does not happen by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule(Vec<Entry>);

/// Why a text is no such table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("{0:?}: `name=cron expression` is expected, several separated by semicolons")]
    Shape(String),
    #[error(transparent)]
    UnknownTask(#[from] UnknownName),
    #[error("{0} stands there twice")]
    Twice(PeriodicTask),
    #[error("{task}: {error}")]
    Cron {
        task: PeriodicTask,
        error: CronError,
    },
}

impl Schedule {
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// The part of it whose jobs wait in these queues.
    #[must_use]
    pub fn of_queues(&self, queues: &[Queue]) -> Self {
        Self(
            self.0
                .iter()
                .filter(|entry| queues.contains(&entry.task.queue()))
                .cloned()
                .collect(),
        )
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let mut entries: Vec<Entry> = Vec::new();
        for item in text
            .split(';')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            let (name, cron) = item
                .split_once('=')
                .ok_or_else(|| ScheduleError::Shape(item.to_owned()))?;
            let task: PeriodicTask = name.trim().parse()?;
            if entries.iter().any(|entry| entry.task == task) {
                return Err(ScheduleError::Twice(task));
            }
            let cron = cron
                .parse()
                .map_err(|error| ScheduleError::Cron { task, error })?;
            entries.push(Entry { task, cron });
        }
        Ok(Self(entries))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries: Vec<_> = self
            .0
            .iter()
            .map(|entry| format!("{}={}", entry.task, entry.cron))
            .collect();
        f.write_str(&entries.join(";"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_and_shown() {
        let table: Schedule = " cleanup = 0  * * * * ; ".parse().expect("a table");
        assert_eq!(table.to_string(), "cleanup=0 * * * *");
        assert_eq!(table.entries().len(), 1);
        assert_eq!("".parse::<Schedule>(), Ok(Schedule::default()));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let refusal = |text: &str| {
            text.parse::<Schedule>()
                .expect_err("it is refused")
                .to_string()
        };
        assert!(refusal("cleanup").contains("`name=cron expression` is expected"));
        assert!(
            refusal("tidy=0 * * * *")
                .contains("\"tidy\" is not a periodic task; expected one of cleanup, reconcile")
        );
        assert!(refusal("cleanup=0 * * * *;cleanup=1 * * * *").contains("twice"));
        assert!(refusal("cleanup=61 * * * *").starts_with("cleanup: \"61\" is no minute"));
    }

    #[test]
    fn a_worker_sees_the_part_that_it_serves() {
        let table: Schedule = "cleanup=0 * * * *".parse().expect("a table");
        assert_eq!(table.of_queues(&[Queue::Cleanup, Queue::Email]), table);
        assert_eq!(table.of_queues(&[Queue::Email]), Schedule::default());
    }
}
