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

/// A message in the inbox.
#[derive(Object)]
struct Notification {
    id: NotificationId,
    kind: Recorded<NotificationKind>,
    title: String,
    body: String,
    /// What it is about, e.g. the id of a file.
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

/// A part of the inbox, the newest first.
#[derive(Object)]
struct NotificationPage {
    items: Vec<Notification>,
    /// Asks for the next part as `?cursor=`; null at the end.
    next_cursor: Option<String>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Notifications")]
impl ListNotifications {
    /// List the own notifications
    #[oai(
        path = "/me/notifications",
        method = "get",
        operation_id = "listNotifications"
    )]
    async fn list(
        &self,
        caller: Allowed<NotificationsRead>,
        /// Items of a page; 50 unless given.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// The `next_cursor` of the page before.
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
