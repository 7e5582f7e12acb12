//! Listens to Redis for "something was pushed" and rings the queue's bell.
//!
//! A subscription that breaks is made again, with backoff, for as long as the worker
//! lives. What was published meanwhile is lost, so every bell is rung once the new
//! subscription stands: the worker looks into its lists and finds what it missed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use redis::{Client, RedisError, RedisResult};
use tokio_util::sync::CancellationToken;

use crate::backoff;
use crate::poll::Bell;

/// A connection that says nothing is asked so often whether it still lives.
const PING_EVERY: Duration = Duration::from_secs(15);

/// How long connecting, subscribing and the answer to a ping may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A subscription that stood so long was a good one: the next failure counts as the first.
const GOOD: Duration = Duration::from_secs(10);

/// The channel on which pushes into the list of `namespace` are told.
pub(crate) fn channel(namespace: &str) -> String {
    format!("tasks:{namespace}:active:available")
}

/// Rings the bell of each channel until `stop`.
pub(crate) async fn listen(client: Client, bells: HashMap<String, Bell>, stop: CancellationToken) {
    let mut failures = 0;
    loop {
        let start = Instant::now();
        let lost = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            lost = subscription(&client, &bells) => lost,
        };
        failures = if start.elapsed() > GOOD { 1 } else { failures + 1 };
        let wait = backoff::STORE.draw(failures);
        tracing::warn!(error = %lost, ?wait, "lost the subscription to Redis; pushes are found at the slow tick");
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// One subscription, until it breaks.
async fn subscription(client: &Client, bells: &HashMap<String, Bell>) -> RedisError {
    match follow(client, bells).await {
        Ok(()) => RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
        Err(error) => error,
    }
}

async fn follow(client: &Client, bells: &HashMap<String, Bell>) -> RedisResult<()> {
    let mut pubsub = within(client.get_async_pubsub()).await?;
    for channel in bells.keys() {
        within(pubsub.subscribe(channel)).await?;
    }
    for bell in bells.values() {
        bell.ring();
    }
    tracing::debug!(channels = bells.len(), "subscribed to pushes");
    let (mut sink, mut messages) = pubsub.split();
    loop {
        match tokio::time::timeout(PING_EVERY, messages.next()).await {
            Ok(Some(message)) => {
                if let Some(bell) = bells.get(message.get_channel_name()) {
                    bell.ring();
                }
            }
            Ok(None) => return Ok(()),
            Err(_) => within(sink.ping::<redis::Value>()).await.map(drop)?,
        }
    }
}

async fn within<T>(work: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    tokio::time::timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
}
