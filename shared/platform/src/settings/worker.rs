//! What only workers are told: the table of periodic tasks, and how many jobs of a queue run at once.

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

/// So many jobs of a queue run at once, written like `files=2`.
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
            .ok_or("a queue and a number are expected, like files=2")?;
        let queue = queue
            .trim()
            .parse()
            .map_err(|error: UnknownName| error.to_string())?;
        let jobs = jobs
            .trim()
            .parse()
            .map_err(|_| "a whole number from 1 on is expected".to_owned())?;
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
    /// Each queue at most once.
    pub fn checked(items: Vec<QueueConcurrency>) -> Result<Self, String> {
        let list = Self(items);
        let twice = list.0.iter().enumerate().find(|(before, one)| {
            list.0[..*before]
                .iter()
                .any(|other| other.queue == one.queue)
        });
        match twice {
            Some((_, one)) => Err(format!("{} stands there twice", one.queue)),
            None => Ok(list),
        }
    }
}

impl Value for List<QueueConcurrency> {
    const KIND: &'static str = "list of queue=number";
    fn parse(text: &str) -> Result<Self, String> {
        Self::checked(parse_list(text)?.0)
    }
    fn show(&self) -> String {
        show_list(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Shares = List<QueueConcurrency>;

    #[test]
    fn concurrency_is_told_a_queue() {
        let shares = Shares::parse("files=2, email = 16").expect("is read");
        assert_eq!(shares.show(), "files=2,email=16");
        assert_eq!(Shares::parse("").expect("is read").0, []);
    }

    #[test]
    fn an_unknown_queue_a_zero_and_a_contradiction_are_refused() {
        for text in [
            "pigeons=2",
            "files=0",
            "files=many",
            "files",
            "files=-1",
            "2",
            "files=2,files=3",
        ] {
            assert!(Shares::parse(text).is_err(), "{text:?}");
        }
    }
}
