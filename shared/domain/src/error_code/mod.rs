//! Error codes: the stable names of everything that the API refuses or fails with.

mod description;

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// The `code` of a problem (RFC 9457), as clients read it; its text is the variant's name in snake case.
///
/// The set is closed: the schema in openapi.json and the page docs/reference/errors.md are made from it. A text never changes, because
/// clients branch on it. The codes of fields in `errors` of `validation_failed` are another set: see
/// [`Rejection`](crate::rejection::Rejection).
///
/// Variants are sorted by their first status, then by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ErrorCode {
    BadRequest,
    BrokenBody,
    Interrupted,
    MalformedForm,
    MalformedJson,
    MalformedRequest,
    RepeatedField,
    AccountChanged,
    AccountSuspended,
    AuthenticationRequired,
    InvalidChallenge,
    InvalidCredentials,
    InvalidPasskey,
    InvalidRefreshToken,
    InvalidSecondFactor,
    InvalidToken,
    SessionEnded,
    TokenExpired,
    CsrfFailed,
    DirectUploadsOff,
    EmailNotVerified,
    FileInfected,
    FileTooLargeToScan,
    ImpersonationForbidden,
    LinkPasswordRequired,
    MetadataNotRemovable,
    OriginNotAllowed,
    OtherAccount,
    PermissionDenied,
    RecoveryPending,
    SecondFactorRequired,
    SecondFactorUnavailable,
    SessionRequired,
    StepUpRequired,
    WrongLinkPassword,
    NotFound,
    MethodNotAllowed,
    Timeout,
    AccountDeleting,
    AccountNotDeleting,
    BuiltInRole,
    CurrentVersion,
    EmailTaken,
    FileNotScanned,
    JobState,
    LastAdministrator,
    MetadataNotRemoved,
    NoLinkPassword,
    NoOtherCredential,
    NoPasskey,
    NoSecondFactor,
    NotUploaded,
    OwnAccount,
    PasskeyKnown,
    PasskeysUnavailable,
    QuotaExceeded,
    RoleExists,
    RoleInUse,
    SecondFactorTooNew,
    TooManyApiKeys,
    TooManyFactors,
    TooManyLinks,
    TooManyPasskeys,
    TooManyRoles,
    TooManyStreams,
    TooManyUnfinishedUploads,
    TooManyVersions,
    UploadLength,
    UploadOffset,
    UploadOver,
    UploadTakenOver,
    PreconditionFailed,
    TusVersion,
    TooLarge,
    TypeNotAllowed,
    UnsupportedMediaType,
    RangeNotSatisfiable,
    DigestMismatch,
    ValidationFailed,
    RateLimited,
    TooManyConnections,
    TooManyUploads,
    ChecksumMismatch,
    Internal,
    Busy,
    DeadlineExceeded,
    Unavailable,
}

