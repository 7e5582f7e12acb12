//! An upload of a few MiB by tus, whose first request breaks off in its middle.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;

use crate::door::{Door, FileView, Tokens, until};
use crate::random;
use crate::smoke::report::{Report, Step};

/// More than one part of the store's: what breaks off is kept as a tail, and becomes the beginning of a part.
const SIZE: usize = (9 << 20) + 7;

/// What was sent, and what came of it.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) bytes: Bytes,
    pub(super) file: FileView,
}

impl Sent {
    /// Fails unless these bytes hash to what was sent.
    pub(super) fn equals(&self, bytes: &[u8]) -> Result<()> {
        let same = digest(&SHA256, bytes).as_ref() == digest(&SHA256, &self.bytes).as_ref();
        ensure!(
            same,
            "its SHA-256 is another one ({} of {} bytes)",
            bytes.len(),
            self.bytes.len()
        );
        Ok(())
    }
}

pub(super) async fn walk(door: &Door, tokens: &Step<Tokens>, report: &mut Report) -> Step<Sent> {
    let begun = report
        .step("begin a resumable upload", tokens.done(), async |tokens| {
            // Random, so that it is new to every account.
            let bytes = Bytes::from(random::bytes(SIZE)?);
            let upload = door.begin_upload(SIZE, &tokens.access_token).await?;
            Ok((upload, bytes))
        })
        .await;
    let broken = report
        .step(
            "break it off halfway",
            tokens.and(&begun),
            async |(tokens, (upload, bytes))| {
                let half = bytes.slice(..SIZE / 2);
                door.break_upload(upload, SIZE, &half, &tokens.access_token)
                    .await?;
                arrived(door, upload, &tokens.access_token).await
            },
        )
        .await;
    let needed = match (tokens.and(&begun), broken.done()) {
        (Step::Done((tokens, begun)), Step::Done(offset)) => Step::Done((tokens, begun, offset)),
        (Step::Failed(name), _) | (_, Step::Failed(name)) => Step::Failed(name),
    };
    report
        .step(
            "go on from where it broke",
            needed,
            async |(tokens, (upload, bytes), &offset)| {
                let rest = bytes.slice(offset..);
                let id = door
                    .finish_upload(upload, offset, rest, &tokens.access_token)
                    .await?;
                let file = door.file(&id, &tokens.access_token).await?;
                ensure!(
                    usize::try_from(file.size) == Ok(SIZE),
                    "{} of {SIZE} bytes arrived",
                    file.size
                );
                Ok(Sent {
                    bytes: bytes.clone(),
                    file,
                })
            },
        )
        .await
}

/// How far an upload came that broke off; the API may learn of that a moment later.
async fn arrived(door: &Door, upload: &str, access_token: &str) -> Result<usize> {
    let limit = Duration::from_secs(10);
    let offset = until(
        limit,
        Duration::from_millis(20),
        "nothing of it arrived",
        async || {
            let offset = door.upload_offset(upload, access_token).await?;
            Ok((offset > 0).then_some(offset))
        },
    );
    let offset = offset.await.context("asking how far it came")?;
    ensure!(
        offset <= SIZE / 2,
        "{offset} bytes arrived of the {} that were sent",
        SIZE / 2
    );
    Ok(offset)
}
