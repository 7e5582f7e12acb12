//! The caller of a request and their access rights. An operation declares its callers by a
//! parameter of the type [`Allowed`], [`NotImpersonated`], [`InSession`], [`Fresh`] or
//! [`Enrolling`], which also documents them.

mod requirement;
mod scheme;

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use plinth_core::Error;
use plinth_core::access::{Caller, Login};
use plinth_core::auth::SessionCaller;
use plinth_domain::error_code::ErrorCode;
use poem::{FromRequest, Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::browser;
use super::failure::Failure;

pub use requirement::*;
pub(crate) use scheme::Scheme;

/// The identity of the caller, as the admission found out; every request carries it.
#[derive(Debug, Clone)]
pub enum Identity {
    /// The request has no credentials.
    Anonymous,
    Authenticated(Authenticated),
    /// The credentials were rejected. An operation that needs no caller still runs.
    Rejected {
        code: ErrorCode,
        detail: &'static str,
    },
    /// A browser sent its session cookie without a valid CSRF token.
    CsrfFailed,
}

/// The identity of the caller, for an operation that is open to everyone.
#[derive(Debug)]
pub struct OptionalCaller(pub Identity);

impl<'a> FromRequest<'a> for OptionalCaller {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(
            request
                .data::<Identity>()
                .cloned()
                .unwrap_or(Identity::Anonymous),
        ))
    }
}

impl OptionalCaller {
    /// Returns the caller if they are a user in a session of their own.
    pub(crate) fn in_session(&self) -> Result<SessionCaller<'_>, Error> {
        let authenticated = self.0.authenticated()?;
        refuse_impersonation(authenticated)?;
        SessionCaller::of(&authenticated.caller).ok_or_else(session_required)
    }
}

/// An authenticated caller.
#[derive(Debug, Clone)]
pub struct Authenticated {
    pub caller: Arc<Caller>,
    /// Whether the last login or step-up is recent.
    pub is_fresh: bool,
}

impl Identity {
    pub fn caller(&self) -> Option<&Arc<Caller>> {
        match self {
            Self::Authenticated(authenticated) => Some(&authenticated.caller),
            Self::Anonymous | Self::Rejected { .. } | Self::CsrfFailed => None,
        }
    }

    fn authenticated(&self) -> Result<&Authenticated, Error> {
        match self {
            Self::Authenticated(authenticated) => Ok(authenticated),
            Self::Rejected { code, detail } => Err(Error::Unauthenticated {
                code: *code,
                detail,
            }),
            Self::CsrfFailed => Err(browser::csrf_failed()),
            Self::Anonymous => Err(authentication_required()),
        }
    }
}

fn authentication_required() -> Error {
    let detail = "Expected an access token or an API key.";
    Error::Unauthenticated {
        code: ErrorCode::AuthenticationRequired,
        detail,
    }
}

/// The callers that an operation accepts, in addition to its requirement.
pub trait Audience: Send + Sync + 'static {
    /// Returns the name of the placeholder security scheme for this audience and the requirement.
    fn scheme<R: Requirement>() -> &'static str;

    fn check(authenticated: &Authenticated) -> Result<(), Error>;
}

/// Users and API keys.
#[derive(Debug)]
pub struct AnyCaller;

/// Users and API keys, but no impersonating administrator: what the operation creates outlives the
/// impersonation.
#[derive(Debug)]
pub struct DirectCaller;

/// Users in a session; no API keys.
#[derive(Debug)]
pub struct LoggedInUser;

/// Users with a recent login or step-up; no impersonating administrators.
#[derive(Debug)]
pub struct SteppedUpUser;

/// Like [`SteppedUpUser`], but also users who lack a second factor that one of their roles
/// requires.
#[derive(Debug)]
pub struct EnrollingUser;

impl Audience for AnyCaller {
    fn scheme<R: Requirement>() -> &'static str {
        R::ALLOWED
    }

    fn check(authenticated: &Authenticated) -> Result<(), Error> {
        check_second_factor(authenticated)
    }
}

impl Audience for DirectCaller {
    fn scheme<R: Requirement>() -> &'static str {
        R::NOT_IMPERSONATED
    }

    fn check(authenticated: &Authenticated) -> Result<(), Error> {
        refuse_impersonation(authenticated)?;
        check_second_factor(authenticated)
    }
}

impl Audience for LoggedInUser {
    fn scheme<R: Requirement>() -> &'static str {
        R::IN_SESSION
    }

    fn check(authenticated: &Authenticated) -> Result<(), Error> {
        require_login(authenticated)?;
        check_second_factor(authenticated)
    }
}

impl Audience for SteppedUpUser {
    fn scheme<R: Requirement>() -> &'static str {
        R::FRESH
    }

    fn check(authenticated: &Authenticated) -> Result<(), Error> {
        check_fresh(authenticated)?;
        check_second_factor(authenticated)
    }
}

