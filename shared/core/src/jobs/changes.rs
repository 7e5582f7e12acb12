//! "Something is new about job N": workers say it by Redis, and the API passes it on to those who watch the job.
//!
//! Nothing depends on it: what is not heard is read from the ledger a moment later.

use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use plinth_domain::id::JobId;
use plinth_platform::redis::Redis;
use redis::aio::PubSub;
use tokio::time::timeout;

use super::transport::parse_message;

/// How long Redis is left alone when it does not take a listener.
const AGAIN: Duration = Duration::from_secs(1);

/// A line without a message for so long is asked whether it still stands.
const QUIET: Duration = Duration::from_secs(30);

/// The door to what is said. Clones share it.
#[derive(Clone)]
pub struct Changes {
    redis: Redis,
}

/// What a listener hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    Changed(JobId),
    /// The line is up, perhaps again: what was said before was not heard.
    Gap,
}

impl Changes {
    pub fn new(redis: &Redis) -> Self {
        Self {
            redis: redis.clone(),
        }
    }

    fn channel(&self) -> String {
        self.redis.key("jobs:changes")
    }

    /// Says that something is new about the job. Nobody waits for it to be heard.
    pub fn tell(&self, job: JobId) {
        let (redis, channel) = (self.redis.clone(), self.channel());
        tokio::spawn(async move {
            let mut publish = redis::cmd("PUBLISH");
            publish.arg(channel).arg(job.to_string());
            if let Err(error) = redis.command::<i64>("jobs.tell", &publish).await {
                tracing::debug!(%error, "a change of a job could not be told");
            }
        });
    }

    /// All that is said from now on, for ever.
    pub(super) fn hear(&self) -> BoxStream<'static, Heard> {
        stream::unfold((self.clone(), None), |(changes, line)| async {
            let (heard, line) = changes.next(line).await;
            Some((heard, (changes, Some(line))))
        })
        .boxed()
    }

    async fn next(&self, line: Option<PubSub>) -> (Heard, PubSub) {
        if let Some(mut line) = line {
            loop {
                let heard = timeout(QUIET, line.on_message().next()).await;
                let message = match heard {
                    Ok(Some(message)) => message,
                    Err(_) if self.stands(&mut line).await => continue,
                    Ok(None) | Err(_) => break,
                };
                if let Some(job) = message
                    .get_payload::<String>()
                    .ok()
                    .as_deref()
                    .and_then(parse_message)
                {
                    return (Heard::Changed(job), line);
                }
            }
        }
        loop {
            match self.connect().await {
                Ok(line) => return (Heard::Gap, line),
                Err(error) => tracing::debug!(%error, "Redis takes no listener; it is asked again"),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Returns whether Redis answers on the line; one that has gone silent is replaced.
    async fn stands(&self, line: &mut PubSub) -> bool {
        matches!(
            timeout(self.redis.timeout(), line.ping::<redis::Value>()).await,
            Ok(Ok(_))
        )
    }

    async fn connect(&self) -> redis::RedisResult<PubSub> {
        let connecting = async {
            let mut line = self.redis.client().get_async_pubsub().await?;
            line.subscribe(self.channel()).await?;
            Ok(line)
        };
        timeout(self.redis.timeout(), connecting)
            .await
            .map_err(|_| silent())?
    }
}

fn silent() -> redis::RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}
