//! What each error code means to a client and what helps. docs/reference/errors.md is made from it.

use super::ErrorCode;

/// Returns the meaning and the remedy.
#[expect(clippy::too_many_lines, reason = "a table with one arm for each code")]
pub(super) const fn of(code: ErrorCode) -> (&'static str, &'static str) {
    match code {
        ErrorCode::BadRequest => (
            "The request cannot be understood; the status may be another 4xx that says it more exactly.",
            "Correct the request; repeating it unchanged fails again.",
        ),
        ErrorCode::BrokenBody => (
            "The connection ended before the whole body arrived.",
            "Send the request again.",
        ),
        ErrorCode::Interrupted => (
            "The content of an upload ended before its declared length.",
            "Send the content again, or continue a resumable upload at its offset.",
        ),
        ErrorCode::MalformedForm => (
            "The body is not valid `multipart/form-data`.",
            "Correct the form; `detail` says what cannot be read.",
        ),
        ErrorCode::MalformedJson => (
            "The body is not valid JSON, or an object has a member twice.",
            "Correct the body at the line and column in `detail`.",
        ),
        ErrorCode::MalformedRequest => (
            "The request line or a header field is malformed or too long.",
            "Correct or shorten the request.",
        ),
        ErrorCode::RepeatedField => (
            "A header field that may be given once is given more than once.",
            "Send the header field named in `detail` once.",
        ),
        ErrorCode::AccountChanged => (
            "The account changed while the request ran: its password, for example.",
            "After 401, log in again; after 409, repeat the request.",
        ),
        ErrorCode::AccountSuspended => (
            "The account is suspended: the one of the credentials (401), the one that logs in (403), or the one to impersonate (409).",
            "Ask an administrator to reactivate the account.",
        ),
        ErrorCode::AuthenticationRequired => (
            "The operation needs an access token or an API key, and the request has none.",
            "Log in and send the access token.",
        ),
        ErrorCode::InvalidChallenge => (
            "The challenge is unknown, used, expired, or ended after too many wrong proofs.",
            "Start the login or the step-up again.",
        ),
        ErrorCode::InvalidCredentials => (
            "The e-mail address or the password is wrong.",
            "Ask the user for the credentials again.",
        ),
        ErrorCode::InvalidPasskey => (
            "The passkey is unknown, or its signature does not verify.",
            "Start the login again with another passkey or the password.",
        ),
        ErrorCode::InvalidRefreshToken => (
            "The refresh token is unknown, expired or used.",
            "Log in again.",
        ),
        ErrorCode::InvalidSecondFactor => (
            "The second factor is wrong, or was used before.",
            "Ask the user for a new code; a challenge allows a few wrong ones.",
        ),
        ErrorCode::InvalidToken => (
            "The access token or API key is not valid for this service.",
            "Refresh the tokens or log in again; create another API key if it was one.",
        ),
        ErrorCode::SessionEnded => (
            "The session of the token has ended: by logout, by revocation, or with the account.",
            "Log in again.",
        ),
        ErrorCode::TokenExpired => (
            "The access token has expired.",
            "Refresh the tokens, then repeat the request.",
        ),
        ErrorCode::CsrfFailed => (
            "A request with a session cookie lacks a valid `X-CSRF-Token`, or comes from a page of another origin.",
            "Send the `csrf_token` of the session from an allowed origin.",
        ),
        ErrorCode::DirectUploadsOff => (
            "This deployment does not allow uploads directly to the object store.",
            "Upload through the API.",
        ),
        ErrorCode::EmailNotVerified => (
            "The e-mail address of the account is not verified.",
            "Ask the user to open the link in the verification e-mail.",
        ),
        ErrorCode::FileInfected => (
            "The scanner found a virus in the file, so it cannot be downloaded.",
            "Delete the file and upload a clean one.",
        ),
        ErrorCode::FileTooLargeToScan => (
            "The file is too large for the virus scanner, so it cannot be downloaded.",
            "Upload a smaller file.",
        ),
        ErrorCode::ImpersonationForbidden => (
            "The operation is closed to administrators who impersonate a user.",
            "End the impersonation; the user has to do it.",
        ),
        ErrorCode::LinkPasswordRequired => (
            "The share link has a password, and the request has no valid ticket for it.",
            "Get a ticket with the password (`POST /v1/links/{token}/tickets`).",
        ),
        ErrorCode::MetadataNotRemovable => (
            "The metadata of the image cannot be removed, so it cannot be downloaded.",
            "Save the image again with another program, then upload it.",
        ),
        ErrorCode::OriginNotAllowed => (
            "The browser's page belongs to an origin that may not call the API.",
            "Add the origin to `PLINTH_API_CORS_ORIGINS`, or call from an allowed one.",
        ),
        ErrorCode::OtherAccount => (
            "Another account requested this change of address.",
            "Log in to that account, or send its password.",
        ),
        ErrorCode::PermissionDenied => (
            "The caller lacks a permission that the operation needs.",
            "Ask an administrator for a role with the permission.",
        ),
        ErrorCode::RecoveryPending => (
            "The account is being recovered, and only the e-mailed link lets its owner in.",
            "Ask the user to open the link and choose a password.",
        ),
        ErrorCode::SecondFactorRequired => (
            "The session or API key has no second factor but needs one (403), or the change would leave an account without a factor that a role requires (409).",
            "After 403, log in or step up with a second factor; after 409, add another factor first.",
        ),
        ErrorCode::SecondFactorUnavailable => (
            "The account's second factor is a passkey, and this deployment has no domain for passkeys.",
            "Ask an administrator to reset the second factors.",
        ),
        ErrorCode::SessionRequired => (
            "The operation needs a user who has logged in; an API key is refused.",
            "Use the access token of a login.",
        ),
        ErrorCode::StepUpRequired => (
            "The operation needs a recent proof of identity.",
            "Call `POST /v1/auth/step-up`, then repeat the request with the new token.",
        ),
        ErrorCode::WrongLinkPassword => (
            "The password of the share link is wrong.",
            "Ask the user for the password again.",
        ),
        ErrorCode::NotFound => (
            "Nothing exists at this path or with this id, or the caller may not know of it.",
            "Check the path and the ids.",
        ),
        ErrorCode::MethodNotAllowed => (
            "The path exists, but not with this method.",
            "Use a method that openapi.json lists for the path.",
        ),
        ErrorCode::Timeout => (
            "The client sent the request too slowly.",
            "Send the request again over a faster connection.",
        ),
        ErrorCode::AccountDeleting => (
            "The account is scheduled for deletion, not suspended.",
            "Restore the account instead of reactivating it.",
        ),
        ErrorCode::AccountNotDeleting => (
            "The account is not scheduled for deletion, so it cannot be restored.",
            "Nothing is left to do.",
        ),
        ErrorCode::BuiltInRole => (
            "The permissions of a built-in role cannot change, and it cannot be removed.",
            "Create a role of your own.",
        ),
        ErrorCode::CurrentVersion => (
            "The current version of a file cannot be deleted alone.",
            "Delete the file, or make another version current first.",
        ),
        ErrorCode::EmailTaken => (
            "Another account has this address, or can still take it back.",
            "Use another address, or log in to that account.",
        ),
        ErrorCode::FileNotScanned => (
            "The virus scan of the file has not finished.",
            "Repeat the request after `Retry-After`.",
        ),
        ErrorCode::JobState => (
            "The job is in a state in which the operation is not possible.",
            "Read the job and act on its state.",
        ),
        ErrorCode::LastAdministrator => (
            "The change would leave no active administrator.",
            "Make another user an administrator first.",
        ),
        ErrorCode::MetadataNotRemoved => (
            "The removal of the image's metadata has not finished.",
            "Repeat the request after `Retry-After`.",
        ),
        ErrorCode::NoLinkPassword => (
            "The share link has no password, so there is no ticket to get.",
            "Download without a ticket.",
        ),
        ErrorCode::NoOtherCredential => (
            "The change would leave the account without a way to log in.",
            "Add a passkey or a password first.",
        ),
        ErrorCode::NoPasskey => (
            "The account has no passkey to step up with.",
            "Step up with the password.",
        ),
        ErrorCode::NoSecondFactor => (
            "Recovery codes exist only beside a second factor, and the account has none.",
            "Add a second factor first.",
        ),
        ErrorCode::NotUploaded => (
            "The object store lacks parts of the direct upload, or they have another size.",
            "Upload the missing parts, then complete the upload again.",
        ),
        ErrorCode::OwnAccount => (
            "An administrator cannot do this to the own account.",
            "Ask another administrator, or use the operations under `/v1/me`.",
        ),
        ErrorCode::PasskeyKnown => (
            "The passkey was added before.",
            "Use the passkey as it is, or add another one.",
        ),
        ErrorCode::PasskeysUnavailable => (
            "This deployment has no domain for passkeys.",
            "Use a password and an authenticator app.",
        ),
        ErrorCode::QuotaExceeded => (
            "The account would exceed its storage quota in bytes or in files.",
            "Delete files, empty the trash, or ask for a larger quota.",
        ),
        ErrorCode::RoleExists => (
            "A role with this name exists.",
            "Use another name, or change the existing role.",
        ),
        ErrorCode::RoleInUse => (
            "Accounts have the role, so it cannot be removed.",
            "Take the role from its accounts first.",
        ),
        ErrorCode::SecondFactorTooNew => (
            "A change of address can be waived only after every second factor has been in place for the recovery window.",
            "Wait until the newest factor is old enough.",
        ),
        ErrorCode::TooManyApiKeys => (
            "The account has as many API keys as allowed.",
            "Revoke one first.",
        ),
        ErrorCode::TooManyFactors => (
            "The account has as many authenticator apps as allowed.",
            "Remove one first.",
        ),
        ErrorCode::TooManyLinks => (
            "The file has as many share links as allowed.",
            "Revoke one first.",
        ),
        ErrorCode::TooManyPasskeys => (
            "The account has as many passkeys as allowed.",
            "Remove one first.",
        ),
        ErrorCode::TooManyRoles => ("There are as many roles as allowed.", "Remove one first."),
        ErrorCode::TooManyStreams => (
            "The account has as many event streams open as allowed.",
            "Close one first.",
        ),
        ErrorCode::TooManyUnfinishedUploads => (
            "The account has as many unfinished uploads as allowed.",
            "Finish or delete one first.",
        ),
        ErrorCode::TooManyVersions => (
            "The file has as many versions as allowed.",
            "Delete one first.",
        ),
        ErrorCode::UploadLength => (
            "The length of the upload was declared before with another value, or is below its offset.",
            "Send the length that was declared first.",
        ),
        ErrorCode::UploadOffset => (
            "The upload is at another offset than the request says.",
            "Continue at the offset in `Upload-Offset`.",
        ),
        ErrorCode::UploadOver => (
            "The direct upload is completed, refused or expired and takes nothing more.",
            "Read the upload for its result, or create another one.",
        ),
        ErrorCode::UploadTakenOver => (
            "Another request continues the upload.",
            "Ask for the offset, then continue from there with one request at a time.",
        ),
        ErrorCode::PreconditionFailed => (
            "The content is not the one that `If-Match` or `If-Unmodified-Since` means.",
            "Read the current content, then decide again.",
        ),
        ErrorCode::TusVersion => (
            "`Tus-Resumable` is missing or names another version of tus.",
            "Send the version that `Tus-Version` lists.",
        ),
        ErrorCode::TooLarge => (
            "The body is longer than allowed.",
            "Send at most as many bytes as `detail` says.",
        ),
        ErrorCode::TypeNotAllowed => (
            "The first bytes of the file show a media type that is not allowed.",
            "Upload one of the types in `detail`.",
        ),
        ErrorCode::UnsupportedMediaType => (
            "The `Content-Type` of the body is not the one that the operation takes.",
            "Send the media type in `detail`.",
        ),
        ErrorCode::RangeNotSatisfiable => (
            "No byte of the requested range is in the content.",
            "Use the size in `Content-Range`.",
        ),
        ErrorCode::DigestMismatch => (
            "The content does not have the digest that came with it; nothing was stored.",
            "Send the content again.",
        ),
        ErrorCode::ValidationFailed => (
            "Parts of the request are invalid.",
            "Correct the parts that `errors` lists.",
        ),
        ErrorCode::RateLimited => (
            "The client has sent too many requests.",
            "Wait as long as `Retry-After` says.",
        ),
        ErrorCode::TooManyConnections => (
            "The address of the client has as many requests under way as allowed.",
            "Wait for one to finish, or as long as `Retry-After` says.",
        ),
        ErrorCode::TooManyUploads => (
            "The account sends as many uploads at once as allowed.",
            "Wait for one to finish, or as long as `Retry-After` says.",
        ),
        ErrorCode::ChecksumMismatch => (
            "The bytes do not have the checksum in `Upload-Checksum`; they were not kept.",
            "Send the same bytes again at the same offset.",
        ),
        ErrorCode::Internal => (
            "The service failed; its log names the cause under `request_id`.",
            "Report the `request_id` to the operator.",
        ),
        ErrorCode::Busy => (
            "The service has too much to do at this moment.",
            "Repeat the request after `Retry-After`.",
        ),
        ErrorCode::DeadlineExceeded => (
            "The service did not answer within the deadline.",
            "Repeat the request after `Retry-After`; a change may have been made.",
        ),
        ErrorCode::Unavailable => (
            "A store that the service needs does not answer.",
            "Repeat the request after `Retry-After`.",
        ),
    }
}
