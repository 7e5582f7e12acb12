//! Files through the public door.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::{Door, expect, until};

/// A stored file.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct FileView {
    pub(crate) id: String,
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) variants: Vec<Variant>,
}

/// A derived image.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Variant {
    pub(crate) preset: String,
    pub(crate) state: String,
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
}

impl Door {
    /// Uploads a part that need not be in memory.
    pub(crate) async fn upload(&self, part: Part, access_token: &str, limit: Duration) -> Result<FileView> {
        let request = self.request(Method::POST, "/v1/files", access_token).timeout(limit);
        let answer = expect(request.multipart(Form::new().part("file", part)), StatusCode::CREATED).await?;
        answer.json().await.context("the upload's answer")
    }

    /// Waits until every derived image is ready.
    pub(crate) async fn file_with_variants(&self, id: &str, access_token: &str) -> Result<FileView> {
        let path = format!("/v1/files/{id}");
        until(Duration::from_secs(30), Duration::from_millis(50), "they were not ready", async || {
            let file: FileView = serde_json::from_value(self.get(&path, access_token).await?)?;
            if let Some(failed) = file.variants.iter().find(|variant| variant.state == "failed") {
                bail!("making the {} one failed", failed.preset);
            }
            let ready =
                file.variants.len() >= 2 && file.variants.iter().all(|variant| variant.state == "ready");
            Ok(ready.then_some(file))
        })
        .await
    }

    pub(crate) async fn content(&self, path: &str, access_token: &str) -> Result<Bytes> {
        let answer = expect(self.request(Method::GET, path, access_token), StatusCode::OK).await?;
        Ok(answer.bytes().await?)
    }

    /// The first bytes of a file, by a range.
    pub(crate) async fn first_bytes(&self, file: &FileView, count: u64, access_token: &str) -> Result<Bytes> {
        let path = format!("/v1/files/{}/content", file.id);
        let request = self.request(Method::GET, &path, access_token);
        let range = format!("bytes=0-{}", count - 1);
        let answer = expect(request.header(RANGE, range), StatusCode::PARTIAL_CONTENT).await?;
        let told = answer.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        let expected = format!("bytes 0-{}/{}", count - 1, file.size);
        ensure!(told == Some(expected.as_str()), "Content-Range is {told:?} instead of {expected}");
        Ok(answer.bytes().await?)
    }

    pub(crate) async fn delete_file(&self, id: &str, access_token: &str) -> Result<()> {
        let request = self.request(Method::DELETE, &format!("/v1/files/{id}"), access_token);
        expect(request, StatusCode::NO_CONTENT).await.map(drop)
    }
}
