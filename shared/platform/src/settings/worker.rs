//! Setting types of workers: the table of periodic tasks, and the concurrency of queues.

use std::num::NonZeroUsize;
use std::str::FromStr;

use plinth_domain::closed_set::UnknownName;
use plinth_domain::job::Queue;
use plinth_domain::periodic::Schedule;

use super::value::{List, Value, parse_list, show_list};

impl Value for Schedule {
    const KIND: &'static str = "list of name=cron";
    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|error: plinth_domain::periodic::ScheduleError| error.to_string())
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

/// The maximum number of jobs of one queue that run at once, written like `files=2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueConcurrency {
    pub queue: Queue,
    pub jobs: NonZeroUsize,
}

impl FromStr for QueueConcurrency {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (queue, jobs) = text
            .split_once('=')
            .ok_or("expected a queue and a number, like files=2")?;
        let queue = queue
            .trim()
            .parse()
            .map_err(|error: UnknownName| error.to_string())?;
        let jobs = jobs
            .trim()
            .parse()
            .map_err(|_| "expected a whole number of at least 1".to_owned())?;
        Ok(Self { queue, jobs })
    }
}

impl Value for QueueConcurrency {
    const KIND: &'static str = "queue=number";
    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }
    fn show(&self) -> String {
        format!("{}={}", self.queue, self.jobs)
    }
}

impl List<QueueConcurrency> {
    /// Creates a list, unless a queue appears more than once.
    pub fn from_items(items: Vec<QueueConcurrency>) -> Result<Self, String> {
        let list = Self(items);
        let duplicate = list.0.iter().enumerate().find(|(index, item)| {
            list.0[..*index]
                .iter()
                .any(|other| other.queue == item.queue)
        });
        match duplicate {
            Some((_, item)) => Err(format!("{} is listed more than once", item.queue)),
            None => Ok(list),
        }
    }
}

impl Value for List<QueueConcurrency> {
    const KIND: &'static str = "list of queue=number";
    fn parse(text: &str) -> Result<Self, String> {
        Self::from_items(parse_list(text)?.0)
    }
    fn show(&self) -> String {
        show_list(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Concurrencies = List<QueueConcurrency>;

    #[test]
    fn concurrency_is_set_per_queue() {
        let concurrencies = Concurrencies::parse("files=2, email = 16").expect("a valid list");
        assert_eq!(concurrencies.show(), "files=2,email=16");
        assert_eq!(Concurrencies::parse("").expect("a valid list").0, []);
    }

    #[test]
    fn an_unknown_queue_zero_and_a_duplicate_queue_are_rejected() {
        for text in [
            "pigeons=2",
            "files=0",
            "files=many",
            "files",
            "files=-1",
            "2",
            "files=2,files=3",
        ] {
            assert!(Concurrencies::parse(text).is_err(), "{text:?}");
        }
    }
}
