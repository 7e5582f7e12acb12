//! The table of notifications.

use plinth_domain::id::{NotificationId, UserId};
use plinth_domain::notification::{NewNotification, Notification};
use plinth_platform::database::{PgPool, named};
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::page::PageRequest;

/// Inserts the message; false when it was delivered before.
pub(super) async fn insert(
    connection: &mut PgConnection,
    message: &NewNotification,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "INSERT INTO notifications (id, user_id, kind, title, body, subject, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (user_id, kind, subject) DO NOTHING",
        NotificationId::mint(at) as _,
        message.user_id as _,
        message.kind as _,
        message.title,
        message.body,
        message.subject,
        at,
    );
    Ok(named("notifications.insert", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

pub(super) async fn list(
    db: &PgPool,
    user: UserId,
    page: PageRequest,
) -> sqlx::Result<Vec<Notification>> {
    let query = sqlx::query_as!(
        Notification,
        "SELECT id, kind, title, body, subject, read_at, created_at
         FROM notifications WHERE user_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
        user as _,
        page.before(),
        page.fetch(),
    );
    named("notifications.list", query.fetch_all(db)).await
}

pub(super) async fn remove_all_of(connection: &mut PgConnection, user: UserId) -> sqlx::Result<()> {
    let query = sqlx::query!("DELETE FROM notifications WHERE user_id = $1", user as _);
    named("notifications.remove_all_of", query.execute(connection))
        .await
        .map(drop)
}
