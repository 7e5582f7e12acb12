//! Builds the API from its settings, and serves it.

use std::time::Duration;

use plinth_core::access::Gate;
use plinth_core::api_keys::Recognition;
use plinth_core::{Stores, readiness};
use plinth_platform::server::{self, Plain, ServerLimits};
use plinth_platform::settings::Settings;
use plinth_platform::{internal, shutdown, telemetry};
use poem::endpoint::{BoxEndpoint, EitherEndpoint};
use poem::middleware::Cors;
use poem::{EndpointExt as _, IntoEndpoint as _, Response};
use tokio_util::sync::CancellationToken;

use crate::http::document;
use crate::http::error_page::ErrorPage;
use crate::http::host::Host;
use crate::http::limits::BodyLimits;
use crate::http::middleware::{
    Admission, AdmissionServices, ClientAddress, Deadline, HostSeparation, Observe, RenderErrors,
    ServeDocuments,
};
use crate::http::operation::Declared as _;
use crate::http::route_table::RouteTable;
use crate::services::Services;
use crate::{
    administration, api_keys, audit, auth, direct_uploads, files, jobs, notifications, own_jobs,
    passkeys, roles, second_factors, sessions, uploads, users,
};

const SERVICE: &str = "plinth-api";

/// Closes a connection after this time without a request. It exceeds the 60 seconds of nginx, so
/// that the load balancer closes an idle connection first.
const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(75);

/// How long a browser may cache the response to a preflight request, in seconds.
const PREFLIGHT_MAX_AGE_SECONDS: i32 = 600;

/// Lists the capabilities: their operations as one type and one value.
macro_rules! capabilities {
    (@types) => { () };
    (@types $($name:ident)::+, $($rest:tt)*) => {
        ($($name)::+::Operations, capabilities!(@types $($rest)*))
    };
    (@values $services:ident) => { () };
    (@values $services:ident $($name:ident)::+, $($rest:tt)*) => {
        ($($name)::+::operations($services), capabilities!(@values $services $($rest)*))
    };
    ($first:ident $($list:tt)*) => {
        type Operations = capabilities!(@types $first $($list)*);

        fn operations(services: &Services) -> Operations {
            capabilities!(@values services $first $($list)*)
        }
    };
}

capabilities! {
    auth,
    users,
    sessions,
    second_factors,
    api_keys,
    administration,
    roles,
    passkeys,
    files,
    files::versions,
    files::links,
    uploads,
    direct_uploads,
    notifications,
    jobs,
    own_jobs,
    audit,
}

/// Returns the OpenAPI document as indented JSON that ends in a line feed.
pub fn document() -> String {
    document::document::<Operations>()
}

/// Builds the endpoint that serves clients. Long responses end when `draining` is cancelled.
pub fn endpoint(
    settings: &Settings,
    stores: &Stores,
    draining: &CancellationToken,
) -> anyhow::Result<BoxEndpoint<'static, Response>> {
    let services = Services::new(settings, stores, draining)?;
    tokio::spawn(
        draining
            .clone()
            .run_until_cancelled_owned(services.auth.clone().learn_stored_hashes()),
    );
    let table = RouteTable::new(&Operations::declarations());
    let content = settings
        .general
        .content_url
        .as_ref()
        .map(|url| HostSeparation {
            content: Host::from_url(url),
            table: table.clone(),
        });
    let routes = document::service(operations(&services))
        .into_endpoint()
        .with(ServeDocuments::new(document));
    let page = ErrorPage::new(&settings.general.public_url);
    let routes = match content {
        None => EitherEndpoint::A(routes),
        Some(content) => EitherEndpoint::B(routes.with(content)),
    };
    let api = &settings.api;
    let parts = AdmissionServices {
        gate: Gate::new(stores, &settings.limits),
        access_tokens: services.auth.access_tokens().clone(),
        api_keys: Recognition::new(stores),
        csrf: services.csrf.clone(),
        clock: stores.clock.clone(),
        table: table.clone(),
    };
    let admission = Admission::new(parts, settings.auth.step_up_window);
    let admitted = routes
        .with(Deadline(BodyLimits {
            json: api.body_limit,
            idle: api.request_timeout,
        }))
        .with(admission);
    let address = ClientAddress::new(api.trusted_proxies.0.clone());
    let observe = Observe {
        table,
        page: page.clone(),
        hsts: is_public_tls(&settings.general.public_url),
    };
    // Two pipelines instead of an optional layer: each layer moves the request.
    Ok(match api.cors_origins.0.as_slice() {
        [] => admitted.with(address).with(observe).boxed(),
        origins => admitted
            .with(RenderErrors(page))
            .with(cors(origins))
            .with(address)
            .with(observe)
            .boxed(),
    })
}

