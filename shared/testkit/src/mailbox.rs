//! The mailbox that every test's mail goes to, read by address.

use serde::Deserialize;

use crate::http::client;
use crate::services::Services;
use crate::until::until;

/// A caught mail.
#[derive(Debug, Clone, Deserialize)]
pub struct Mail {
    pub from: String,
    pub to: String,
    pub subject: String,
    pub text: Option<String>,
    pub html: Option<String>,
    pub auto_submitted: Option<String>,
    /// What a strict mail server would object to.
    pub objections: Vec<String>,
}

impl Mail {
    /// The `token` of the link in the text.
    pub fn token(&self) -> String {
        let text = self.text.as_deref().expect("the mail has a text part");
        let (_, rest) = text
            .split_once("token=")
            .expect("the text has a link with a token");
        rest.split_whitespace()
            .next()
            .expect("the token is not empty")
            .to_owned()
    }
}

/// The door to the mailbox.
pub struct Mailbox;

impl Mailbox {
    /// The mails to this address, the newest first. A strict mail server takes each, and each says
    /// that no person wrote it, so that no vacation notice answers it (RFC 3834).
    pub async fn to(address: &str) -> Vec<Mail> {
        // Addresses in tests have no character that a URL would need escaped.
        let answer = client()
            .get(format!(
                "{}/messages?to={address}",
                Services::get().mailbox_url
            ))
            .send()
            .await;
        let mails: Vec<Mail> = answer
            .expect("the mailbox answers")
            .json()
            .await
            .expect("the mailbox lists mails");
        for mail in &mails {
            assert_eq!(
                mail.auto_submitted.as_deref(),
                Some("auto-generated"),
                "{mail:?}"
            );
            assert!(mail.objections.is_empty(), "{mail:?}");
        }
        mails
    }

    /// The first mail to this address, once it is there.
    pub async fn first_to(address: &str) -> Mail {
        until(&format!("a mail to {address} arrives"), async || {
            Self::to(address).await.pop()
        })
        .await
    }
}
