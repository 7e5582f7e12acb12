//! The audience and the permission of an operation, read back from the name that its signature left in the metadata.

use plinth_domain::error_code::ErrorCode;
use plinth_domain::permission::Permission;

use super::requirement;
use crate::http::operation::Refusal;

/// Who may call an operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scheme {
    pub(crate) permission: Option<Permission>,
    audience: Audience,
}

/// The types of callers, as [`super::Audience`] is implemented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "kebab-case")]
enum Audience {
    Allowed,
    InOwnName,
    InSession,
    Fresh,
    Enrolling,
}

impl Scheme {
    /// Reads a name that [`requirement`] made, e.g. `fresh RolesWrite`.
    ///
    /// # Panics
    /// The name is another one.
    pub(crate) fn parse(name: &str) -> Self {
        let (audience, requirement) = name
            .split_once(' ')
            .expect("a name says audience and requirement");
        Self {
            permission: requirement::permission_of(requirement),
            audience: audience.parse().expect("the audience is one of these"),
        }
    }

    /// Returns whether API keys may call the operation.
    pub(crate) fn takes_api_keys(self) -> bool {
        matches!(self.audience, Audience::Allowed | Audience::InOwnName)
    }

    /// Returns whether the caller needs a login of the last minutes.
    pub(crate) fn needs_step_up(self) -> bool {
        matches!(self.audience, Audience::Fresh | Audience::Enrolling)
    }

    /// Returns whether an administrator who impersonates a user may call the operation.
    pub(crate) fn allows_impersonation(self) -> bool {
        matches!(self.audience, Audience::Allowed | Audience::InSession)
    }

    /// Returns whether the operation refuses only the impersonating administrator, not every API key or old login.
    pub(crate) fn is_in_own_name(self) -> bool {
        self.audience == Audience::InOwnName
    }

    /// Returns what a caller who may not call the operation is answered with.
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