impl Audience for EnrollingUser {
    fn scheme<R: Requirement>() -> &'static str {
        R::ENROLLING
    }

    fn check(authenticated: &Authenticated) -> Result<(), Error> {
        check_fresh(authenticated)
    }
}

fn require_login(authenticated: &Authenticated) -> Result<&Login, Error> {
    authenticated.caller.login().ok_or_else(session_required)
}

/// Returns the error for an API key if a session is required.
pub(crate) fn session_required() -> Error {
    forbidden(
        ErrorCode::SessionRequired,
        "This operation requires a session; an API key is not accepted.",
    )
}

fn check_fresh(authenticated: &Authenticated) -> Result<(), Error> {
    require_login(authenticated)?;
    refuse_impersonation(authenticated)?;
    if !authenticated.is_fresh {
        let detail = "Confirm your identity (POST /v1/auth/step-up), then repeat the request with the new token.";
        return Err(forbidden(ErrorCode::StepUpRequired, detail));
    }
    Ok(())
}

fn refuse_impersonation(authenticated: &Authenticated) -> Result<(), Error> {
    if authenticated
        .caller
        .login()
        .is_some_and(|login| login.impersonator.is_some())
    {
        let detail = "This operation is not allowed during an impersonation.";
        return Err(forbidden(ErrorCode::ImpersonationForbidden, detail));
    }
    Ok(())
}

/// Checks the second factor that a role requires: of the session, or of the session that created
/// the API key.
fn check_second_factor(authenticated: &Authenticated) -> Result<(), Error> {
    if authenticated.caller.rights.requires_mfa && !authenticated.caller.is_multi_factor() {
        let detail = if authenticated.caller.api_key().is_some() {
            "A role of the account requires a second factor. Log in with it and create another API key."
        } else if authenticated.caller.user.has_second_factor {
            "A role of the account requires a second factor. Log in with it."
        } else {
            "A role of the account requires a second factor. Enrol one, then refresh the tokens."
        };
        return Err(forbidden(ErrorCode::SecondFactorRequired, detail));
    }
    Ok(())
}

fn forbidden(code: ErrorCode, detail: &str) -> Error {
    Error::Forbidden {
        code,
        detail: detail.to_owned(),
    }
}

/// A caller who may use the operation.
#[derive(Debug)]
pub struct Admitted<R, A> {
    caller: Arc<Caller>,
    requirement: PhantomData<(R, A)>,
}

/// Requires the permission.
pub type Allowed<R> = Admitted<R, AnyCaller>;
/// Requires the permission, and refuses impersonating administrators.
pub type NotImpersonated<R> = Admitted<R, DirectCaller>;
/// Requires the permission and a session.
pub type InSession<R> = Admitted<R, LoggedInUser>;
/// Requires the permission and a recent login or step-up.
pub type Fresh<R> = Admitted<R, SteppedUpUser>;
/// Like [`Fresh`], but also accepts users who lack a second factor that one of their roles
/// requires.
pub type Enrolling<R> = Admitted<R, EnrollingUser>;

impl<R: Requirement, A: Audience> Admitted<R, A> {
    fn check(request: &Request) -> Result<Self, Failure> {
        let authenticated = request
            .data::<Identity>()
            .ok_or_else(authentication_required)?
            .authenticated()?;
        // A missing permission comes first: a step-up would not help.
        if let Some(needed) =
            R::PERMISSION.filter(|needed| !authenticated.caller.rights.permissions.allow(*needed))
        {
            let detail = format!("The permission {needed} is required.");
            return Err(Error::Forbidden {
                code: ErrorCode::PermissionDenied,
                detail,
            }
            .into());
        }
        A::check(authenticated)?;
        Ok(Self {
            caller: authenticated.caller.clone(),
            requirement: PhantomData,
        })
    }
}

impl<R> Admitted<R, LoggedInUser> {
    pub fn login(&self) -> &Login {
        self.caller
            .login()
            .expect("the audience requires a session")
    }
}

impl<R> Admitted<R, SteppedUpUser> {
    /// Returns the caller, for a change that must not outlive the session.
    pub fn in_session(&self) -> SessionCaller<'_> {
        SessionCaller::of(&self.caller).expect("the audience requires a session")
    }
}

impl<R> Admitted<R, EnrollingUser> {
    /// Returns the caller, for a change that must not outlive the session.
    pub fn in_session(&self) -> SessionCaller<'_> {
        SessionCaller::of(&self.caller).expect("the audience requires a session")
    }
}

impl<R, A> Deref for Admitted<R, A> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl<'a, R: Requirement, A: Audience> ApiExtractor<'a> for Admitted<R, A> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    /// Registers a placeholder, which the document replaces by the real security schemes.
    fn register(registry: &mut Registry) {
        let scheme = MetaSecurityScheme {
            ty: "http",
            description: None,
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme(A::scheme::<R>(), scheme);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![A::scheme::<R>()]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self::check(request)?)
    }
}
