//! A photograph through the product, and everything that is made of it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::multipart::Part;

use crate::door::{Door, FileView, Tokens};
use crate::smoke::photo;
use crate::smoke::report::{Report, Step};

/// The photograph up, and everything that was made of it down again.
pub(super) async fn walk(
    door: &Door,
    tokens: &Step<Tokens>,
    report: &mut Report,
) -> Step<FileView> {
    let uploaded = report
        .step("upload a photograph", tokens.done(), async |tokens| {
            let part = Part::bytes(photo::BYTES)
                .file_name("photo.jpg")
                .mime_str("image/jpeg")?;
            let file = door
                .upload(part, &tokens.access_token, Duration::from_secs(30))
                .await?;
            let size = photo::BYTES.len();
            ensure!(
                usize::try_from(file.size) == Ok(size),
                "{} of {size} bytes arrived",
                file.size
            );
            Ok(file)
        })
        .await;
    let ready = report
        .step(
            "wait for both thumbnails",
            tokens.and(&uploaded),
            async |(tokens, file)| {
                door.file_with_variants(&file.id, &tokens.access_token)
                    .await
            },
        )
        .await;
    report
        .step(
            "download the original",
            tokens.and(&uploaded),
            async |(tokens, file)| {
                let path = format!("/v1/files/{}/content", file.id);
                let bytes = door.content(&path, &tokens.access_token).await?;
                ensure!(bytes == photo::BYTES, "it differs from what was uploaded");
                Ok(())
            },
        )
        .await;
    for (name, preset) in [
        ("download the small thumbnail", "small"),
        ("download the large thumbnail", "large"),
    ] {
        report
            .step(name, tokens.and(&ready), async |(tokens, file)| {
                let variant = file
                    .variants
                    .iter()
                    .find(|variant| variant.preset == preset);
                let variant = variant.context("the file has no such variant")?;
                let path = format!("/v1/files/{}/variants/{preset}", file.id);
                photo::inspect(&door.content(&path, &tokens.access_token).await?, variant)
            })
            .await;
    }
    report
        .step(
            "download a range",
            tokens.and(&uploaded),
            async |(tokens, file)| {
                let bytes = door.range(file, 0..100, &tokens.access_token).await?;
                ensure!(
                    bytes == photo::BYTES[..100],
                    "it differs from what was uploaded"
                );
                Ok(())
            },
        )
        .await;
    uploaded
}
