//! The embedded S3 endpoint: s3s over a folder, path style, with one pair of keys whose signatures
//! are checked.

use std::path::Path;

use anyhow::{Result, anyhow};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::BUCKET;
use crate::layout::{State, make_dir};

/// Serves a folder until `stop` is cancelled.
pub(super) fn start(
    folder: &Path,
    state: &State,
    listener: TcpListener,
    stop: &CancellationToken,
) -> Result<()> {
    make_dir(folder, 0o700)?;
    // For s3s-fs every folder is a bucket.
    make_dir(&folder.join(BUCKET), 0o700)?;
    let files = FileSystem::new(folder).map_err(|error| anyhow!("the S3 folder: {error:?}"))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(
        state.s3_access_key_id.clone(),
        state.s3_secret_access_key.clone(),
    ));
    tokio::spawn(stop.clone().run_until_cancelled_owned(serve(
        listener,
        builder.build(),
        stop.clone(),
    )));
    Ok(())
}

async fn serve(listener: TcpListener, service: S3Service, stop: CancellationToken) {
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            continue;
        };
        let _ = socket.set_nodelay(true);
        let (service, stop) = (service.clone(), stop.clone());
        tokio::spawn(async move {
            let http = Builder::new(TokioExecutor::new());
            let connection = http.serve_connection(TokioIo::new(socket), service);
            // A client that disconnects is no error.
            let _ = stop.run_until_cancelled(connection).await;
        });
    }
}