impl ErrorCode {
    /// Every code, in the order of docs/reference/errors.md.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the text that clients compare.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the HTTP statuses that come with the code. Most codes have one; a few name one state of the account that
    /// refuses the credentials (401), the caller (403) or the change (409). 460 is from the checksum extension of tus 1.0.
    pub const fn statuses(self) -> &'static [u16] {
        match self {
            Self::BadRequest
            | Self::BrokenBody
            | Self::Interrupted
            | Self::MalformedForm
            | Self::MalformedJson
            | Self::MalformedRequest
            | Self::RepeatedField => &[400],
            Self::AccountChanged => &[401, 409],
            Self::AccountSuspended => &[401, 403, 409],
            Self::AuthenticationRequired
            | Self::InvalidChallenge
            | Self::InvalidCredentials
            | Self::InvalidPasskey
            | Self::InvalidRefreshToken
            | Self::InvalidSecondFactor
            | Self::InvalidToken
            | Self::SessionEnded
            | Self::TokenExpired => &[401],
            Self::CsrfFailed
            | Self::DirectUploadsOff
            | Self::EmailNotVerified
            | Self::FileInfected
            | Self::FileTooLargeToScan
            | Self::ImpersonationForbidden
            | Self::LinkPasswordRequired
            | Self::MetadataNotRemovable
            | Self::OriginNotAllowed
            | Self::OtherAccount
            | Self::PermissionDenied
            | Self::RecoveryPending
            | Self::SecondFactorUnavailable
            | Self::SessionRequired
            | Self::StepUpRequired
            | Self::WrongLinkPassword => &[403],
            Self::SecondFactorRequired => &[403, 409],
            Self::NotFound => &[404],
            Self::MethodNotAllowed => &[405],
            Self::Timeout => &[408],
            Self::AccountDeleting
            | Self::AccountNotDeleting
            | Self::BuiltInRole
            | Self::CurrentVersion
            | Self::EmailTaken
            | Self::FileNotScanned
            | Self::JobState
            | Self::LastAdministrator
            | Self::MetadataNotRemoved
            | Self::NoLinkPassword
            | Self::NoOtherCredential
            | Self::NoPasskey
            | Self::NoSecondFactor
            | Self::NotUploaded
            | Self::OwnAccount
            | Self::PasskeyKnown
            | Self::PasskeysUnavailable
            | Self::QuotaExceeded
            | Self::RoleExists
            | Self::RoleInUse
            | Self::SecondFactorTooNew
            | Self::TooManyApiKeys
            | Self::TooManyFactors
            | Self::TooManyLinks
            | Self::TooManyPasskeys
            | Self::TooManyRoles
            | Self::TooManyStreams
            | Self::TooManyUnfinishedUploads
            | Self::TooManyVersions
            | Self::UploadLength
            | Self::UploadOffset
            | Self::UploadOver
            | Self::UploadTakenOver => &[409],
            Self::PreconditionFailed | Self::TusVersion => &[412],
            Self::TooLarge => &[413],
            Self::TypeNotAllowed | Self::UnsupportedMediaType => &[415],
            Self::RangeNotSatisfiable => &[416],
            Self::DigestMismatch | Self::ValidationFailed => &[422],
            Self::RateLimited | Self::TooManyConnections | Self::TooManyUploads => &[429],
            Self::ChecksumMismatch => &[460],
            Self::Internal => &[500],
            Self::Busy | Self::DeadlineExceeded | Self::Unavailable => &[503],
        }
    }

    /// Returns the title of a problem with this code, in a few words.
    pub fn title(self) -> String {
        if self == Self::Internal {
            return "Something went wrong on our side".to_owned();
        }
        let mut words = self.as_str().replace('_', " ");
        words[..1].make_ascii_uppercase();
        words
    }

    /// Returns what the code says, in a sentence of Markdown.
    pub const fn meaning(self) -> &'static str {
        description::of(self).0
    }

    /// Returns what the client or its user can do, in a sentence of Markdown.
    pub const fn remedy(self) -> &'static str {
        description::of(self).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_its_name_in_snake_case() {
        assert_eq!(ErrorCode::NotFound.as_str(), "not_found");
        assert_eq!(ErrorCode::TusVersion.to_string(), "tus_version");
        assert_eq!("too_many_api_keys".parse(), Ok(ErrorCode::TooManyApiKeys));
    }

    #[test]
    fn a_title_is_the_code_in_words() {
        assert_eq!(ErrorCode::ValidationFailed.title(), "Validation failed");
        assert_eq!(
            ErrorCode::Internal.title(),
            "Something went wrong on our side"
        );
    }

    #[test]
    fn codes_are_sorted_by_status_and_name() {
        let keys: Vec<_> = ErrorCode::ALL
            .iter()
            .map(|code| (code.statuses()[0], code.as_str()))
            .collect();
        assert!(keys.is_sorted(), "{keys:?}");
    }

    #[test]
    fn statuses_are_errors_in_ascending_order() {
        for code in ErrorCode::ALL {
            let statuses = code.statuses();
            assert!(
                statuses.iter().all(|status| (400..600).contains(status)),
                "{code}: {statuses:?}"
            );
            assert!(statuses.is_sorted(), "{code}: {statuses:?}");
        }
    }

    #[test]
    fn meaning_and_remedy_are_sentences() {
        for code in ErrorCode::ALL {
            for text in [code.meaning(), code.remedy()] {
                let starts_as_one =
                    text.starts_with(|first: char| first.is_ascii_uppercase() || first == '`');
                assert!(
                    starts_as_one && text.ends_with('.') && !text.contains(['|', '\n']),
                    "{code}: {text}"
                );
            }
        }
    }
}
