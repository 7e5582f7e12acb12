//! Builds the API from its settings: the one place where everything meets.

use std::time::Duration;

use plinth_core::access::Gate;
use plinth_core::access_tokens::AccessTokens;
use plinth_core::api_keys::{ApiKeys, Recognition};
use plinth_core::audit::AuditLog;
use plinth_core::auth::Auth;
use plinth_core::files::{
    ContentTickets, DirectTransfers, DirectUploads, Files, Limits, Resumables, ShareLinks,
};
use plinth_core::jobs::{JobAdministration, OwnJobs};
use plinth_core::notifications::Inbox;
use plinth_core::passkeys::Passkeys;
use plinth_core::roles::Roles;
use plinth_core::second_factors::SecondFactors;
use plinth_core::users::Users;
use plinth_core::{Stores, readiness};
use plinth_platform::crypto::{PasswordHasher, RootKey};
use plinth_platform::server::{self, Plain, ServerLimits};
use plinth_platform::settings::Settings;
use plinth_platform::{internal, shutdown, telemetry};
use poem::endpoint::{BoxEndpoint, EitherEndpoint};
use poem::middleware::Cors;
use poem::{EndpointExt as _, IntoEndpoint as _, Response};
use tokio_util::sync::CancellationToken;

use crate::auth::session_tokens::SessionLifetime;
use crate::files::ContentHost;
use crate::http::browser::Pages;
use crate::http::document;
use crate::http::host::Host;
use crate::http::limits::BodyLimits;
use crate::http::middleware::{
    Admission, AdmissionParts, ClientAddress, ContentOnly, Deadline, Observe, Published,
    RenderErrors,
};
use crate::{
    administration, api_keys, audit, auth, direct_uploads, files, jobs, notifications, own_jobs,
    passkeys, roles, second_factors, sessions, uploads, users,
};

const SERVICE: &str = "plinth-api";

/// A connection without a request for so long is closed: longer than a balancer keeps one (60 s in nginx), so that it is
/// the balancer that closes it.
const IDLE_CONNECTION: Duration = Duration::from_secs(75);

/// Browsers may keep the answer to a preflight for so long, in seconds.
const PREFLIGHT_MAX_AGE: i32 = 600;

/// The services of every capability.
pub struct Services {
    pub auth: Auth,
    pub passkeys: Passkeys,
    pub users: Users,
    pub second_factors: SecondFactors,
    pub roles: Roles,
    pub api_keys: ApiKeys,
    pub files: Files,
    pub links: ShareLinks,
    pub(crate) content_host: ContentHost,
    pub uploads: Resumables,
    pub direct_uploads: DirectUploads,
    pub inbox: Inbox,
    pub jobs: JobAdministration,
    pub own_jobs: OwnJobs,
    pub audit: AuditLog,
    pub pages: Pages,
}

impl Services {
    pub fn new(settings: &Settings, stores: &Stores) -> anyhow::Result<Self> {
        let root = RootKey::parse(&settings.general.secret_key)?;
        let hasher = PasswordHasher::start(&settings.auth)?;
        let files = Files::new(stores, Limits::of(&settings.files), &settings.files.presets)
            .with_direct(DirectTransfers::of(&settings.files));
        let links = ShareLinks::new(stores, &files, &root, hasher.clone());
        let tickets = ContentTickets::new(stores, &files, &root);
        let content_host = ContentHost::new(&files, tickets, settings.general.content_url.as_ref());
        let access_tokens = AccessTokens::new(stores, settings, &root);
        let auth = Auth::new(stores, settings, &root, hasher, access_tokens);
        Ok(Self {
            passkeys: auth.passkeys().clone(),
            auth,
            users: Users::new(stores),
            second_factors: SecondFactors::new(stores, settings, &root),
            roles: Roles::new(stores),
            api_keys: ApiKeys::new(stores),
            uploads: Resumables::new(stores, &files),
            direct_uploads: DirectUploads::new(stores, &files),
            files,
            links,
            content_host,
            inbox: Inbox::new(stores),
            jobs: JobAdministration::new(stores),
            own_jobs: OwnJobs::new(stores),
            audit: AuditLog::new(stores),
            pages: Pages::new(settings, &root),
        })
    }
}

/// Every operation, as it is served and documented.
pub(crate) type Operations = (
    auth::Operations,
    users::Operations,
    sessions::Operations,
    second_factors::Operations,
    api_keys::Operations,
    administration::Operations,
    roles::Operations,
    passkeys::Operations,
    files::Operations,
    uploads::Operations,
    direct_uploads::Operations,
    notifications::Operations,
    jobs::Operations,
    own_jobs::Operations,
    audit::Operations,
);

