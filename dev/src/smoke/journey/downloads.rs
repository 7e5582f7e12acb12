//! The resumable upload down again: whole, a range of it, and several at once.

use anyhow::ensure;

use super::resumable::Sent;
use crate::door::{Door, Tokens};
use crate::smoke::report::{Report, Step};

pub(super) async fn walk(
    door: &Door,
    tokens: &Step<Tokens>,
    sent: &Step<Sent>,
    report: &mut Report,
) {
    report
        .step(
            "download it whole",
            tokens.and(sent),
            async |(tokens, sent)| {
                let path = format!("/v1/files/{}/content", sent.file.id);
                sent.equals(&door.content(&path, &tokens.access_token).await?)
            },
        )
        .await;
    report
        .step(
            "download a range in its middle",
            tokens.and(sent),
            async |(tokens, sent)| {
                // From one sealed chunk into the one after the next.
                let bytes = door
                    .range(&sent.file, 65_000..140_000, &tokens.access_token)
                    .await?;
                ensure!(
                    bytes == sent.bytes[65_000..140_000],
                    "it differs from what was uploaded"
                );
                Ok(())
            },
        )
        .await;
    report
        .step(
            "download several ranges at once",
            tokens.and(sent),
            async |(tokens, sent)| {
                let ranges = "bytes=100-199, 1000000-1099999, -10";
                let (boundary, body) = door
                    .ranges(&sent.file, ranges, &tokens.access_token)
                    .await?;
                let expected = several(sent, &boundary);
                ensure!(
                    body == expected,
                    "{} bytes came that differ from the {}",
                    body.len(),
                    expected.len()
                );
                Ok(())
            },
        )
        .await;
}

/// The body of an answer with several ranges (RFC 9110, section 14.6).
fn several(sent: &Sent, boundary: &str) -> Vec<u8> {
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
