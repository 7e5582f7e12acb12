//! Delivering into an inbox and reading it.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::id::UserId;
use plinth_domain::notification::{NewNotification, Notification};
use serde_json::json;

use super::repository;
use crate::page::{Page, PageRequest};
use crate::unit::Unit;
use crate::{Result, Stores};

/// Empties the user's inbox.
pub(crate) async fn remove_all_of(unit: &mut Unit, user: UserId) -> Result<()> {
    Ok(repository::remove_all_of(unit.connection(), user).await?)
}

/// The door to inboxes.
#[derive(Clone)]
pub struct Inbox {
    stores: Stores,
}

impl Inbox {
    pub fn new(stores: &Stores) -> Self {
        Self {
            stores: stores.clone(),
        }
    }

    /// Delivers the message once, however often it is asked for.
    pub async fn deliver(&self, message: &NewNotification) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let at = unit.at();
        if repository::insert(unit.connection(), message, at).await? {
            let details = json!({ "kind": message.kind, "subject": message.subject });
            let target = Target::User(message.user_id);
            unit.audit_with(
                Action::NotificationDelivered,
                target,
                Outcome::Success,
                details,
            )
            .await?;
        }
        unit.commit().await
    }

    /// The user's messages, the newest first.
    pub async fn list(&self, user: UserId, page: PageRequest) -> Result<Page<Notification>> {
        let messages = repository::list(&self.stores.db, user, page).await?;
        Ok(Page::cut(messages, page, |message| message.id.0))
    }
}
