//! Share links through the public door: made by the owner, used by anybody.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Door, expect};

/// A link as its owner sees it once.
#[derive(Debug, Clone, Deserialize)]
pub struct NewLink {
    pub token: String,
    pub link: LinkView,
}

#[derive(Debug, Clone, Deserialize)]
pub struct LinkView {
    pub id: String,
}

impl Door {
    pub async fn share(&self, file: &str, access_token: &str) -> Result<NewLink> {
        let path = format!("/v1/files/{file}/links");
        let request = self
            .request(Method::POST, &path, access_token)
            .json(&json!({}));
        expect(request, StatusCode::CREATED)
            .await?
            .json()
            .await
            .context("the new link")
    }

    /// Returns what a link shows of its file.
    pub async fn shared_file(&self, token: &str) -> Result<Value> {
        let request = self.http.get(format!("{}/v1/links/{token}", self.api));
        expect(request, StatusCode::OK)
            .await?
            .json()
            .await
            .context("what is shared")
    }

    pub async fn shared_content(&self, token: &str) -> Result<Bytes> {
        let request = self
            .http
            .get(format!("{}/v1/links/{token}/content", self.api));
        Ok(expect(request, StatusCode::OK).await?.bytes().await?)
    }

    pub async fn revoke_link(&self, file: &str, link: &str, access_token: &str) -> Result<()> {
        let path = format!("/v1/files/{file}/links/{link}");
        expect(
            self.request(Method::DELETE, &path, access_token),
            StatusCode::NO_CONTENT,
        )
        .await
        .map(drop)
    }

    /// A link that must open nothing any more.
    pub async fn link_is_dead(&self, token: &str) -> Result<()> {
        for path in [
            format!("/v1/links/{token}"),
            format!("/v1/links/{token}/content"),
        ] {
            let request = self.http.get(format!("{}{path}", self.api));
            expect(request, StatusCode::NOT_FOUND).await?;
        }
        Ok(())
    }
}
