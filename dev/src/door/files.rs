//! Files through the public door.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, RANGE};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;

use super::{Door, expect, until};

/// A stored file.
#[derive(Debug, Clone, Deserialize)]
pub struct FileView {
    pub id: String,
    pub size: u64,
    #[serde(default)]
    pub variants: Vec<Variant>,
}

/// A derived image.
#[derive(Debug, Clone, Deserialize)]
pub struct Variant {
    pub preset: String,
    pub state: String,
    pub width: Option<u32>,
    pub height: Option<u32>,
}

impl Door {
    /// Uploads a part that need not be in memory.
    pub async fn upload(
        &self,
        part: Part,
        access_token: &str,
        limit: Duration,
    ) -> Result<FileView> {
        let request = self
            .request(Method::POST, "/v1/files", access_token)
            .timeout(limit);
        let answer = expect(
            request.multipart(Form::new().part("file", part)),
            StatusCode::CREATED,
        )
        .await?;
        answer.json().await.context("the upload's answer")
    }

    /// Waits until every derived image is ready.
    pub async fn file_with_variants(&self, id: &str, access_token: &str) -> Result<FileView> {
        let path = format!("/v1/files/{id}");
        until(
            Duration::from_secs(30),
            Duration::from_millis(50),
            "they were not ready",
            async || {
                let file: FileView = serde_json::from_value(self.get(&path, access_token).await?)?;
                if let Some(failed) = file
                    .variants
                    .iter()
                    .find(|variant| variant.state == "failed")
                {
                    bail!("making the {} one failed", failed.preset);
                }
                let ready = file.variants.len() >= 2
                    && file.variants.iter().all(|variant| variant.state == "ready");
                Ok(ready.then_some(file))
            },
        )
        .await
    }

    pub async fn content(&self, path: &str, access_token: &str) -> Result<Bytes> {
        let answer = expect(
            self.request(Method::GET, path, access_token),
            StatusCode::OK,
        )
        .await?;
        Ok(answer.bytes().await?)
    }

    /// Downloads a file and keeps nothing of it: how many bytes came.
    pub async fn drain(&self, file: &FileView, access_token: &str, limit: Duration) -> Result<u64> {
        let path = format!("/v1/files/{}/content", file.id);
        let request = self
            .request(Method::GET, &path, access_token)
            .timeout(limit);
        let mut answer = expect(request, StatusCode::OK).await?;
        let mut size = 0;
        while let Some(bytes) = answer.chunk().await? {
            size += bytes.len() as u64;
        }
        Ok(size)
    }

    /// A part of a file, by a range.
    pub async fn range(
        &self,
        file: &FileView,
        wanted: Range<u64>,
        access_token: &str,
    ) -> Result<Bytes> {
        let (first, last) = (wanted.start, wanted.end - 1);
        let answer = self
            .part(file, &format!("bytes={first}-{last}"), access_token)
            .await?;
        let told = answer
            .headers()
            .get(CONTENT_RANGE)
            .and_then(|value| value.to_str().ok());
        let expected = format!("bytes {first}-{last}/{}", file.size);
        ensure!(
            told == Some(expected.as_str()),
            "Content-Range is {told:?} instead of {expected}"
        );
        Ok(answer.bytes().await?)
    }

    /// Several parts of a file in one answer: the boundary between them, and the body.
    pub async fn ranges(
        &self,
        file: &FileView,
        ranges: &str,
        access_token: &str,
    ) -> Result<(String, Bytes)> {
        let answer = self.part(file, ranges, access_token).await?;
        let kind = answer
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let boundary = kind.and_then(|kind| kind.strip_prefix("multipart/byteranges; boundary="));
        let boundary = boundary
            .with_context(|| format!("Content-Type is {kind:?}"))?
            .to_owned();
        Ok((boundary, answer.bytes().await?))
    }

    async fn part(&self, file: &FileView, ranges: &str, access_token: &str) -> Result<Response> {
        let path = format!("/v1/files/{}/content", file.id);
        let request = self
            .request(Method::GET, &path, access_token)
            .header(RANGE, ranges);
        expect(request, StatusCode::PARTIAL_CONTENT).await
    }

    pub async fn file(&self, id: &str, access_token: &str) -> Result<FileView> {
        let found = self.get(&format!("/v1/files/{id}"), access_token).await?;
        serde_json::from_value(found).context("the file")
    }

    /// Into the trash.
    pub async fn delete_file(&self, id: &str, access_token: &str) -> Result<()> {
        let request = self.request(Method::DELETE, &format!("/v1/files/{id}"), access_token);
        expect(request, StatusCode::NO_CONTENT).await.map(drop)
    }

    /// Out of the trash.
    pub async fn restore_file(&self, id: &str, access_token: &str) -> Result<()> {
        let request = self.request(
            Method::POST,
            &format!("/v1/files/{id}/restore"),
            access_token,
        );
        expect(request, StatusCode::OK).await.map(drop)
    }

    /// For good.
    pub async fn remove_file(&self, id: &str, access_token: &str) -> Result<()> {
        let path = format!("/v1/files/{id}?permanently=true");
        expect(
            self.request(Method::DELETE, &path, access_token),
            StatusCode::NO_CONTENT,
        )
        .await
        .map(drop)
    }

    /// A file whose restoring must find nothing.
    pub async fn is_gone(&self, id: &str, access_token: &str) -> Result<()> {
        let request = self.request(
            Method::POST,
            &format!("/v1/files/{id}/restore"),
            access_token,
        );
        expect(request, StatusCode::NOT_FOUND).await.map(drop)
    }
}