/// What answers a client's requests. What goes on for long ends when it is `draining`.
pub fn endpoint(
    settings: &Settings,
    stores: &Stores,
    draining: &CancellationToken,
) -> anyhow::Result<BoxEndpoint<'static, Response>> {
    let services = Services::new(settings, stores)?;
    let access_tokens = services.auth.access_tokens().clone();
    tokio::spawn(
        draining
            .clone()
            .run_until_cancelled_owned(services.auth.learn_stored_hashes()),
    );
    let lifetime = SessionLifetime::of(settings);
    let operations: Operations = (
        auth::operations(&services.auth, &services.pages, lifetime, &stores.clock),
        users::operations(&services.users, &services.auth, &services.pages),
        sessions::operations(&services.auth),
        second_factors::operations(&services.second_factors),
        api_keys::operations(&services.api_keys),
        administration::operations(
            &services.users,
            &services.second_factors,
            &services.auth,
            &services.pages,
            lifetime,
        ),
        roles::operations(&services.roles),
        passkeys::operations(&services.passkeys),
        files::operations(
            &services.files,
            &services.links,
            &services.content_host,
            &settings.general.public_url,
        ),
        uploads::operations(&services.uploads, settings.files.abandoned_after),
        direct_uploads::operations(&services.direct_uploads, settings.files.abandoned_after),
        notifications::operations(&services.inbox),
        jobs::operations(&services.jobs),
        own_jobs::operations(&services.own_jobs, draining),
        audit::operations(&services.audit),
    );
    let content = settings
        .general
        .content_url
        .as_ref()
        .map(|url| ContentOnly(Host::of(url)));
    let routes = document::service(operations)
        .into_endpoint()
        .with(Published);
    let routes = match content {
        None => EitherEndpoint::A(routes),
        Some(content) => EitherEndpoint::B(routes.with(content)),
    };
    let api = &settings.api;
    let parts = AdmissionParts {
        gate: Gate::new(stores, &settings.limits),
        access_tokens,
        api_keys: Recognition::new(stores),
        pages: services.pages.clone(),
        clock: stores.clock.clone(),
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
        hsts: is_public_tls(&settings.general.public_url),
    };
    // Two pipelines rather than a layer that may do nothing: each layer carries the request.
    Ok(match api.cors_origins.0.as_slice() {
        [] => admitted.with(address).with(observe).boxed(),
        origins => admitted
            .with(RenderErrors)
            .with(cors(origins))
            .with(address)
            .with(observe)
            .boxed(),
    })
}

/// Serves clients until the process is asked to stop, then lets requests end within the grace.
pub async fn serve(settings: Settings) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(SERVICE, &settings)?;
    let stores = Stores::new(&settings, SERVICE)?;
    let draining = CancellationToken::new();
    let endpoint = endpoint(&settings, &stores, &draining)?;
    let readiness = readiness::of(&stores, &settings, SERVICE)?;
    let readiness = readiness::asking_objects(readiness, &stores)
        .noting("antivirus", stores.antivirus.standing());

    let gone = CancellationToken::new();
    let internal = internal::serve(
        settings.api.internal_bind,
        readiness.clone(),
        gone.clone().cancelled_owned(),
    );
    let mut internal = tokio::spawn(internal);
    let stop = async move {
        if let Err(error) = shutdown::requested().await {
            tracing::error!(%error, "signals cannot be received");
        }
        readiness.drain();
        draining.cancel();
    };
    let listener = server::listen(settings.api.bind).await?;
    tracing::info!(address = %settings.api.bind, "serving clients");
    tokio::select! {
        () = server::serve(listener, Plain, endpoint, server_limits(&settings), stop) => {}
        // Only a port that cannot be had ends it now.
        ended = &mut internal => return Ok(ended??),
    }
    // The port answers to the last: whoever asks is told "draining".
    gone.cancel();
    internal.await??;
    Ok(())
}

/// How many request timeouts a client may take no bytes. Linux reports progress only when a third of the send buffer has
/// drained, so that a slow reader looks stalled for a while.
const STALL_FACTOR: u32 = 6;

/// What a client of the API can hold up.
pub fn server_limits(settings: &Settings) -> ServerLimits {
    let api = &settings.api;
    ServerLimits {
        connections: api.max_connections.count(),
        head: api.request_timeout,
        idle: IDLE_CONNECTION,
        stall: api.request_timeout * STALL_FACTOR,
        drain: api.shutdown_grace,
    }
}

/// A browser remembers HSTS for a host and all of its ports: not for everything that runs on localhost.
fn is_public_tls(url: &str) -> bool {
    url.strip_prefix("https://")
        .is_some_and(|rest| !rest.starts_with("localhost"))
}

/// Allows the origins that are set any request header: upload clients add their own (`Upload-Concat`, `Cache-Control`), and an
/// origin that may send credentials gains nothing by a header.
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
        // Browsers then send cookies, from these origins alone.
        .allow_credentials(true)
        .max_age(PREFLIGHT_MAX_AGE)
}
