//! A valid request for each operation of the document, with the resources that it needs, for all
//! tests that iterate over the document.

mod account;
mod administration;
mod authentication;
mod files;
mod jobs;
mod links;
mod second_factors;
mod uploads;

use plinth_testkit::Stage;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use uuid::Uuid;

pub(crate) use second_factors::{MULTI_FACTOR, app_of, set_methods};

use crate::house::{Answer, House, Person};
use crate::operations::Operation;

/// The origin of the page that passkeys are used on, and their domain.
pub(crate) const ORIGIN: &str = "http://localhost:8080";
pub(crate) const DOMAIN: &str = "localhost";
/// The host that downloads are redirected to, if the API has one.
const CONTENT_HOST: &str = "content.example.org";
/// The password that an account is changed to.
const NEW_PASSWORD: &str = "quite another battery";

/// The boundary of the forms.
const BOUNDARY: &str = "boundary";

/// The request of an operation, without credentials.
#[derive(Debug, Default)]
struct Request {
    /// The values of the path parameters, by name.
    parameters: Vec<(&'static str, String)>,
    query: Option<String>,
    headers: Vec<(&'static str, String)>,
    body: Body,
}

#[derive(Debug, Default)]
enum Body {
    #[default]
    None,
    Json(Value),
    Bytes(Vec<u8>),
}

impl Request {
    fn new() -> Self {
        Self::default()
    }

    fn json(body: Value) -> Self {
        Self {
            body: Body::Json(body),
            ..Self::default()
        }
    }

    /// A form with text files, all in this field (RFC 7578).
    fn form(field: &str, files: &[(&str, &str)]) -> Self {
        let part = |(name, content): &(&str, &str)| {
            format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\r\n{content}\r\n"
            )
        };
        let parts: String = files.iter().map(part).collect();
        let request = Self::new().header(
            "content-type",
            &format!("multipart/form-data; boundary={BOUNDARY}"),
        );
        request.bytes(format!("{parts}--{BOUNDARY}--\r\n").as_bytes())
    }

    /// Sets a path parameter.
    fn at(mut self, name: &'static str, value: &impl ToString) -> Self {
        self.parameters.push((name, value.to_string()));
        self
    }

    fn query(self, query: &str) -> Self {
        Self {
            query: Some(query.to_owned()),
            ..self
        }
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        Self {
            body: Body::Bytes(bytes.to_vec()),
            ..self
        }
    }
}

/// A request that succeeds with the right credentials.
pub(crate) struct PreparedRequest {
    method: Method,
    /// The path with its query.
    path: String,
    request: Request,
    is_open: bool,
}

impl PreparedRequest {
    /// Sends the request, with the access token of the person unless the operation is open.
    pub(crate) async fn send(&self, house: &House, person: &Person) -> Answer {
        Answer::of(self.build(house, person)).await
    }

    pub(crate) fn build(&self, house: &House, person: &Person) -> RequestBuilder {
        let mut builder = house.request(self.method.clone(), &self.path);
        if !self.is_open {
            builder = builder.bearer_auth(&person.access_token);
        }
        for (name, value) in &self.request.headers {
            builder = builder.header(*name, value);
        }
        match &self.request.body {
            Body::None => builder,
            Body::Json(body) => builder.json(body),
            Body::Bytes(bytes) => builder.body(bytes.clone()),
        }
    }
}

/// Starts an API in which every operation can be tried except those of the content host.
pub(crate) async fn open() -> House {
    House::on(stage().await).await
}

/// Starts an API in which this operation can be tried.
pub(crate) async fn open_for(operation: &Operation) -> House {
    let mut stage = stage().await;
    if operation.path.starts_with("/v1/content/") {
        stage = stage.with("PLINTH_CONTENT_URL", &format!("https://{CONTENT_HOST}/"));
    }
    House::on(stage).await
}

async fn stage() -> Stage {
    let stage = Stage::open().await;
    stage
        .with("PLINTH_FILES_DIRECT_UPLOADS", "true")
        .with("PLINTH_AUTH_PASSKEY_DOMAIN", DOMAIN)
        .with("PLINTH_AUTH_PASSKEY_ORIGINS", ORIGIN)
}

/// Prepares the resources of an operation. The caller of an operation on resources of others is an
/// administrator.
pub(crate) async fn prepare(
    house: &House,
    operation: &Operation,
    caller: &Person,
) -> PreparedRequest {
    let (id, path) = (operation.id(), operation.path.as_str());
    let is_below = |prefixes: &[&str]| prefixes.iter().any(|prefix| path.starts_with(prefix));
    let request = if is_below(&["/.well-known/", "/v1/auth/"]) {
        authentication::prepare(house, id, caller).await
    } else if is_below(&["/v1/jobs", "/v1/queues", "/v1/me/jobs"]) {
        jobs::prepare(house, id, caller).await
    } else if is_below(&["/v1/me/mfa/", "/v1/me/passkeys"]) {
        second_factors::prepare(house, id, caller).await
    } else if is_below(&[
        "/v1/links/",
        "/v1/me/links",
        "/v1/files/{id}/links",
        "/v1/content/",
    ]) {
        links::prepare(house, id, caller).await
    } else if is_below(&["/v1/me"]) {
        account::prepare(house, id, caller).await
    } else if is_below(&["/v1/files"]) {
        files::prepare(house, id, caller).await
    } else if is_below(&["/v1/uploads", "/v1/direct-uploads"]) {
        uploads::prepare(house, id, caller).await
    } else {
        administration::prepare(house, id, caller).await
    };
    let path = operation.path_with(|wanted| {
        let value = request.parameters.iter().find(|(name, _)| *name == wanted);
        value
            .unwrap_or_else(|| panic!("{id}: add a value for {wanted}"))
            .1
            .clone()
    });
    let query = request
        .query
        .as_deref()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    PreparedRequest {
        method: operation.method.clone(),
        path: format!("{path}{query}"),
        request,
        is_open: operation.is_open(),
    }
}

/// Fails for an operation of the document that is missing here.
fn missing_request(operation: &str) -> ! {
    panic!("{operation}: add its request to `requests`")
}

/// Returns an address without an account.
fn free_address() -> String {
    format!("{}@example.org", Uuid::new_v4().simple())
}
