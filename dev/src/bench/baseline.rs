//! What the product is measured against, each a process of its own: the least
//! that a request costs, and the most passwords that these cores can hash.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use poem::listener::TcpListener;
use poem::web::Data;
use poem::{EndpointExt as _, Route, Server, get, handler};
use redis::AsyncCommands as _;
use redis::aio::ConnectionManager;

use crate::console;

const KEY: &str = "bench:baseline";

/// A handler that does one Redis round trip and nothing else.
pub(crate) async fn serve(redis_url: &str, bind: SocketAddr) -> Result<ExitCode> {
    let client = redis::Client::open(redis_url)?;
    let mut redis = ConnectionManager::new(client)
        .await
        .context("connecting to Redis")?;
    redis.set::<_, _, ()>(KEY, "x".repeat(200)).await?;
    let app = Route::new().at("/", get(answer)).data(redis);
    Server::new(TcpListener::bind(bind)).run(app).await?;
    Ok(ExitCode::SUCCESS)
}

#[handler]
async fn answer(Data(redis): Data<&ConnectionManager>) -> poem::Result<String> {
    let value = redis.clone().get::<_, String>(KEY).await;
    value.map_err(|error| poem::Error::new(error, poem::http::StatusCode::BAD_GATEWAY))
}

/// Hashes on every core for a while and prints the hashes a second. Each thread
/// uses its memory again, as the product does.
pub(crate) fn hash(seconds: u64) -> Result<ExitCode> {
    let params = params()?;
    let threads = thread::available_parallelism()?.get();
    let hashes = AtomicU64::new(0);
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds);
    thread::scope(|scope| {
        for _ in 0..threads {
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
    console::print(&format!("{rate}"));
    Ok(ExitCode::SUCCESS)
}

/// argon2id's parameters as the product has them unless told otherwise.
fn params() -> Result<Params> {
    Params::new(19_456, 2, 1, Some(32)).map_err(|error| anyhow!("{error}"))
}

/// A hash in PHC form, as the product would keep it.
pub(super) fn hash_of(password: &str, salt: &[u8]) -> Result<String> {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params()?);
    let mut hash = [0; 32];
    argon2
        .hash_password_into(password.as_bytes(), salt, &mut hash)
        .map_err(|error| anyhow!("{error}"))?;
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    Ok(format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${hash}"))
}
