//! The services that operations use.

use std::time::Duration;

use plinth_core::Stores;
use plinth_core::access_tokens::AccessTokens;
use plinth_core::api_keys::ApiKeys;
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
use plinth_platform::clock::Clock;
use plinth_platform::crypto::{PasswordHasher, RootKey};
use plinth_platform::settings::Settings;
use tokio_util::sync::CancellationToken;

use crate::http::browser::{CsrfGuard, SessionLifetime};
use crate::http::content_host::ContentHost;

/// One field per service. An operation names the fields that it uses: see
/// [`operations!`](crate::http::operation::operations).
pub(crate) struct Services {
    pub(crate) auth: Auth,
    pub(crate) passkeys: Passkeys,
    pub(crate) users: Users,
    pub(crate) factors: SecondFactors,
    pub(crate) roles: Roles,
    pub(crate) api_keys: ApiKeys,
    pub(crate) files: Files,
    pub(crate) links: ShareLinks,
    pub(crate) content_host: ContentHost,
    pub(crate) uploads: Resumables,
    pub(crate) direct_uploads: DirectUploads,
    pub(crate) inbox: Inbox,
    pub(crate) jobs: JobAdministration,
    pub(crate) own_jobs: OwnJobs,
    pub(crate) audit: AuditLog,
    pub(crate) csrf: CsrfGuard,
    pub(crate) lifetime: SessionLifetime,
    pub(crate) clock: Clock,
    /// The base of links to this deployment.
    pub(crate) public_url: String,
    /// How long an upload may receive no bytes before it is deleted.
    pub(crate) abandoned_after: Duration,
    /// Cancelled when the process starts to stop. Long responses then end.
    pub(crate) draining: CancellationToken,
}

impl Services {
    /// Builds the services from the settings.
    ///
    /// # Errors
    /// The root key is malformed, or the threads for password hashes cannot be started.
    pub(crate) fn new(
        settings: &Settings,
        stores: &Stores,
        draining: &CancellationToken,
    ) -> anyhow::Result<Self> {
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
            factors: SecondFactors::new(stores, settings, &root),
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
            csrf: CsrfGuard::new(settings, &root),
            lifetime: SessionLifetime::new(settings),
            clock: stores.clock.clone(),
            public_url: str::to_owned(&settings.general.public_url),
            abandoned_after: settings.files.abandoned_after,
            draining: draining.clone(),
        })
    }
}
