//! `email.security_notice`: tells the owner of an account about an event in it, and what to do if
//! they did not cause it.

use std::sync::Arc;

use plinth_core::auth::NoticeMail;
use plinth_domain::id::JobId;
use plinth_domain::job::SendSecurityNotice;
use plinth_domain::notice::SecurityNotice;
use plinth_platform::mailer::Mail;

use super::texts::NextStep;
use super::{EmailContext, Product, mail_request, render, texts};
use crate::attempt::Attempt;
use crate::outcome::{Failure, JobResult};
use crate::registry::JobHandler;

impl JobHandler for SendSecurityNotice {
    type Context = EmailContext;

    /// Mails the notice to its address.
    async fn run(self, context: Arc<EmailContext>, attempt: Attempt) -> JobResult {
        let Some(due) = context
            .notices
            .prepare(self.user_id, &self.notice, mail_request(&attempt))
            .await?
        else {
            tracing::info!("notice skipped: no recipient, or sent recently");
            return Ok(());
        };
        let mail =
            write(&context.product, attempt.job, &self.notice, &due).map_err(Failure::permanent)?;
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
) -> Result<Mail, minijinja::Error> {
    let (next_step, link) = next_step(product, notice, due);
    let text = texts::security_notice(&product.name, notice, due, next_step, job.minted_at());
    render::render(&product.name, job, &due.to, text, &link)
}

/// Returns what the reader can do, and the link for it.
fn next_step(product: &Product, notice: &SecurityNotice, due: &NoticeMail) -> (NextStep, String) {
    if let Some((token, valid)) = &due.undo {
        let link = product.link_with_token("undo-email-change", &token.reveal());
        return (NextStep::RestoreAddress { valid: *valid }, link);
    }
    match notice {
        SecurityNotice::EmailRemoved { .. }
        | SecurityNotice::EmailChanged { .. }
        | SecurityNotice::AccountDeleted { .. } => (NextStep::Register, product.link("register")),
        _ => (NextStep::ChoosePassword, product.link("forgot-password")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plinth_core::second_factors::RemainingFactor;
    use plinth_domain::notice::FactorKind;
    use plinth_platform::crypto::OpaqueToken;

    use super::super::fixtures;
    use super::*;

    fn written(notice: &SecurityNotice, undo: Option<(OpaqueToken, Duration)>) -> Mail {
        let due = NoticeMail {
            to: "ada@example.org".to_owned(),
            display_name: Some("Ada".to_owned()),
            undo,
            remaining_factors: None,
            deletion_due_at: Some(time::macros::datetime!(2026-12-31 12:00 UTC)),
        };
        write(&fixtures::product(), fixtures::job(), notice, &due).expect("all values are defined")
    }

    #[test]
    fn every_notice_says_what_happened_and_when_and_what_to_do() {
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
            fixtures::assert_parts(&mail, "https://plinth.example/forgot-password");
            assert!(
                mail.text.contains("30 November 2024, 03:29 (UTC)"),
                "{}",
                mail.text
            );
            let text = mail.text.strip_prefix("Hello Ada,\n\n");
            assert!(
                text.is_some_and(
                    |text| text.starts_with(|c: char| c.is_uppercase() || c.is_numeric())
                ),
                "{}",
                mail.text
            );
            assert!(!mail.html.contains("<i>"), "{}", mail.html);
            subjects.push(mail.subject);
        }
        let all = subjects.len();
        subjects.sort();
        subjects.dedup();
        assert_eq!(subjects.len(), all, "every notice has another subject");
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
            fixtures::assert_parts(&written(&notice, None), "https://plinth.example/register");
        }
    }

    #[test]
    fn a_recovery_lists_the_remaining_factors() {
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
            write(&fixtures::product(), fixtures::job(), &notice, due)
                .expect("all values are defined")
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
    fn the_name_of_an_api_key_never_becomes_a_link() {
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
    fn a_changed_address_can_be_restored() {
        let token = OpaqueToken::generate();
        let link = format!(
            "https://plinth.example/undo-email-change?token={}",
            token.reveal()
        );
        let notice = SecurityNotice::EmailChanged {
            old_email: "old@example.org".to_owned(),
        };
        let mail = written(&notice, Some((token, Duration::from_hours(7 * 24))));
        fixtures::assert_parts(&mail, &link);
        assert!(mail.text.contains("expires in 7 days."), "{}", mail.text);
    }
}
