//! The embedded S3 endpoint: s3s over a folder, path style, one pair of keys
//! whose signatures are really checked.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::BUCKET;
use crate::layout::{Facts, make_dir};
use crate::ports::Ports;

/// Serves the folder until `stop` is cancelled and returns the endpoint's URL.
pub(crate) fn start(
    folder: &Path,
    facts: &Facts,
    ports: &mut Ports,
    stop: &CancellationToken,
) -> Result<String> {
    make_dir(folder, 0o700)?;
    // s3s-fs takes every folder for a bucket.
    make_dir(&folder.join(BUCKET), 0o700)?;
    let files = FileSystem::new(folder).map_err(|error| anyhow!("the S3 folder: {error:?}"))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(
        facts.s3_access_key_id.clone(),
        facts.s3_secret_access_key.clone(),
    ));
    let (port, listener) = ports.listen("s3")?;
    let listener = TcpListener::from_std(listener).context("the S3 port")?;
    tokio::spawn(serve(listener, builder.build(), stop.clone()));
    Ok(format!("http://127.0.0.1:{port}"))
}

async fn serve(listener: TcpListener, service: S3Service, stop: CancellationToken) {
    let http = Arc::new(Builder::new(TokioExecutor::new()));
    loop {
        let connection = tokio::select! {
            () = stop.cancelled() => return,
            connection = listener.accept() => connection,
        };
        if let Ok((socket, _)) = connection {
            let _ = socket.set_nodelay(true);
            let (http, service, stop) = (Arc::clone(&http), service.clone(), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    // A client that breaks off is no failure of ours.
                    _ = http.serve_connection(TokioIo::new(socket), service) => {}
                }
            });
        }
    }
}
