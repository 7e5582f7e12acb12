//! GET /v1/me/notifications

use plinth_core::notifications::Inbox;
use plinth_core::page::PageRequest;
use plinth_domain::closed_set::Recorded;
use plinth_domain::id::NotificationId;
use plinth_domain::notification::NotificationKind;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use time::OffsetDateTime;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, NotificationsRead};

pub(crate) struct ListNotifications {
    pub(super) inbox: Inbox,
}

impl Operation for ListNotifications {}

/// A notification in the inbox.
#[derive(Object)]
struct Notification {
    id: NotificationId,
    /// The stable name of the event, for example `file.processed`.
    kind: Recorded<NotificationKind>,
    title: String,
    body: String,
    /// What the notification is about, for example the id of a file.
    subject: String,
    read_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
}

impl From<plinth_domain::notification::Notification> for Notification {
    fn from(message: plinth_domain::notification::Notification) -> Self {
        Self {
            id: message.id,
            kind: message.kind,
            title: message.title,
            body: message.body,
            subject: message.subject,
            read_at: message.read_at,
            created_at: message.created_at,
        }
    }
}

/// A page of the inbox, the newest first.
#[derive(Object)]
struct NotificationPage {
    items: Vec<Notification>,
    /// Pass it as `?cursor=` to get the next page; null on the last page.
    next_cursor: Option<String>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Notifications")]
impl ListNotifications {
    /// List your notifications
    #[oai(
        path = "/me/notifications",
        method = "get",
        operation_id = "listNotifications"
    )]
    async fn list(
        &self,
        caller: Allowed<NotificationsRead>,
        /// Items per page; 50 by default.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// The `next_cursor` of the previous page.
        cursor: Query<Option<String>>,
    ) -> Result<Json<NotificationPage>> {
        let page = self
            .inbox
            .list(
                caller.user.id,
                PageRequest::parse(limit.0, cursor.0.as_deref())?,
            )
            .await?;
        let items = page.items.into_iter().map(Notification::from).collect();
        Ok(Json(NotificationPage {
            items,
            next_cursor: page.next_cursor,
        }))
    }
}
