//! The inbox.

use plinth_core::notifications::Inbox;
use plinth_domain::closed_set::Recorded;
use plinth_domain::notification::{NewNotification, NotificationKind};
use reqwest::StatusCode;

use crate::house::{House, Person};

fn message(person: &Person, subject: &str) -> NewNotification {
    NewNotification {
        user_id: person.id,
        kind: Recorded::Known(NotificationKind::FileProcessed),
        title: "Ready".to_owned(),
        body: "It is there.".to_owned(),
        subject: subject.to_owned(),
    }
}

#[tokio::test]
async fn a_repeated_notification_is_delivered_once() {
    let house = House::open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let inbox = Inbox::new(&house.stores);
    for _ in 0..3 {
        inbox
            .deliver(&message(&ada, "one"))
            .await
            .expect("delivers");
    }
    inbox
        .deliver(&message(&ada, "two"))
        .await
        .expect("delivers");
    let page = ada
        .get(&house, "/v1/me/notifications")
        .await
        .expect(StatusCode::OK);
    let subjects: Vec<_> = page["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| &item["subject"])
        .collect();
    assert_eq!(subjects, ["two", "one"]);
    let none = bob
        .get(&house, "/v1/me/notifications")
        .await
        .expect(StatusCode::OK);
    assert_eq!(none["items"], serde_json::json!([]));
    let told = house
        .actions()
        .await
        .iter()
        .filter(|action| *action == "notification.delivered:success")
        .count();
    assert_eq!(told, 2);
}
