//! What the owner of an account is told by mail, and where the mail goes.

use std::time::Duration;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::id::UserId;
use plinth_domain::notice::SecurityNotice;
use plinth_domain::user::UserStatus;
use plinth_platform::crypto::OpaqueToken;
use serde_json::json;

use super::mailed_token::{self, Asked, Wanted};
use super::tokens::Purpose;
use crate::unit::Unit;
use crate::{Result, Stores, users};

/// A mark that the owner was told of a registration is kept for so long.
const MARK_KEPT: Duration = Duration::from_hours(1);

/// What a notice's mail needs, beside what happened.
#[derive(Debug)]
pub struct NoticeMail {
    pub to: String,
    pub display_name: Option<String>,
    /// What undoes it, and how long that works.
    pub undo: Option<(OpaqueToken, Duration)>,
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
        Self { stores: stores.clone(), undo_lifetime }
    }

    /// Where the mail goes; `None` when there is nobody to tell any more, or when he was told a moment ago.
    pub async fn prepare(
        &self,
        user: UserId,
        notice: &SecurityNotice,
        asked: Asked,
    ) -> Result<Option<NoticeMail>> {
        if let SecurityNotice::AccountDeleted { email } = notice {
            return Ok(Some(NoticeMail { to: email.clone(), display_name: None, undo: None }));
        }
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let account = users::find_locked(&mut unit, user).await?;
        let Some(account) = account.filter(|account| account.status != UserStatus::Deleted) else {
            return Ok(None);
        };
        let display_name = account.name_in_mail().map(str::to_owned);
        let present = NoticeMail { to: account.email, display_name, undo: None };
        match notice {
            SecurityNotice::EmailChanged { old_email } => {
                let wanted = Wanted {
                    user,
                    purpose: Purpose::UndoEmailChange,
                    email: Some(old_email),
                    valid: self.undo_lifetime,
                };
                let token = mailed_token::mint(&mut unit, &wanted, asked.at).await?;
                unit.commit().await?;
                let undo = Some((token, self.undo_lifetime));
                Ok(Some(NoticeMail { to: old_email.clone(), undo, ..present }))
            }
            // Anybody can ask for this one, as often as he likes.
            SecurityNotice::RegistrationAttempted => {
                let wanted =
                    Wanted { user, purpose: Purpose::TellOfRegistration, email: None, valid: MARK_KEPT };
                let mark = mailed_token::mint_sparingly(&mut unit, &wanted, asked).await?;
                unit.commit().await?;
                Ok(mark.map(|_| present))
            }
            _ => Ok(Some(present)),
        }
    }

    /// Notes that the mail server has taken the mail.
    pub async fn sent(&self, user: UserId, notice: &SecurityNotice) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let details = json!({ "notice": notice.name() });
        unit.audit_with(Action::SecurityNoticeSent, Target::User(user), Outcome::Success, details).await?;
        unit.commit().await
    }
}
