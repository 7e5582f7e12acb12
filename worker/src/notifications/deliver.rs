//! `notifications.deliver`: a message into a user's inbox, once however often it runs.

use plinth_core::notifications::Inbox;
use plinth_domain::job::DeliverNotification;

use crate::outcome::Done;

pub async fn put(inbox: Inbox, job: DeliverNotification) -> Done {
    inbox.deliver(&job.notification).await?;
    Ok(())
}
