//! Who is asking and what he may do. An operation that takes an [`Allowed`] is closed to everybody else.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use plinth_core::Error;
use plinth_core::access::Caller;
use plinth_domain::permission::Permission;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::failure::Failure;

const SCHEME: &str = "bearer";

/// What the admission learnt of who is asking; put into every request.
#[derive(Debug, Clone)]
pub enum Identity {
    /// No credentials were presented.
    Nobody,
    Known(Arc<Caller>),
    /// Credentials were presented and refused: an operation that needs none goes on.
    Refused {
        code: &'static str,
        detail: &'static str,
    },
}

impl Identity {
    pub fn caller(&self) -> Option<&Arc<Caller>> {
        match self {
            Self::Known(caller) => Some(caller),
            Self::Nobody | Self::Refused { .. } => None,
        }
    }
}

/// A permission as a type, so that the signature of an operation says what it needs.
pub trait Requirement: Send + Sync + 'static {
    /// `None` lets in whoever is logged in.
    const PERMISSION: Option<Permission>;
}

macro_rules! requirements {
    ($($name:ident),* $(,)?) => {$(
        #[doc = concat!("Needs [`Permission::", stringify!($name), "`].")]
        #[derive(Debug)]
        pub struct $name;

        impl Requirement for $name {
            const PERMISSION: Option<Permission> = Some(Permission::$name);
        }
    )*};
}

requirements! { ProfileRead, ProfileWrite, FilesRead, FilesWrite, NotificationsRead, AuditRead }

/// Needs a session and no permission.
#[derive(Debug)]
pub struct LoggedIn;

impl Requirement for LoggedIn {
    const PERMISSION: Option<Permission> = None;
}

/// A caller who may do what the operation needs.
#[derive(Debug)]
pub struct Allowed<R> {
    caller: Arc<Caller>,
    requirement: PhantomData<R>,
}

impl<R: Requirement> Allowed<R> {
    fn check(request: &Request) -> Result<Self, Failure> {
        let caller = match request.data::<Identity>() {
            Some(Identity::Known(caller)) => caller.clone(),
            Some(Identity::Refused { code, detail }) => {
                return Err(Error::Unauthenticated { code, detail }.into());
            }
            Some(Identity::Nobody) | None => {
                let detail = "An access token is needed.";
                return Err(Error::Unauthenticated { code: "authentication_required", detail }.into());
            }
        };
        if let Some(needed) = R::PERMISSION.filter(|needed| !caller.user.permissions.allow(*needed)) {
            let detail = format!("The permission {needed} is needed.");
            return Err(Error::Forbidden { code: "permission_denied", detail }.into());
        }
        Ok(Self { caller, requirement: PhantomData })
    }
}

impl<R> Deref for Allowed<R> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl<'a, R: Requirement> ApiExtractor<'a> for Allowed<R> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let scheme = MetaSecurityScheme {
            ty: "http",
            description: Some(
                "The access token of a login, for a few minutes; refresh it with the refresh token.",
            ),
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            bearer_format: Some("JWT"),
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme(SCHEME, scheme);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self::check(request)?)
    }
}
