//! The catalogue of the texts of all e-mails, in English. No other file of the worker has text for
//! the reader of an e-mail.

use std::time::Duration;

use plinth_core::auth::NoticeMail;
use plinth_core::second_factors::RemainingFactor;
use plinth_domain::notice::{FactorKind, SecurityNotice};
use plinth_domain::text::is_plain_in_mail;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// The language of the catalogue, as an HTML `lang` attribute.
pub(super) const LANGUAGE: &str = "en";

/// The line before the product's name at the end of every e-mail.
pub(super) const SIGN_OFF: &str = "Best regards,";

/// The text before the link in full, below the button of the HTML part.
pub(super) const COPY_LINK: &str = "Or open this link:";

const DATE_FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[day padding:none] [month repr:long] [year]");
const TIME_FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute] (UTC)");

/// The text of one e-mail. The templates add the link and the sign-off.
pub(super) struct MailText {
    pub(super) subject: &'static str,
    pub(super) greeting: String,
    /// The paragraphs before the link.
    pub(super) paragraphs: Vec<String>,
    /// The label of the link.
    pub(super) action: &'static str,
    /// The paragraphs after the link.
    pub(super) notes: Vec<String>,
}

/// The page to which the link of a security notice leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextStep {
    RestoreAddress { valid: Duration },
    ChoosePassword,
    Register,
}

/// Returns the text of the e-mail that proves the address of a registration.
pub(super) fn verification(product: &str, valid: Duration) -> MailText {
    MailText {
        subject: "Confirm your email address",
        greeting: greeting(None),
        paragraphs: vec![format!(
            "Please confirm that this email address is yours. Open the link below and enter the \
             password that you chose when you registered at {product}."
        )],
        action: "Confirm my address",
        notes: vec![
            link_lifetime(&hours(valid)),
            "If you did not register, ignore this email. Without the password of the registration no \
             account is created, and the registration is deleted after a few days."
                .to_owned(),
        ],
    }
}

/// Returns the text of the e-mail with which a user chooses a new password.
pub(super) fn password_reset(
    product: &str,
    display_name: Option<&str>,
    valid: Duration,
) -> MailText {
    MailText {
        subject: "Choose a new password",
        greeting: greeting(display_name),
        paragraphs: vec![format!(
            "Someone requested a new password for your account at {product}. If it was you, open the \
             link below and choose one."
        )],
        action: "Choose a new password",
        notes: vec![
            link_lifetime(&hours(valid)),
            "If it was not you, ignore this email. Your password does not change.".to_owned(),
        ],
    }
}

/// Returns the text of the e-mail that proves the new address of an account.
pub(super) fn email_change(product: &str, valid: Duration) -> MailText {
    MailText {
        subject: "Confirm your new email address",
        greeting: greeting(None),
        paragraphs: vec![format!(
            "Please confirm that this is the new email address of your account at {product}."
        )],
        action: "Confirm my new address",
        notes: vec![
            format!(
                "{} It asks for the password of the account unless you are logged in to it.",
                link_lifetime(&hours(valid))
            ),
            "If you did not request this, ignore this email. Nothing will change.".to_owned(),
        ],
    }
}

/// Returns the text of the e-mail about an event in an account.
pub(super) fn security_notice(
    product: &str,
    notice: &SecurityNotice,
    due: &NoticeMail,
    next_step: NextStep,
    happened_at: OffsetDateTime,
) -> MailText {
    let (subject, event) = event(notice, product);
    let mut paragraphs = vec![event];
    paragraphs.extend(due.remaining_factors.as_deref().map(remaining_factors));
    if let (SecurityNotice::DeletionScheduled, Some(due_at)) = (notice, due.deletion_due_at) {
        paragraphs.push(format!(
            "It will be deleted permanently on {}. To restore it, log in before then.",
            format_time(due_at)
        ));
    }
    paragraphs.push(advice(notice, next_step));
    MailText {
        subject,
        greeting: greeting(due.display_name.as_deref()),
        paragraphs,
        action: match next_step {
            NextStep::RestoreAddress { .. } => "Restore my address",
            NextStep::ChoosePassword => "Choose a new password",
            NextStep::Register => "Create a new account",
        },
        notes: vec![format!("This happened on {}.", format_time(happened_at))],
    }
}

