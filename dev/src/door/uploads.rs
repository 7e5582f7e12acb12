//! Resumable uploads through the public door (tus 1.0).

use std::io;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures_util::stream;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode};

use super::{Door, expect};

const VERSION: (&str, &str) = ("Tus-Resumable", "1.0.0");
const OFFSET: &str = "upload-offset";
const FILE_ID: &str = "plinth-file-id";
/// What is written at once of a body that breaks off.
const PIECE: usize = 64 * 1024;

impl Door {
    /// Begins an upload of this many bytes, and returns its path.
    pub async fn begin_upload(&self, size: usize, access_token: &str) -> Result<String> {
        let request = self
            .tus(Method::POST, "/v1/uploads", access_token)
            .header("Upload-Length", size);
        let answer = expect(request, StatusCode::CREATED).await?;
        told(&answer, LOCATION.as_str()).map(str::to_owned)
    }

    /// How many bytes of an upload have arrived.
    pub async fn upload_offset(&self, upload: &str, access_token: &str) -> Result<usize> {
        let answer = expect(self.tus(Method::HEAD, upload, access_token), StatusCode::OK).await?;
        Ok(told(&answer, OFFSET)?.parse()?)
    }

    /// Sends what is left of an upload: the id of the file that it became.
    pub async fn finish_upload(
        &self,
        upload: &str,
        offset: usize,
        rest: Bytes,
        access_token: &str,
    ) -> Result<String> {
        let request = self.append(upload, offset, access_token).body(rest);
        let answer = expect(request, StatusCode::NO_CONTENT).await?;
        told(&answer, FILE_ID).map(str::to_owned)
    }

    /// Announces `announced` bytes from the beginning on, sends these and drops the connection.
    pub async fn break_upload(
        &self,
        upload: &str,
        announced: usize,
        sent: &Bytes,
        access_token: &str,
    ) -> Result<()> {
        let pieces: Vec<_> = sent
            .chunks(PIECE)
            .map(|piece| Ok(sent.slice_ref(piece)))
            .collect();
        let broken = Err(io::Error::from(io::ErrorKind::ConnectionAborted));
        let body = Body::wrap_stream(stream::iter(pieces.into_iter().chain([broken])));
        let request = self
            .append(upload, 0, access_token)
            .header(CONTENT_LENGTH, announced)
            .body(body);
        let answer = request.send().await;
        ensure!(answer.is_err(), "an answer came to half a request");
        Ok(())
    }

    fn append(&self, upload: &str, offset: usize, access_token: &str) -> RequestBuilder {
        self.tus(Method::PATCH, upload, access_token)
            .header(OFFSET, offset)
            .header(CONTENT_TYPE, "application/offset+octet-stream")
    }

    fn tus(&self, method: Method, path: &str, access_token: &str) -> RequestBuilder {
        self.request(method, path, access_token)
            .header(VERSION.0, VERSION.1)
    }
}

fn told<'a>(answer: &'a Response, name: &str) -> Result<&'a str> {
    let value = answer
        .headers()
        .get(name)
        .with_context(|| format!("the answer has no {name}"))?;
    value
        .to_str()
        .with_context(|| format!("the answer's {name}"))
}
