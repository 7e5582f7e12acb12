//! `email.security_notice`: tells the owner of an account what happened to how he logs in, and what to do if it was not
//! his doing.

use std::sync::Arc;

use minijinja::context;
use plinth_core::auth::NoticeMail;
use plinth_core::second_factors::RemainingFactor;
use plinth_domain::id::JobId;
use plinth_domain::job::SendSecurityNotice;
use plinth_domain::notice::{FactorKind, SecurityNotice};
use plinth_domain::text::is_plain_in_mail;
use plinth_platform::mailer::Mail;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::{EmailContext, Product, asked, compose};
use crate::attempt::Attempt;
use crate::outcome::{Failure, JobResult};
use crate::registry::JobHandler;

const DAY: &[BorrowedFormatItem<'_>] =
    format_description!("[day padding:none] [month repr:long] [year]");
const MOMENT: &[BorrowedFormatItem<'_>] =
    format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute]");

impl JobHandler for SendSecurityNotice {
    type Context = EmailContext;

    /// Mails the notice to the address that it is for.
    async fn run(self, context: Arc<EmailContext>, attempt: Attempt) -> JobResult {
        let Some(due) = context
            .notices
            .prepare(self.user_id, &self.notice, asked(&attempt))
            .await?
        else {
            tracing::info!("nobody to tell any more, or told a moment ago");
            return Ok(());
        };
        let mail = write(&context.product, attempt.job, &self.notice, &due)?;
        context.deliver(&attempt, mail).await?;
        context.notices.sent(self.user_id, &self.notice).await?;
        Ok(())
    }
}

fn write(
    product: &Product,
    job: JobId,
    notice: &SecurityNotice,
    due: &NoticeMail,
) -> Result<Mail, Failure> {
    let (title, what) = told(notice, &product.name);
    let way_out = WayOut::of(notice, due, product);
    let mut paragraphs = vec![what];
    paragraphs.extend(
        due.remaining_factors
            .as_deref()
            .map(remaining)
            .transpose()?,
    );
    if let (SecurityNotice::DeletionScheduled, Some(due_at)) = (notice, due.deletion_due_at) {
        let due_at = due_at.format(MOMENT).map_err(Failure::permanent)?;
        paragraphs.push(format!(
            "It goes for good on {due_at} (UTC). Until then, log in to restore it."
        ));
    }
    paragraphs.push(way_out.advice);
    let values = context! {
        title,
        paragraphs => paragraphs,
        action => way_out.action,
        link => way_out.link,
        display_name => due.display_name.as_deref(),
        product => product.name.as_str(),
        happened_at => job.minted_at().format(MOMENT).map_err(Failure::permanent)?,
    };
    compose("notice", job, &due.to, title, &values).map_err(Failure::permanent)
}

/// Which second factors the account has after its recovery.
fn remaining(factors: &[RemainingFactor]) -> Result<String, Failure> {
    if factors.is_empty() {
        return Ok("The account has no second factor.".to_owned());
    }
    let mut listed = Vec::new();
    for factor in factors {
        let kind = match factor.kind {
            FactorKind::Totp => "authenticator app",
            FactorKind::Passkey => "passkey",
            FactorKind::RecoveryCodes => "recovery codes",
        };
        let added_at = factor.added_at.format(DAY).map_err(Failure::permanent)?;
        let name = factor.name.as_deref().filter(|name| is_plain_in_mail(name));
        let name = name
            .map(|name| format!(" \u{201c}{name}\u{201d}"))
            .unwrap_or_default();
        let state = if factor.is_suspended {
            ", not usable until you log in with an older one"
        } else {
            ""
        };
        listed.push(format!("{kind}{name} (added {added_at}{state})"));
    }
    Ok(format!(
        "The account has these second factors: {}. Remove any that is not yours.",
        listed.join(", ")
    ))
}

/// What happened: in a line, and in a paragraph.
fn told(notice: &SecurityNotice, product: &str) -> (&'static str, String) {
    let (title, what): (_, &str) = match notice {
        SecurityNotice::RegistrationAttempted => {
            let what = format!(
                "somebody wanted to create an account at {product} with this address. You have one already, so \
                 nothing was created and nothing was changed."
            );
            return ("You already have an account", what);
        }
        SecurityNotice::PasswordChanged => (
            "Your password was changed",
            "the password of your account was changed. All other sessions have ended.",
        ),
        SecurityNotice::PasswordReset => (
            "Your password was reset",
            "another password was chosen by a link that was mailed to you. All sessions have ended, and so have all \
             API keys.",
        ),
        SecurityNotice::PasswordRemoved => (
            "Your password was removed",
            "the password of your account was removed. From now on only your passkeys log in. All other sessions \
             have ended.",
        ),
        SecurityNotice::EmailChanged { .. } => (
            "Your address was changed",
            "your account has another address now. Mails about it no longer come to this one.",
        ),
        SecurityNotice::EmailChangeUndone => (
            "Your address was taken back",
            "your account has this address again. All sessions have ended, and so have all API keys. The password no \
             longer works: choose another one by the link in the mail that we sent with this one.",
        ),
        SecurityNotice::EmailRemoved { .. } => {
            let what = format!(
                "your account at {product} has an earlier address again: the link that was mailed to that one was \
                 opened. This address no longer logs in to the account, and mails about it no longer come to this one."
            );
            return ("Your address was removed from an account", what);
        }
        SecurityNotice::EmailUndoWaived => (
            "Your change of address is final",
            "earlier addresses of your account can no longer take it back.",
        ),
        SecurityNotice::AccountReset => (
            "Your account was reset",
            "an administrator has reset your account. All sessions, API keys and second factors have ended. The \
             password no longer works: choose another one by the link in the mail that we sent with this one.",
        ),
        SecurityNotice::LoginsFailed { failures } => {
            let what = format!(
                "{failures} attempts to log in to your account have failed. Whoever tries has to wait longer each \
                 time; devices on which you have logged in before do not."
            );
            return ("Somebody tries to log in to your account", what);
        }
        SecurityNotice::RefreshReused => (
            "A session of yours was ended",
            "a token of one of your sessions was presented that had been used up before. Somebody else may have a \
             copy, so the session was ended.",
        ),
        SecurityNotice::FactorAdded { kind } => match kind {
            FactorKind::Totp => (
                "An authenticator app was added",
                "an authenticator app was added to your account.",
            ),
            FactorKind::Passkey => (
                "A passkey was added",
                "a passkey was added to your account.",
            ),
            FactorKind::RecoveryCodes => (
                "New recovery codes were issued",
                "new recovery codes were issued for your account. Earlier ones no longer work.",
            ),
        },
        SecurityNotice::FactorRemoved { kind } => match kind {
            FactorKind::Totp => (
                "An authenticator app was removed",
                "an authenticator app was removed from your account.",
            ),
            FactorKind::Passkey => (
                "A passkey was removed",
                "a passkey was removed from your account.",
            ),
            FactorKind::RecoveryCodes => (
                "Your recovery codes were removed",
                "the recovery codes of your account were removed and no longer work.",
            ),
        },
        SecurityNotice::RecoveryCodeUsed { left } => {
            let what = format!(
                "somebody logged in to your account with a recovery code; {left} are left."
            );
            return ("A recovery code was used", what);
        }
        SecurityNotice::FactorsReset => (
            "Your second factors were removed",
            "an administrator has removed every second factor of your account. Until you add one, your password \
             alone logs in.",
        ),
        SecurityNotice::ApiKeyCreated { name } => {
            let what = if is_plain_in_mail(name) {
                format!(
                    "an API key with the name \u{201c}{name}\u{201d} was created for your account."
                )
            } else {
                "an API key was created for your account.".to_owned()
            };
            return ("An API key was created", what);
        }
        SecurityNotice::DeletionScheduled => (
            "Your account will be deleted",
            "your account was deleted. Its sessions, API keys and share links have ended, and its files cannot be read.",
        ),
        SecurityNotice::AccountRestored => (
            "Your account was restored",
            "the deletion of your account was taken back. API keys and share links from before stay ended.",
        ),
        SecurityNotice::AccountDeleted { .. } => (
            "Your account was deleted",
            "your account was deleted, with its sessions, API keys and files. This is the last mail about it.",
        ),
    };
    (title, what.to_owned())
}

/// What to do if it was not one's own doing.
struct WayOut {
    advice: String,
    action: &'static str,
    link: String,
}

impl WayOut {
    fn of(notice: &SecurityNotice, due: &NoticeMail, product: &Product) -> Self {
        if let Some((token, valid)) = &due.undo {
            let days = valid.as_secs().div_ceil(24 * 3600);
            return Self {
                advice: format!(
                    "If that was not you, take the address back: it ends all sessions, and you choose another \
                     password. The link works once and for {days} days."
                ),
                action: "Take my address back",
                link: product.link_with_token("undo-email-change", &token.reveal()),
            };
        }
        let (advice, action, page) = match notice {
            SecurityNotice::RegistrationAttempted => (
                "If that was you, log in; if you have forgotten your password, choose another one. If it was not you, \
                 there is nothing to do.",
                "Choose another password",
                "forgot-password",
            ),
            SecurityNotice::EmailRemoved { .. } | SecurityNotice::EmailChanged { .. } => (
                "If you did not expect that and the account is yours, contact the operator of this service: nothing that \
                 is mailed to this address can change the account any more.",
                "Create a new account",
                "register",
            ),
            SecurityNotice::AccountDeleted { .. } => (
                "If that was not you, somebody else had your password: change it wherever else you use it.",
                "Create a new account",
                "register",
            ),
            _ => (
                "If that was you, there is nothing to do. If not, choose another password at once: it ends all \
                 sessions and API keys.",
                "Choose another password",
                "forgot-password",
            ),
        };
        Self {
            advice: advice.to_owned(),
            action,
            link: product.link(page),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plinth_platform::crypto::OpaqueToken;

    use super::super::specimens;
    use super::*;

    fn written(notice: &SecurityNotice, undo: Option<(OpaqueToken, Duration)>) -> Mail {
        let due = NoticeMail {
            to: "ada@example.org".to_owned(),
            display_name: Some("Ada".to_owned()),
            undo,
            remaining_factors: None,
            deletion_due_at: Some(time::macros::datetime!(2026-12-31 12:00 UTC)),
        };
        write(&specimens::product(), specimens::job(), notice, &due).expect("every name is given")
    }

    #[test]
    fn every_notice_says_what_when_and_what_to_do() {
        let (email, name) = ("old@example.org".to_owned(), "<i>deploy".to_owned());
        let kinds = [
            FactorKind::Totp,
            FactorKind::Passkey,
            FactorKind::RecoveryCodes,
        ];
        let notices = [
            SecurityNotice::RegistrationAttempted,
            SecurityNotice::PasswordChanged,
            SecurityNotice::PasswordReset,
            SecurityNotice::PasswordRemoved,
            SecurityNotice::LoginsFailed { failures: 12 },
            SecurityNotice::RefreshReused,
            SecurityNotice::RecoveryCodeUsed { left: 3 },
            SecurityNotice::FactorsReset,
            SecurityNotice::EmailChangeUndone,
            SecurityNotice::EmailUndoWaived,
            SecurityNotice::AccountReset,
            SecurityNotice::DeletionScheduled,
            SecurityNotice::AccountRestored,
            SecurityNotice::ApiKeyCreated { name },
        ];
        let factors = kinds.into_iter().flat_map(|kind| {
            [
                SecurityNotice::FactorAdded { kind },
                SecurityNotice::FactorRemoved { kind },
            ]
        });
        let mut subjects = Vec::new();
        for notice in notices.into_iter().chain(factors) {
            let mail = written(&notice, None);
            specimens::assert_link(&mail, "https://plinth.example/forgot-password");
            assert!(
                mail.text.contains("30 November 2024, 03:29 (UTC)"),
                "{}",
                mail.text
            );
            assert!(mail.text.starts_with("Hello Ada,\n\n"), "{}", mail.text);
            assert!(!mail.html.contains("<i>"), "{}", mail.html);
            subjects.push(mail.subject);
        }
        let all = subjects.len();
        subjects.sort();
        subjects.dedup();
        assert_eq!(subjects.len(), all, "each has a subject of its own");
        let scheduled = written(&SecurityNotice::DeletionScheduled, None);
        assert!(
            scheduled.text.contains("on 31 December 2026, 12:00 (UTC)"),
            "{}",
            scheduled.text
        );
        for notice in [
            SecurityNotice::AccountDeleted {
                email: email.clone(),
            },
            SecurityNotice::EmailRemoved {
                email: email.clone(),
            },
            SecurityNotice::EmailChanged { old_email: email },
        ] {
            specimens::assert_link(&written(&notice, None), "https://plinth.example/register");
        }
    }

    #[test]
    fn a_recovery_lists_the_factors_that_remain() {
        let added_at = time::macros::datetime!(2026-11-24 12:00 UTC);
        let factor = |kind, name: Option<&str>, is_suspended| RemainingFactor {
            kind,
            name: name.map(str::to_owned),
            added_at,
            is_suspended,
        };
        let due = NoticeMail {
            to: "ada@example.org".to_owned(),
            display_name: None,
            undo: None,
            remaining_factors: Some(vec![
                factor(FactorKind::Totp, Some("Phone"), false),
                factor(FactorKind::Passkey, Some("evil\u{3002}example"), true),
                factor(FactorKind::RecoveryCodes, None, false),
            ]),
            deletion_due_at: None,
        };
        let write = |due: &NoticeMail| {
            let notice = SecurityNotice::PasswordReset;
            write(&specimens::product(), specimens::job(), &notice, due)
                .expect("every name is given")
                .text
        };
        let text = write(&due);
        assert!(
            text.contains(
                "authenticator app \u{201c}Phone\u{201d} (added 24 November 2026), passkey (added 24 November 2026, \
                 not usable until you log in with an older one), recovery codes (added 24 November 2026)."
            ),
            "{text}"
        );
        assert!(!text.contains("evil"), "{text}");
        let none = write(&NoticeMail {
            remaining_factors: Some(Vec::new()),
            ..due
        });
        assert!(none.contains("no second factor"), "{none}");
    }

    #[test]
    fn no_name_of_a_key_becomes_a_link() {
        let named = |name: &str| {
            written(
                &SecurityNotice::ApiKeyCreated {
                    name: name.to_owned(),
                },
                None,
            )
        };
        assert!(named("deploy").text.contains("deploy"));
        let mail = named("log in at evil.example/now");
        assert!(
            !mail.text.contains("evil") && !mail.html.contains("evil"),
            "{}",
            mail.text
        );
    }

    #[test]
    fn a_changed_address_can_be_taken_back() {
        let token = OpaqueToken::generate();
        let link = format!(
            "https://plinth.example/undo-email-change?token={}",
            token.reveal()
        );
        let notice = SecurityNotice::EmailChanged {
            old_email: "old@example.org".to_owned(),
        };
        let mail = written(&notice, Some((token, Duration::from_hours(7 * 24))));
        specimens::assert_link(&mail, &link);
        assert!(mail.text.contains("for 7 days"), "{}", mail.text);
    }
}