/// Returns the subject of a notice, and the paragraph that says what happened.
fn event(notice: &SecurityNotice, product: &str) -> (&'static str, String) {
    let (subject, event): (_, &str) = match notice {
        SecurityNotice::RegistrationAttempted => {
            let event = format!(
                "Someone tried to create an account at {product} with this email address. You already \
                 have an account, so nothing was created and nothing was changed."
            );
            return ("You already have an account", event);
        }
        SecurityNotice::PasswordChanged => (
            "Your password was changed",
            "The password of your account was changed. All other sessions have ended.",
        ),
        SecurityNotice::PasswordReset => (
            "Your password was reset",
            "A new password was chosen with a link from an email to you. All sessions have ended, and \
             all API keys were revoked.",
        ),
        SecurityNotice::PasswordRemoved => (
            "Your password was removed",
            "The password of your account was removed. From now on you can log in only with a passkey. \
             All other sessions have ended.",
        ),
        SecurityNotice::EmailChanged { .. } => (
            "Your email address was changed",
            "Your account has a new email address. We no longer send emails about it to this address.",
        ),
        SecurityNotice::EmailChangeUndone => (
            "Your email address was restored",
            "Your account has this email address again. All sessions have ended, and all API keys were \
             revoked. Your password no longer works: choose a new one with the link in the other email \
             that we sent you.",
        ),
        SecurityNotice::EmailRemoved { .. } => {
            let event = format!(
                "Your account at {product} has an earlier email address again, because the link in an \
                 email to that address was opened. You can no longer log in with this address, and we \
                 no longer send emails about the account to it."
            );
            return ("Your email address was removed from an account", event);
        }
        SecurityNotice::EmailUndoWaived => (
            "Your change of email address is final",
            "Earlier email addresses of your account can no longer be restored.",
        ),
        SecurityNotice::AccountReset => (
            "Your account was reset",
            "An administrator reset your account. All sessions have ended, and all API keys and second \
             factors were removed. Your password no longer works: choose a new one with the link in the \
             other email that we sent you.",
        ),
        SecurityNotice::LoginsFailed { failures } => {
            let event = format!(
                "{failures} attempts to log in to your account have failed. Further attempts have to \
                 wait longer each time, except on devices on which you have logged in before."
            );
            return ("Failed attempts to log in to your account", event);
        }
        SecurityNotice::RefreshReused => (
            "One of your sessions was ended",
            "A token of one of your sessions was used a second time. Someone else may have a copy of it, \
             so we ended the session.",
        ),
        SecurityNotice::FactorAdded { kind } => match kind {
            FactorKind::Totp => (
                "An authenticator app was added",
                "An authenticator app was added to your account.",
            ),
            FactorKind::Passkey => (
                "A passkey was added",
                "A passkey was added to your account.",
            ),
            FactorKind::RecoveryCodes => (
                "New recovery codes were created",
                "New recovery codes were created for your account. Earlier codes no longer work.",
            ),
        },
        SecurityNotice::FactorRemoved { kind } => match kind {
            FactorKind::Totp => (
                "An authenticator app was removed",
                "An authenticator app was removed from your account.",
            ),
            FactorKind::Passkey => (
                "A passkey was removed",
                "A passkey was removed from your account.",
            ),
            FactorKind::RecoveryCodes => (
                "Your recovery codes were removed",
                "The recovery codes of your account were removed and no longer work.",
            ),
        },
        SecurityNotice::RecoveryCodeUsed { left } => {
            let left = match left {
                1 => "1 code is left".to_owned(),
                left => format!("{left} codes are left"),
            };
            let event = format!("Someone logged in to your account with a recovery code. {left}.");
            return ("A recovery code was used", event);
        }
        SecurityNotice::FactorsReset => (
            "Your second factors were removed",
            "An administrator removed all second factors of your account. Until you add one, your \
             password is enough to log in.",
        ),
        SecurityNotice::ApiKeyCreated { name } => {
            let event = if is_plain_in_mail(name) {
                format!("An API key named \u{201c}{name}\u{201d} was created for your account.")
            } else {
                "An API key was created for your account.".to_owned()
            };
            return ("An API key was created", event);
        }
        SecurityNotice::DeletionScheduled => (
            "Your account will be deleted",
            "Your account is scheduled for deletion. Its sessions, API keys and share links have ended, \
             and its files are not available.",
        ),
        SecurityNotice::AccountRestored => (
            "Your account was restored",
            "The deletion of your account was cancelled. API keys and share links from before do not \
             work again.",
        ),
        SecurityNotice::AccountDeleted { .. } => (
            "Your account was deleted",
            "Your account was deleted, with its sessions, API keys and files. This is the last email \
             about it.",
        ),
    };
    (subject, event.to_owned())
}

