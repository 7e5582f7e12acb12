//! The e-mails about accounts and logins, and the effects of their links.

use plinth_testkit::{Mail, Mailbox, Process, Stage, until};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::house::{Answer, Door, PASSWORD, count, fresh_email, until_none};

const UNDONE: &str = "SELECT count(*) FROM jobs WHERE state <> 'done'";

/// Waits for the mail with this subject.
pub(crate) async fn mail_about(address: &str, subject: &str) -> Mail {
    until(&format!("{subject:?} arrives"), async || {
        Mailbox::to(address)
            .await
            .into_iter()
            .find(|mail| mail.subject == subject)
    })
    .await
}

fn links_to(mail: &Mail, page: &str) -> bool {
    let parts = [mail.text.as_deref(), mail.html.as_deref()];
    let escaped = page.replace('/', "&#x2f;");
    parts
        .iter()
        .all(|part| part.is_some_and(|part| part.contains(page) || part.contains(&escaped)))
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_mail() {
    let stage = Stage::open()
        .await
        .with("PLINTH_PRODUCT_NAME", "Difference Engine");
    let (api, worker) = (Process::api(&stage).await, Process::worker(&stage).await);
    let (door, stores) = (Door::of(&api), stage.stores());
    let person = door.person().await;
    let mails = Mailbox::to(&person.email).await;
    assert!(
        mails[0]
            .text
            .as_deref()
            .is_some_and(|text| text.contains("Difference Engine")),
        "{mails:?}"
    );

    // Many requests send one mail. An unknown address gets none.
    let unknown = fresh_email();
    for email in [&person.email, &unknown, &person.email, &person.email] {
        let answer = door
            .post("/v1/auth/password/forgot", &json!({ "email": email }))
            .await;
        answer.expect(StatusCode::ACCEPTED);
    }
    let mail = mail_about(&person.email, "Choose a new password").await;
    assert!(links_to(&mail, "/reset-password"), "{mail:?}");
    assert!(
        mail.text
            .as_deref()
            .is_some_and(|text| text.contains("Difference Engine")),
        "{mail:?}"
    );
    until_none(&stores, "every job is done", UNDONE).await;
    assert_eq!(
        Mailbox::to(&person.email).await.len(),
        2,
        "the verification and one of these"
    );
    assert!(Mailbox::to(&unknown).await.is_empty());

    let reset = json!({ "token": mail.token(), "password": "quite another battery" });
    door.post("/v1/auth/password/reset", &reset)
        .await
        .expect(StatusCode::OK);
    person.get("/v1/me").await.problem(401, "session_ended");
    let notice = mail_about(&person.email, "Your password was reset").await;
    assert!(links_to(&notice, "/forgot-password"), "{notice:?}");
    assert!(
        notice
            .text
            .as_deref()
            .is_some_and(|text| text.contains("(UTC)")),
        "{notice:?}"
    );
    until_none(&stores, "every job is done", UNDONE).await;
    for action in ["password.reset_sent", "account.security_notice_sent"] {
        let query = format!("SELECT count(*) FROM audit_events WHERE action = '{action}'");
        let events: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
            .fetch_one(&stores.db)
            .await
            .expect("counts");
        assert_eq!(events, 1, "{action}");
    }
    assert!(worker.stop().await.success());
}

#[tokio::test]
async fn a_verification_mail_is_sent_again_but_not_too_often() {
    let stage = Stage::open().await;
    let (api, _worker) = (Process::api(&stage).await, Process::worker(&stage).await);
    let (door, stores) = (Door::of(&api), stage.stores());
    let email = fresh_email();
    let registered = door
        .try_register(&email)
        .await
        .expect("the API answers")
        .expect(StatusCode::ACCEPTED);
    let resend = json!({ "registration_id": registered["registration_id"] });
    Mailbox::first_to(&email).await;
    for _ in 0..3 {
        door.post("/v1/auth/verify-email/resend", &resend)
            .await
            .expect(StatusCode::ACCEPTED);
    }
    until_none(&stores, "every job is done", UNDONE).await;
    assert_eq!(Mailbox::to(&email).await.len(), 1);
    // As if the first mail had been sent some minutes ago.
    let aged = "UPDATE registration_tokens SET created_at = created_at - interval '6 minutes'";
    sqlx::query(aged)
        .execute(&stores.db)
        .await
        .expect("updates");
    door.post("/v1/auth/verify-email/resend", &resend)
        .await
        .expect(StatusCode::ACCEPTED);
    let mails = until("another mail arrives", async || {
        let mails = Mailbox::to(&email).await;
        (mails.len() == 2).then_some(mails)
    })
    .await;
    door.verify(&mails[0].token()).await;
}

#[tokio::test]
async fn a_changed_address_is_confirmed_notified_and_restored() {
    let stage = Stage::open().await;
    let (api, _worker) = (Process::api(&stage).await, Process::worker(&stage).await);
    let (door, stores) = (Door::of(&api), stage.stores());
    let (person, other, next) = (door.person().await, door.person().await, fresh_email());
    for email in [&other.email, &next] {
        let change = person
            .request(Method::POST, "/v1/me/email")
            .json(&json!({ "email": email }));
        Answer::of(change).await.expect(StatusCode::ACCEPTED);
    }
    let mail = mail_about(&next, "Confirm your new email address").await;
    assert!(links_to(&mail, "/confirm-email"), "{mail:?}");
    until_none(&stores, "every job is done", UNDONE).await;
    assert_eq!(
        Mailbox::to(&other.email).await.len(),
        1,
        "the address of another account gets no mail"
    );

    let confirmation = json!({ "token": mail.token(), "password": PASSWORD });
    door.post("/v1/auth/email/confirm", &confirmation)
        .await
        .expect(StatusCode::NO_CONTENT);
    let notice = mail_about(&person.email, "Your email address was changed").await;
    assert!(links_to(&notice, "/undo-email-change"), "{notice:?}");
    let undone = door
        .post("/v1/auth/email/undo", &json!({ "token": notice.token() }))
        .await;
    undone.expect(StatusCode::OK);
    person.get("/v1/me").await.problem(401, "session_ended");
    mail_about(&person.email, "Your email address was restored").await;
    mail_about(&next, "Your email address was removed from an account").await;
    let mail = mail_about(&person.email, "Choose a new password").await;
    let password = "quite another battery";
    let reset = json!({ "token": mail.token(), "password": password });
    door.post("/v1/auth/password/reset", &reset)
        .await
        .expect(StatusCode::OK);
    let login = json!({ "email": person.email, "password": password });
    door.post("/v1/auth/login", &login)
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn the_owner_of_a_deleted_account_is_notified_and_its_files_are_purged() {
    let stage = Stage::open().await.with("PLINTH_AUTH_DELETION_GRACE", "0s");
    let (api, _worker) = (Process::api(&stage).await, Process::worker(&stage).await);
    let (door, stores) = (Door::of(&api), stage.stores());
    let person = door.person().await;
    person.upload("notes.txt", b"some notes".to_vec()).await;
    let kept = "SELECT object_key FROM blobs";
    let key: String = sqlx::query_scalar(kept)
        .fetch_one(&stores.db)
        .await
        .expect("reads");
    Answer::of(person.request(Method::DELETE, "/v1/me"))
        .await
        .expect(StatusCode::NO_CONTENT);
    mail_about(&person.email, "Your account was deleted").await;
    until_none(
        &stores,
        "the files are purged",
        "SELECT count(*) FROM blobs",
    )
    .await;
    assert!(
        stores.objects.get(&key, None).await.is_err(),
        "the bytes are gone"
    );
    // No mail about the deleted account follows, and the address is free.
    let before = Mailbox::to(&person.email).await.len();
    door.register(&person.email).await;
    let mails = until("the mail of the registration arrives", async || {
        let mails = Mailbox::to(&person.email).await;
        (mails.len() > before).then_some(mails)
    })
    .await;
    door.verify(&mails[0].token()).await;
    assert_eq!(count(&stores, "SELECT count(*) FROM users").await, 2);
}

#[tokio::test]
async fn no_mail_contains_text_or_links_of_a_stranger() {
    let stage = Stage::open().await;
    let (api, _worker) = (Process::api(&stage).await, Process::worker(&stage).await);
    let (door, stores) = (Door::of(&api), stage.stores());
    let (email, next) = (fresh_email(), fresh_email());
    let name = "Ada, you won! Get it at https://evil.example/win now";
    let registration = json!({ "email": email, "password": PASSWORD, "display_name": name });
    door.post("/v1/auth/register", &registration)
        .await
        .expect(StatusCode::ACCEPTED);
    door.verify(&Mailbox::first_to(&email).await.token()).await;
    let person = door.log_in(&email).await;
    // One address is verified, the other one is not.
    door.post("/v1/auth/password/forgot", &json!({ "email": email }))
        .await
        .expect(StatusCode::ACCEPTED);
    let change = person
        .request(Method::POST, "/v1/me/email")
        .json(&json!({ "email": next }));
    Answer::of(change).await.expect(StatusCode::ACCEPTED);
    mail_about(&email, "Choose a new password").await;
    mail_about(&next, "Confirm your new email address").await;
    until_none(&stores, "every job is done", UNDONE).await;
    for mail in Mailbox::to(&email)
        .await
        .into_iter()
        .chain(Mailbox::to(&next).await)
    {
        let parts = [mail.text.as_deref(), mail.html.as_deref()];
        assert!(
            parts
                .iter()
                .flatten()
                .all(|part| !part.contains("evil") && !part.contains("Ada")),
            "{mail:?}"
        );
    }
}

/// [`Mailbox`] rejects mails that a strict server would object to.
#[tokio::test]
async fn mails_with_unusual_names_are_accepted_by_a_strict_server() {
    let letters = "Größe & Söhne \u{1f3ed}, Łódź ".repeat(12);
    for (product, from) in [
        // The first character of a line is a dot.
        (
            ".hidden".to_owned(),
            "\"Dr. \\\"Ada\\\" L., Ltd.\" <no-reply@plinth.test>".to_owned(),
        ),
        (
            letters.trim().to_owned(),
            format!("\"{}\" <no-reply@plinth.test>", letters.trim()),
        ),
        (
            "W".repeat(1_200),
            format!("{} <no-reply@plinth.test>", "W".repeat(40)),
        ),
        (
            "Plinth".to_owned(),
            "\u{1f3ed} <no-reply@plinth.test>".to_owned(),
        ),
    ] {
        let stage = Stage::open()
            .await
            .with("PLINTH_PRODUCT_NAME", &product)
            .with("PLINTH_SMTP_FROM", &from);
        let (api, worker) = (Process::api(&stage).await, Process::worker(&stage).await);
        let (door, stores) = (Door::of(&api), stage.stores());
        let (email, next) = (fresh_email(), fresh_email());
        let name = format!("{}\u{1f469}\u{200d}\u{1f4bb}", "Ørsted ".repeat(10));
        let registration = json!({ "email": email, "password": PASSWORD, "display_name": name });
        door.post("/v1/auth/register", &registration)
            .await
            .expect(StatusCode::ACCEPTED);
        door.verify(&Mailbox::first_to(&email).await.token()).await;
        let person = door.log_in(&email).await;
        let change = person
            .request(Method::POST, "/v1/me/email")
            .json(&json!({ "email": next }));
        Answer::of(change).await.expect(StatusCode::ACCEPTED);
        let token = mail_about(&next, "Confirm your new email address")
            .await
            .token();
        let confirmation = json!({ "token": token, "password": PASSWORD });
        door.post("/v1/auth/email/confirm", &confirmation)
            .await
            .expect(StatusCode::NO_CONTENT);
        door.post("/v1/auth/password/forgot", &json!({ "email": next }))
            .await
            .expect(StatusCode::ACCEPTED);
        let notice = mail_about(&email, "Your email address was changed").await;
        let mail = mail_about(&next, "Choose a new password").await;
        for mail in [&notice, &mail] {
            assert_eq!(mail.from, "no-reply@plinth.test");
            assert!(
                mail.text
                    .as_deref()
                    .is_some_and(|text| text.contains(&product)),
                "{mail:?}"
            );
        }
        assert!(
            notice
                .text
                .as_deref()
                .is_some_and(|text| text.contains(name.trim())),
            "{notice:?}"
        );
        until_none(&stores, "every job is done", UNDONE).await;
        assert!(worker.stop().await.success());
    }
}

#[tokio::test]
async fn an_internationalized_domain_gets_mail_and_such_a_local_part_is_refused_at_once() {
    let stage = Stage::open().await;
    let (api, worker) = (Process::api(&stage).await, Process::worker(&stage).await);
    let (door, stores) = (Door::of(&api), stage.stores());
    let local = format!("ada-{}", uuid::Uuid::new_v4().simple());
    door.register(&format!("{local}@müller.example")).await;
    // The mail server of the tests does not support SMTPUTF8.
    let mail = Mailbox::first_to(&format!("{local}@xn--mller-kva.example")).await;
    door.verify(&mail.token()).await;

    door.register(&format!("grüße-{local}@example.org")).await;
    let ended = until("the mail is a dead letter", async || {
        let dead = "SELECT attempt, last_error FROM jobs WHERE state = 'dead'";
        sqlx::query_as::<_, (i16, String)>(dead)
            .fetch_optional(&stores.db)
            .await
            .expect("reads")
    })
    .await;
    assert_eq!(ended.0, 1, "at its first attempt");
    assert!(ended.1.contains("SMTPUTF8"), "{}", ended.1);
    assert!(api.stop().await.success());
    assert!(worker.stop().await.success());
}
