//! Registration. It is no account: it holds no address and no name until its link is opened by a person who knows its
//! password. Each registration of an address has its own password, name and links.

mod expiry;
mod legacy;
mod mail;
mod proof;
mod repository;
mod takeover;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::email::Email;
use plinth_domain::id::RegistrationId;
use plinth_domain::job::SendVerificationMail;
use plinth_domain::password::Password;
use plinth_domain::text::DisplayName;

use self::repository::NewRegistration;
use super::Auth;
use crate::Result;
use crate::access::site_of;
use crate::unit::Unit;

pub(crate) use expiry::unverified_registrations;
pub use mail::{Verification, VerificationMail};
pub(crate) use takeover::release_unverified;

/// The input of a registration.
#[derive(Debug)]
pub struct Registration {
    pub email: Email,
    pub password: Password,
    pub display_name: Option<DisplayName>,
}

impl Auth {
    /// Accepts a registration and asks for its mail. Does the same whether or not the address has an account: the worker
    /// finds that out, so that neither the answer nor its duration shows it.
    pub async fn register(
        &self,
        origin: &Origin,
        registration: Registration,
    ) -> Result<RegistrationId> {
        self.judge(
            "/password",
            &registration.password,
            registration.email.as_str(),
        )?;
        let password_hash = self.hasher.hash(registration.password).await?;
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let new = NewRegistration {
            id: RegistrationId::mint(unit.at()),
            email: registration.email,
            display_name: registration.display_name,
            password_hash,
            network: origin.ip.map(site_of),
        };
        let at = unit.at();
        repository::insert(unit.connection(), &new, at).await?;
        unit.audit(
            Action::RegistrationCreated,
            Target::Registration(new.id),
            Outcome::Success,
        )
        .await?;
        unit.enqueue(&SendVerificationMail::Registration {
            registration_id: new.id,
        })
        .await?;
        unit.commit().await?;
        Ok(new.id)
    }

    /// Asks for the mail of a registration again. Does the same whether or not the registration exists.
    pub async fn resend_verification(&self, origin: &Origin, id: RegistrationId) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        unit.audit(
            Action::VerificationRequested,
            Target::Registration(id),
            Outcome::Success,
        )
        .await?;
        unit.enqueue(&SendVerificationMail::Registration {
            registration_id: id,
        })
        .await?;
        unit.commit().await
    }
}
