//! What the owner of an account is told by mail, and where the mail goes.

use std::time::Duration;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::email::Email;
use plinth_domain::id::UserId;
use plinth_domain::notice::SecurityNotice;
use plinth_domain::purpose::TokenPurpose;
use plinth_domain::user::UserStatus;
use plinth_platform::crypto::OpaqueToken;
use serde_json::json;
use time::OffsetDateTime;

use super::mailed_token::{self, Asked, Wanted};
use super::recovery;
use crate::second_factors::RemainingFactor;
use crate::unit::Unit;
use crate::{Error, Result, Stores, users};

/// A mark that the owner was told of a registration is kept for so long.
const MARK_KEPT: Duration = Duration::from_hours(1);

/// What a notice's mail needs, beside what happened.
#[derive(Debug)]
pub struct NoticeMail {
    pub to: String,
    pub display_name: Option<String>,
    /// What undoes it, and how long that works.
    pub undo: Option<(OpaqueToken, Duration)>,
    /// The second factors that the account has after its recovery; `None` of any other notice.
    pub remaining_factors: Option<Vec<RemainingFactor>>,
    /// When the account is deleted for good.
    pub deletion_due_at: Option<OffsetDateTime>,
}

/// The worker's side.
#[derive(Clone)]
pub struct SecurityNotices {
    stores: Stores,
    undo_lifetime: Duration,
}

impl SecurityNotices {
    /// `undo_lifetime` is how long a change of address can be undone.
    pub fn new(stores: &Stores, undo_lifetime: Duration) -> Self {
        Self {
            stores: stores.clone(),
            undo_lifetime,
        }
    }

    /// Where the mail goes; `None` when there is nobody to tell any more, or when he was told a moment ago.
    pub async fn prepare(
        &self,
        user: UserId,
        notice: &SecurityNotice,
        asked: Asked,
    ) -> Result<Option<NoticeMail>> {
        // To an address that has no account any more.
        if let SecurityNotice::AccountDeleted { email } | SecurityNotice::EmailRemoved { email } =
            notice
        {
            return Ok(Some(NoticeMail {
                to: email.clone(),
                display_name: None,
                undo: None,
                remaining_factors: None,
                deletion_due_at: None,
            }));
        }
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let account = users::find_locked(&mut unit, user).await?;
        let Some(account) = account.filter(|account| account.status != UserStatus::Deleted) else {
            return Ok(None);
        };
        let present = NoticeMail {
            display_name: account.name_in_mail().map(str::to_owned),
            to: account.email,
            undo: None,
            remaining_factors: None,
            deletion_due_at: account.deletion_due_at,
        };
        match notice {
            SecurityNotice::EmailChanged { old_email } => {
                let wanted = Wanted {
                    user,
                    purpose: TokenPurpose::UndoEmailChange,
                    email: Some(old_email),
                    valid: self.undo_lifetime,
                };
                let address = Email::parse_known(old_email).map_err(Error::internal)?;
                let times = (asked.at, unit.at() + self.undo_lifetime);
                // So late the change stands, and the row that would say that it was closed may be gone.
                let is_over = unit.at() >= asked.at + self.undo_lifetime;
                if is_over || !users::prolong_email_undo(&mut unit, user, &address, times).await? {
                    return Ok(Some(NoticeMail {
                        to: old_email.clone(),
                        display_name: None,
                        ..present
                    }));
                }
                let token = mailed_token::mint(&mut unit, &wanted, asked.at).await?;
                unit.commit().await?;
                let undo = Some((token, self.undo_lifetime));
                Ok(Some(NoticeMail {
                    to: old_email.clone(),
                    undo,
                    ..present
                }))
            }
            // Anybody can ask for this one, as often as he likes.
            SecurityNotice::RegistrationAttempted => {
                let wanted = Wanted {
                    user,
                    purpose: TokenPurpose::TellOfRegistration,
                    email: None,
                    valid: MARK_KEPT,
                };
                let mark = mailed_token::mint_sparingly(&mut unit, &wanted, asked).await?;
                unit.commit().await?;
                Ok(mark.map(|_| present))
            }
            SecurityNotice::PasswordReset
            | SecurityNotice::EmailChangeUndone
            | SecurityNotice::AccountReset => {
                let remaining_factors = Some(recovery::remaining(&mut unit, user).await?);
                Ok(Some(NoticeMail {
                    remaining_factors,
                    ..present
                }))
            }
            _ => Ok(Some(present)),
        }
    }

    /// Notes that the mail server has taken the mail.
    pub async fn sent(&self, user: UserId, notice: &SecurityNotice) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let details = json!({ "notice": notice.name() });
        unit.audit_with(
            Action::SecurityNoticeSent,
            Target::User(user),
            Outcome::Success,
            details,
        )
        .await?;
        unit.commit().await
    }
}