/// Serves clients until the process receives SIGTERM or SIGINT, then drains within the grace
/// period.
pub async fn serve(settings: Settings) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(SERVICE, &settings)?;
    let stores = Stores::new(&settings, SERVICE)?;
    let draining = CancellationToken::new();
    let endpoint = endpoint(&settings, &stores, &draining)?;
    let readiness = readiness::of(&stores, &settings, SERVICE)?;
    let readiness = readiness::asking_objects(readiness, &stores)
        .with_status("antivirus", stores.antivirus.status());

    let stopped = CancellationToken::new();
    let internal = internal::serve(
        settings.api.internal_bind,
        readiness.clone(),
        stopped.clone().cancelled_owned(),
    );
    let mut internal = tokio::spawn(internal);
    let stop = async move {
        if let Err(error) = shutdown::requested().await {
            tracing::error!(%error, "cannot receive signals");
        }
        readiness.drain();
        draining.cancel();
    };
    let listener = server::listen(settings.api.bind).await?;
    tracing::info!(address = %settings.api.bind, "listening for clients");
    tokio::select! {
        () = server::serve(listener, Plain, endpoint, server_limits(&settings), stop) => {}
        // Ends only if the internal port cannot be opened.
        ended = &mut internal => return Ok(ended??),
    }
    // The internal port stops last, so that probes see "draining".
    stopped.cancel();
    internal.await??;
    Ok(())
}

/// How many request timeouts a client may read nothing. Linux reports progress only after a third
/// of the send buffer has drained, so that a slow reader looks stalled for a while.
const STALL_FACTOR: u32 = 6;

/// Returns the limits of connections to clients.
pub fn server_limits(settings: &Settings) -> ServerLimits {
    let api = &settings.api;
    ServerLimits {
        connections: api.max_connections.count(),
        head: api.request_timeout,
        idle: IDLE_CONNECTION_TIMEOUT,
        stall: api.request_timeout * STALL_FACTOR,
        drain: api.shutdown_grace,
    }
}

/// Returns whether to send HSTS. Not for localhost: a browser applies HSTS to all ports of a host.
fn is_public_tls(url: &str) -> bool {
    url.strip_prefix("https://")
        .is_some_and(|rest| !rest.starts_with("localhost"))
}

/// Returns the CORS layer for these origins. Every request header is allowed: upload clients add
/// their own (`Upload-Concat`, `Cache-Control`), and an origin that may send credentials gains
/// nothing by a header.
fn cors(origins: &[String]) -> Cors {
    Cors::new()
        .allow_origins(origins.iter().map(String::as_str))
        .allow_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        .expose_headers([
            "accept-ranges",
            "content-disposition",
            "content-range",
            "etag",
            "last-modified",
            "location",
            "plinth-file-id",
            "plinth-resume-ticket",
            "ratelimit-limit",
            "ratelimit-remaining",
            "ratelimit-reset",
            "repr-digest",
            "retry-after",
            "tus-checksum-algorithm",
            "tus-extension",
            "tus-max-size",
            "tus-resumable",
            "tus-version",
            "upload-defer-length",
            "upload-expires",
            "upload-length",
            "upload-metadata",
            "upload-offset",
            "x-request-id",
        ])
        // Browsers send cookies, but only from these origins.
        .allow_credentials(true)
        .max_age(PREFLIGHT_MAX_AGE_SECONDS)
}

