//! An upload of some MiB by tus whose first request breaks off; then its downloads, and its way
//! through the trash.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use reqwest::StatusCode;

use crate::door::{Door, FileView, until};
use crate::random;
use crate::smoke::report::{Failed, Report};

/// More than one part of the store: the interrupted rest becomes the beginning of a part.
const SIZE: usize = (9 << 20) + 7;

/// A complete upload.
#[derive(Debug)]
pub(super) struct Sent {
    bytes: Bytes,
    pub(super) file: FileView,
}

impl Sent {
    /// Fails unless the SHA-256 is that of the upload.
    pub(super) fn equals(&self, bytes: &[u8]) -> Result<()> {
        let same = digest(&SHA256, bytes).as_ref() == digest(&SHA256, &self.bytes).as_ref();
        let (got, sent) = (bytes.len(), self.bytes.len());
        ensure!(same, "its SHA-256 differs ({got} of {sent} bytes)");
        Ok(())
    }
}

pub(super) async fn steps(client: &Door, token: &str, report: &mut Report) -> Result<Sent, Failed> {
    let begin = async {
        // Random, so that no account has the content yet.
        let bytes = Bytes::from(random::bytes(SIZE)?);
        Ok((client.begin_upload(SIZE, token).await?, bytes))
    };
    let (upload, bytes) = report.step("begin a resumable upload", begin).await?;
    let interrupt = async {
        let half = bytes.slice(..SIZE / 2);
        client.break_upload(&upload, SIZE, &half, token).await?;
        arrived(client, &upload, token).await
    };
    let offset = report.step("break it off halfway", interrupt).await?;
    let resume = async {
        let rest = bytes.slice(offset..);
        let id = client.finish_upload(&upload, offset, rest, token).await?;
        let file = client.file(&id, token).await?;
        let size = usize::try_from(file.size)?;
        ensure!(size == SIZE, "{size} of {SIZE} bytes arrived");
        Ok(file)
    };
    let file = report.step("go on from where it broke", resume).await?;
    let sent = Sent { bytes, file };
    download_steps(client, token, &sent, report).await?;
    Ok(sent)
}

/// Waits until the API knows how much of an interrupted upload has arrived.
async fn arrived(client: &Door, upload: &str, token: &str) -> Result<usize> {
    let ask = async || {
        let offset = client.upload_offset(upload, token).await?;
        Ok((offset > 0).then_some(offset))
    };
    let (limit, pause) = (Duration::from_secs(10), Duration::from_millis(20));
    let offset = until(limit, pause, "nothing of it arrived", ask).await;
    let offset = offset.context("asking for the offset")?;
    ensure!(offset <= SIZE / 2, "{offset} bytes arrived, more than sent");
    Ok(offset)
}

async fn download_steps(
    client: &Door,
    token: &str,
    sent: &Sent,
    report: &mut Report,
) -> Result<(), Failed> {
    let path = format!("/v1/files/{}/content", sent.file.id);
    let whole = async { sent.equals(&client.content(&path, token).await?) };
    report.step("download it whole", whole).await?;
    let range = async {
        // From one sealed chunk into the one after the next.
        let bytes = client.range(&sent.file, 65_000..140_000, token).await?;
        ensure!(bytes == sent.bytes[65_000..140_000], "it differs");
        Ok(())
    };
    report.step("download a range in its middle", range).await?;
    let ranges = async {
        let ranges = "bytes=100-199, 1000000-1099999, -10";
        let (boundary, body) = client.ranges(&sent.file, ranges, token).await?;
        ensure!(body == multipart(sent, &boundary), "the body differs");
        Ok(())
    };
    report.step("download several ranges at once", ranges).await
}

/// Returns the body of an answer with several ranges (RFC 9110, section 14.6).
fn multipart(sent: &Sent, boundary: &str) -> Vec<u8> {
    let size = sent.bytes.len();
    let mut body = Vec::new();
    for range in [100..200, 1_000_000..1_100_000, size - 10..size] {
        let (first, last) = (range.start, range.end - 1);
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n\
             Content-Range: bytes {first}-{last}/{size}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&sent.bytes[range]);
    }
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    body
}

/// Moves the file into the trash and back, then deletes it for good.
pub(super) async fn trash_steps(
    client: &Door,
    token: &str,
    sent: &Sent,
    report: &mut Report,
) -> Result<(), Failed> {
    let id = &sent.file.id;
    let (file, content) = (format!("/v1/files/{id}"), format!("/v1/files/{id}/content"));
    let is_not_found = async || {
        let not_found = StatusCode::NOT_FOUND;
        client.is_refused(&file, token, not_found).await?;
        client.is_refused(&content, token, not_found).await
    };
    let trash = async {
        client.delete_file(id, token).await?;
        is_not_found().await
    };
    report.step("move it into the trash", trash).await?;
    let restore = async {
        client.restore_file(id, token).await?;
        sent.equals(&client.content(&content, token).await?)
    };
    report.step("restore it", restore).await?;
    let delete = async {
        client.remove_file(id, token).await?;
        is_not_found().await?;
        client.is_gone(id, token).await
    };
    report.step("delete it for good", delete).await
}
