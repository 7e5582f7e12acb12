//! `notifications.deliver`: a message into a user's inbox, once however often it runs.

use std::sync::Arc;

use plinth_core::notifications::Inbox;
use plinth_domain::job::DeliverNotification;

use crate::attempt::Attempt;
use crate::outcome::JobResult;
use crate::registry::JobHandler;

impl JobHandler for DeliverNotification {
    type Context = Inbox;

    async fn run(self, inbox: Arc<Inbox>, _: Attempt) -> JobResult {
        inbox.deliver(&self.notification).await?;
        Ok(())
    }
}