/// Returns the paragraph that says what the reader can do.
fn advice(notice: &SecurityNotice, next_step: NextStep) -> String {
    if let NextStep::RestoreAddress { valid } = next_step {
        let days = valid.as_secs().div_ceil(24 * 3600);
        return format!(
            "If this was not you, restore your address: this ends all sessions and lets you choose a \
             new password. {}",
            link_lifetime(&count(days, "day"))
        );
    }
    let advice = match notice {
        SecurityNotice::RegistrationAttempted => {
            "If it was you, log in, or choose a new password if you have forgotten yours. If it was not \
             you, you do not need to do anything."
        }
        SecurityNotice::EmailRemoved { .. } | SecurityNotice::EmailChanged { .. } => {
            "If you did not expect this and the account is yours, contact the operator of this service. \
             Emails to this address can no longer change the account."
        }
        SecurityNotice::AccountDeleted { .. } => {
            "If this was not you, someone else knew your password: change it everywhere else you use it."
        }
        _ => {
            "If this was you, you do not need to do anything. If it was not you, choose a new password \
             now: this ends all sessions and revokes all API keys."
        }
    };
    advice.to_owned()
}

/// Returns the paragraph that lists the second factors of an account after its recovery.
fn remaining_factors(factors: &[RemainingFactor]) -> String {
    if factors.is_empty() {
        return "Your account has no second factor.".to_owned();
    }
    let factors: Vec<_> = factors.iter().map(remaining_factor).collect();
    format!(
        "Your account has these second factors: {}. Remove any that is not yours.",
        factors.join(", ")
    )
}

fn remaining_factor(factor: &RemainingFactor) -> String {
    let kind = match factor.kind {
        FactorKind::Totp => "authenticator app",
        FactorKind::Passkey => "passkey",
        FactorKind::RecoveryCodes => "recovery codes",
    };
    let name = factor
        .name
        .as_deref()
        .filter(|name| is_plain_in_mail(name))
        .map(|name| format!(" \u{201c}{name}\u{201d}"))
        .unwrap_or_default();
    let added_at = format(factor.added_at, DATE_FORMAT);
    let state = if factor.is_suspended {
        ", not usable until you log in with an older one"
    } else {
        ""
    };
    format!("{kind}{name} (added {added_at}{state})")
}

/// An address that is not proved is greeted without a name, so that a stranger cannot put text into
/// an e-mail to it.
fn greeting(display_name: Option<&str>) -> String {
    display_name.map_or_else(|| "Hello,".to_owned(), |name| format!("Hello {name},"))
}

fn link_lifetime(lifetime: &str) -> String {
    format!("The link works once and expires in {lifetime}.")
}

fn hours(lifetime: Duration) -> String {
    count(lifetime.as_secs().div_ceil(3600), "hour")
}

fn count(number: u64, unit: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{plural}")
}

fn format_time(at: OffsetDateTime) -> String {
    format(at, TIME_FORMAT)
}

fn format(at: OffsetDateTime, format: &[BorrowedFormatItem<'_>]) -> String {
    at.format(format)
        .expect("a time has every component of the format")
}
