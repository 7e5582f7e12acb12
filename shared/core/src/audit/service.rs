//! Reading the audit log.

use plinth_domain::audit::Action;
use plinth_domain::id::UserId;
use uuid::Uuid;

use super::repository::{self, Event};
use crate::page::{Page, PageRequest};
use crate::{Result, Stores};

/// Which events are asked for; `None` is any.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub actor_id: Option<UserId>,
    pub action: Option<Action>,
    pub target_id: Option<Uuid>,
}

/// Whether the log has such an event.
pub(crate) async fn has_any(stores: &Stores, action: Action) -> Result<bool> {
    Ok(repository::has_any(&stores.db, action).await?)
}

/// The door to the audit log.
#[derive(Clone)]
pub struct AuditLog {
    stores: Stores,
}

impl AuditLog {
    pub fn new(stores: &Stores) -> Self {
        Self {
            stores: stores.clone(),
        }
    }

    /// Events, the newest first.
    pub async fn list(&self, filter: &Filter, page: PageRequest) -> Result<Page<Event>> {
        let events = repository::list(&self.stores.db, filter, page).await?;
        Ok(Page::cut(events, page, |event| event.id.0))
    }
}
