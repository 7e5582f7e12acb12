//! Registration: a new account, whose address is to be proved by mail.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::email::Email;
use plinth_domain::id::UserId;
use plinth_domain::job::{ResendVerificationMail, SendSecurityNotice, SendVerificationMail};
use plinth_domain::notice::SecurityNotice;
use plinth_domain::password::Password;
use plinth_domain::text::DisplayName;
use serde_json::json;

use super::Auth;
use crate::Result;
use crate::unit::Unit;
use crate::users::{self, NewAccount};

/// What somebody who registers gives.
#[derive(Debug)]
pub struct Registration {
    pub email: Email,
    pub password: Password,
    pub display_name: Option<DisplayName>,
}

impl Auth {
    /// Takes the registration. The answer is the same, and takes the same time, whether or not the address has an
    /// account already; its owner gets a mail in each case.
    pub async fn register(&self, origin: &Origin, registration: Registration) -> Result<()> {
        self.judge("/password", &registration.password, registration.email.as_str())?;
        let password_hash = self.hasher.hash(registration.password).await?;
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let account = NewAccount {
            id: UserId::mint(unit.at()),
            email: registration.email,
            display_name: registration.display_name,
            password_hash,
        };
        if users::create(&mut unit, &account).await? {
            unit.act_as(account.id);
            unit.audit(Action::AccountRegistered, Target::User(account.id), Outcome::Success).await?;
            unit.enqueue(&SendVerificationMail { user_id: account.id }).await?;
        } else if let Some(known) = users::owner_of(&mut unit, &account.email).await? {
            let details = json!({ "reason": "address_taken" });
            unit.audit_with(Action::AccountRegistered, Target::User(known.id), Outcome::Refused, details)
                .await?;
            if known.email_verified {
                let notice = SecurityNotice::RegistrationAttempted;
                unit.enqueue(&SendSecurityNotice { user_id: known.id, notice }).await?;
            } else {
                let email = account.email.as_str().to_owned();
                unit.enqueue(&ResendVerificationMail { email }).await?;
            }
        }
        unit.commit().await
    }
}
