//! Who is asking and what he may do. An operation that takes an [`Allowed`], an [`InOwnName`], an
//! [`InSession`], a [`Fresh`] or an [`Enrolling`] is closed to everybody else, and the document says so.

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

/// What the admission learnt of who is asking; put into every request.
#[derive(Debug, Clone)]
pub enum Identity {
    /// No credentials were presented.
    Nobody,
    Known(Known),
    /// Credentials were presented and refused: an operation that needs none goes on.
    Refused {
        code: ErrorCode,
        detail: &'static str,
    },
    /// A browser sent its cookie, and nothing shows that the page that made it do so is ours.
    Unproven,
}

/// The identity behind a request, for an operation that needs none.
#[derive(Debug)]
pub struct Asking(pub Identity);

impl<'a> FromRequest<'a> for Asking {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(
            request
                .data::<Identity>()
                .cloned()
                .unwrap_or(Identity::Nobody),
        ))
    }
}

impl Asking {
    /// Returns the caller of an operation that is open to everybody, if it is a person in a session of their own.
    pub(crate) fn in_session(&self) -> Result<SessionCaller<'_>, Error> {
        let known = self.0.known()?;
        refuse_impersonation(known)?;
        SessionCaller::of(&known.caller).ok_or_else(session_required)
    }
}

/// Somebody who was let in.
#[derive(Debug, Clone)]
pub struct Known {
    pub caller: Arc<Caller>,
    /// Whether he has proved just now who he is.
    pub is_fresh: bool,
}

impl Identity {
    pub fn caller(&self) -> Option<&Arc<Caller>> {
        match self {
            Self::Known(known) => Some(&known.caller),
            Self::Nobody | Self::Refused { .. } | Self::Unproven => None,
        }
    }

    fn known(&self) -> Result<&Known, Error> {
        match self {
            Self::Known(known) => Ok(known),
            Self::Refused { code, detail } => Err(Error::Unauthenticated {
                code: *code,
                detail,
            }),
            Self::Unproven => Err(browser::foreign_page()),
            Self::Nobody => Err(nobody()),
        }
    }
}

fn nobody() -> Error {
    let detail = "An access token is needed.";
    Error::Unauthenticated {
        code: ErrorCode::AuthenticationRequired,
        detail,
    }
}

/// Who may use an operation, beside what the requirement says.
pub trait Audience: Send + Sync + 'static {
    /// The name under which the document knows of it and of the requirement.
    fn scheme<R: Requirement>() -> &'static str;

    fn check(known: &Known) -> Result<(), Error>;
}

/// People and programs.
#[derive(Debug)]
pub struct Anybody;

/// People and programs, but no administrator who acts in another person's name: what the operation makes outlives the
/// impersonation.
#[derive(Debug)]
pub struct OwnName;

/// People who have logged in; no program.
#[derive(Debug)]
pub struct People;

/// People who have proved just now who they are, and in whose name nobody else acts.
#[derive(Debug)]
pub struct FreshPeople;

/// The same, also while a role of theirs still waits for a second factor.
#[derive(Debug)]
pub struct Enrollers;

impl Audience for Anybody {
    fn scheme<R: Requirement>() -> &'static str {
        R::ALLOWED
    }

    fn check(known: &Known) -> Result<(), Error> {
        check_factor(known)
    }
}

impl Audience for OwnName {
    fn scheme<R: Requirement>() -> &'static str {
        R::IN_OWN_NAME
    }

    fn check(known: &Known) -> Result<(), Error> {
        refuse_impersonation(known)?;
        check_factor(known)
    }
}

impl Audience for People {
    fn scheme<R: Requirement>() -> &'static str {
        R::IN_SESSION
    }

    fn check(known: &Known) -> Result<(), Error> {
        login(known)?;
        check_factor(known)
    }
}

impl Audience for FreshPeople {
    fn scheme<R: Requirement>() -> &'static str {
        R::FRESH
    }

    fn check(known: &Known) -> Result<(), Error> {
        check_fresh(known)?;
        check_factor(known)
    }
}

