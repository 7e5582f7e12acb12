//! The audience and the permission of an operation, parsed from the name of its placeholder
//! security scheme.

use plinth_domain::error_code::ErrorCode;
use plinth_domain::permission::Permission;

use super::requirement;
use crate::http::operation::Refusal;

/// The callers that an operation accepts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scheme {
    pub(crate) permission: Option<Permission>,
    audience: Audience,
}

/// The audiences that implement [`super::Audience`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "kebab-case")]
enum Audience {
    Allowed,
    NotImpersonated,
    InSession,
    Fresh,
    Enrolling,
}

impl Scheme {
    /// Parses a name that [`requirement`] made, for example `fresh RolesWrite`.
    ///
    /// # Panics
    /// The name has another format.
    pub(crate) fn parse(name: &str) -> Self {
        let (audience, requirement) = name
            .split_once(' ')
            .expect("the name has an audience and a requirement");
        Self {
            permission: requirement::permission_of(requirement),
            audience: audience.parse().expect("the audience is known"),
        }
    }

    /// Returns whether API keys may call the operation.
    pub(crate) fn takes_api_keys(self) -> bool {
        matches!(self.audience, Audience::Allowed | Audience::NotImpersonated)
    }

    /// Returns whether the caller needs a recent login or step-up.
    pub(crate) fn needs_step_up(self) -> bool {
        matches!(self.audience, Audience::Fresh | Audience::Enrolling)
    }

    /// Returns whether an administrator who impersonates a user may call the operation.
    pub(crate) fn allows_impersonation(self) -> bool {
        matches!(self.audience, Audience::Allowed | Audience::InSession)
    }

    /// Returns whether impersonating administrators are the only callers that the operation
    /// refuses.
    pub(crate) fn refuses_only_impersonation(self) -> bool {
        self.audience == Audience::NotImpersonated
    }

    /// Returns the errors for a caller who may not call the operation.
    pub(crate) fn refusals(self, is_safe: bool) -> Vec<Refusal> {
        let mut all = vec![
            (401, ErrorCode::AccountSuspended),
            (401, ErrorCode::AuthenticationRequired),
            (401, ErrorCode::InvalidToken),
            (401, ErrorCode::SessionEnded),
            (401, ErrorCode::TokenExpired),
        ];
        let forbidden = [
            (ErrorCode::CsrfFailed, !is_safe),
            (
                ErrorCode::ImpersonationForbidden,
                !self.allows_impersonation(),
            ),
            (ErrorCode::PermissionDenied, self.permission.is_some()),
            (
                ErrorCode::SecondFactorRequired,
                self.audience != Audience::Enrolling,
            ),
            (ErrorCode::SessionRequired, !self.takes_api_keys()),
            (ErrorCode::StepUpRequired, self.needs_step_up()),
        ];
        let forbidden = forbidden.into_iter().filter(|(_, applies)| *applies);
        all.extend(forbidden.map(|(code, _)| (403, code)));
        all
    }
}
