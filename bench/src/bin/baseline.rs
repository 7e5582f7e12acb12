//! Lower bounds that the product is measured against, each in a process of its own.
//!
//! `bench-baseline serve REDIS_URL ADDRESS` serves a handler with one Redis round trip.
//! `bench-baseline hash SECONDS` prints how many passwords these cores can hash each second.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use poem::listener::TcpListener;
use poem::web::Data;
use poem::{EndpointExt as _, Route, Server, get, handler};
use redis::AsyncCommands as _;
use redis::aio::ConnectionManager;

const KEY: &str = "bench:baseline";

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [command, redis_url, address] if command == "serve" => serve(redis_url, address).await,
        [command, seconds] if command == "hash" => hash(seconds.parse()?),
        _ => bail!("expected `serve REDIS_URL ADDRESS` or `hash SECONDS`"),
    }
}

async fn serve(redis_url: &str, address: &str) -> Result<()> {
    let client = redis::Client::open(redis_url)?;
    let mut redis = ConnectionManager::new(client)
        .await
        .context("connecting to Redis")?;
    redis.set::<_, _, ()>(KEY, "x".repeat(200)).await?;
    let app = Route::new().at("/", get(answer)).data(redis);
    let listener = TcpListener::bind(address.to_owned());
    Ok(Server::new(listener).run(app).await?)
}

#[handler]
async fn answer(Data(redis): Data<&ConnectionManager>) -> poem::Result<String> {
    let value = redis.clone().get::<_, String>(KEY).await;
    value.map_err(|error| poem::Error::new(error, poem::http::StatusCode::BAD_GATEWAY))
}

/// Hashes on every core. Each thread reuses its memory, as the product does.
fn hash(seconds: u64) -> Result<()> {
    let params = Params::new(19_456, 2, 1, Some(32)).map_err(|error| anyhow!("{error}"))?;
    let hashes = AtomicU64::new(0);
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
                let mut memory = vec![Block::default(); params.block_count()];
                let mut hash = [0; 32];
                while Instant::now() < end {
                    let outcome = argon2.hash_password_into_with_memory(
                        b"correct horse battery staple",
                        b"0123456789abcdef",
                        &mut hash,
                        &mut memory,
                    );
                    hashes.fetch_add(u64::from(outcome.is_ok()), Ordering::Relaxed);
                }
            });
        }
    });
    #[expect(clippy::cast_precision_loss, reason = "a few thousand hashes")]
    let rate = hashes.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
    Ok(writeln!(std::io::stdout(), "{rate}")?)
}