impl Audience for Enrollers {
    fn scheme<R: Requirement>() -> &'static str {
        R::ENROLLING
    }

    fn check(known: &Known) -> Result<(), Error> {
        check_fresh(known)
    }
}

fn login(known: &Known) -> Result<&Login, Error> {
    known.caller.login().ok_or_else(session_required)
}

/// The refusal of an API key where a session is needed.
pub(crate) fn session_required() -> Error {
    forbidden(
        ErrorCode::SessionRequired,
        "This needs a person who has logged in; an API key cannot do it.",
    )
}

fn check_fresh(known: &Known) -> Result<(), Error> {
    login(known)?;
    refuse_impersonation(known)?;
    if !known.is_fresh {
        let detail = "Prove again who you are (POST /v1/auth/step-up), then repeat the request with the new token.";
        return Err(forbidden(ErrorCode::StepUpRequired, detail));
    }
    Ok(())
}

fn refuse_impersonation(known: &Known) -> Result<(), Error> {
    if known
        .caller
        .login()
        .is_some_and(|login| login.impersonator.is_some())
    {
        let detail = "An administrator who acts in another person's name cannot do this.";
        return Err(forbidden(ErrorCode::ImpersonationForbidden, detail));
    }
    Ok(())
}

/// A role may require a second factor: of the session, or of the session that made the API key.
fn check_factor(known: &Known) -> Result<(), Error> {
    if known.caller.rights.requires_mfa && !known.caller.is_multi_factor() {
        let detail = if known.caller.api_key().is_some() {
            "A role of the account needs a second factor: make another API key after a login with it."
        } else if known.caller.user.has_second_factor {
            "A role of the account needs a second factor: log in with it."
        } else {
            "A role of the account needs a second factor: enrol one, then refresh the tokens."
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

/// Somebody who may do what the operation needs.
#[derive(Debug)]
pub struct Admitted<R, A> {
    caller: Arc<Caller>,
    requirement: PhantomData<(R, A)>,
}

/// Needs the permission.
pub type Allowed<R> = Admitted<R, Anybody>;
/// Needs the permission, and is closed to administrators who act in another person's name.
pub type InOwnName<R> = Admitted<R, OwnName>;
/// Needs the permission and a login.
pub type InSession<R> = Admitted<R, People>;
/// Needs the permission and a proof of a moment ago (a "step-up").
pub type Fresh<R> = Admitted<R, FreshPeople>;
/// Needs the same, and is open to those whose role still waits for a second factor.
pub type Enrolling<R> = Admitted<R, Enrollers>;

impl<R: Requirement, A: Audience> Admitted<R, A> {
    fn check(request: &Request) -> Result<Self, Failure> {
        let known = request.data::<Identity>().ok_or_else(nobody)?.known()?;
        // What is missing for good is said before what a step-up would mend.
        if let Some(needed) =
            R::PERMISSION.filter(|needed| !known.caller.rights.permissions.allow(*needed))
        {
            let detail = format!("The permission {needed} is needed.");
            return Err(Error::Forbidden {
                code: ErrorCode::PermissionDenied,
                detail,
            }
            .into());
        }
        A::check(known)?;
        Ok(Self {
            caller: known.caller.clone(),
            requirement: PhantomData,
        })
    }
}

impl<R> Admitted<R, People> {
    pub fn login(&self) -> &Login {
        self.caller.login().expect("only people are admitted")
    }
}

impl<R> Admitted<R, FreshPeople> {
    /// The caller, for a change that requires the session to live until it is made.
    pub fn in_session(&self) -> SessionCaller<'_> {
        SessionCaller::of(&self.caller).expect("only people are admitted")
    }
}

impl<R> Admitted<R, Enrollers> {
    /// The caller, for a change that requires the session to live until it is made.
    pub fn in_session(&self) -> SessionCaller<'_> {
        SessionCaller::of(&self.caller).expect("only people are admitted")
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

    /// A name that the document replaces by what it stands for.
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