#[cfg(test)]
mod tests {
    use poem_openapi::OpenApi as _;
    use serde_json::Value;

    use plinth_core::access::Purpose;

    use super::*;
    use crate::http::operation::Hosts;
    use crate::http::problem;

    fn table() -> RouteTable {
        RouteTable::new(&Operations::declarations())
    }

    #[test]
    fn no_token_of_a_link_is_logged() {
        for (path, logged) in [
            ("/v1/links/secret", "/v1/links/…"),
            ("/v1/links/secret/content", "/v1/links/…/content"),
            ("/v1/links/secret/nothing", "/v1/links/…/nothing"),
            ("/v1/content/ticket", "/v1/content/…"),
            ("/v1/files/1/links/2", "/v1/files/1/links/2"),
            ("/v1/links", "/v1/links"),
        ] {
            assert_eq!(table().redact(path), logged);
        }
    }

    #[test]
    fn requests_that_guess_have_a_limit_of_their_own() {
        for path in [
            "/v1/auth/login",
            "/v1/auth/login/mfa",
            "/v1/auth/step-up",
            "/v1/auth/password/reset",
            "/v1/links/token/tickets",
        ] {
            assert_eq!(table().purpose(path), Purpose::Guess, "{path}");
        }
        assert_eq!(table().purpose("/v1/auth/refresh"), Purpose::Refresh);
        for path in ["/v1/auth/logout", "/v1/me", "/v1/links/token", "/nothing"] {
            assert_eq!(table().purpose(path), Purpose::Other, "{path}");
        }
    }

    #[test]
    fn contents_by_ticket_are_served_by_the_content_host_only() {
        for (path, hosts) in [
            ("/v1/content/ticket", Hosts::Content),
            ("/v1/links/token/content", Hosts::Both),
            ("/v1/links/token", Hosts::Api),
            ("/v1/me", Hosts::Api),
        ] {
            assert_eq!(table().hosts(path), hosts, "{path}");
        }
    }

    #[test]
    fn every_operation_has_what_client_generators_need() {
        let document: Value = serde_json::from_str(&document()).expect("JSON");
        assert_eq!(document["openapi"], "3.0.0");
        let mut served: Vec<_> = Operations::meta()
            .into_iter()
            .flat_map(|api| api.paths)
            .flat_map(|path| path.operations)
            .filter_map(|operation| operation.operation_id)
            .collect();
        let mut ids = Vec::new();
        for (path, operations) in document["paths"].as_object().expect("paths") {
            for (method, operation) in operations.as_object().expect("operations") {
                let name = format!("{method} {path}");
                ids.push(
                    operation["operationId"]
                        .as_str()
                        .unwrap_or_else(|| panic!("{name} has no id"))
                        .to_owned(),
                );
                assert!(
                    operation["summary"]
                        .as_str()
                        .is_some_and(|text| !text.is_empty()),
                    "{name} has no summary"
                );
                assert_eq!(
                    operation["tags"].as_array().map(Vec::len),
                    Some(1),
                    "{name} has no tag"
                );
                assert_eq!(
                    operation.get("security").is_none(),
                    operation.get("x-permission").is_none(),
                    "{name}: permission"
                );
                let responses = operation["responses"].as_object().expect("responses");
                for (status, response) in responses
                    .iter()
                    .filter(|(status, _)| status.starts_with(['4', '5']))
                {
                    let problem = &response["content"][problem::CONTENT_TYPE]["schema"]["$ref"];
                    assert_eq!(problem, "#/components/schemas/Problem", "{name}: {status}");
                }
                assert!(
                    responses.contains_key("429") && responses.contains_key("500"),
                    "{name} lacks error responses"
                );
            }
        }
        assert!(ids.len() > 100, "{}", ids.len());
        ids.sort();
        served.sort_unstable();
        assert_eq!(ids, served, "every served operation is documented");
        served.dedup();
        assert_eq!(ids.len(), served.len(), "ids are unique");
    }
}
