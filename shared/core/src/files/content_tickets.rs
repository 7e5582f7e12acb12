//! Tickets for contents: what the host that only gives users' files takes in place of a login, for a moment.
//!
//! That host has another origin than the API, so that nothing in a file meets a session; therefore no session reaches it.

use plinth_domain::id::{FileId, UserId};
use plinth_domain::preset::PresetName;
use plinth_domain::user::UserStatus;
use plinth_platform::crypto::{RootKey, Signer};
use serde::{Deserialize, Serialize};
use time::Duration;

use super::{Content, Files};
use crate::{Error, Result, Stores, users};

const CONTEXT: &str = "content ticket v1";

/// A download may begin for so long; one that has begun goes on.
const LIFETIME: Duration = Duration::minutes(1);

/// Which bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    Current,
    Version(i32),
    Variant(PresetName),
}

#[derive(Serialize, Deserialize)]
struct Payload {
    owner: UserId,
    file: FileId,
    wanted: Wanted,
    /// Seconds since 1970.
    until: i64,
}

/// Issues tickets and takes them back.
#[derive(Clone)]
pub struct ContentTickets {
    stores: Stores,
    files: Files,
    signer: Signer,
}

impl ContentTickets {
    pub fn new(stores: &Stores, files: &Files, root: &RootKey) -> Self {
        let signer = Signer::new(&root.derive("content tickets v1"));
        Self {
            stores: stores.clone(),
            files: files.clone(),
            signer,
        }
    }

    /// A ticket for what was found to be this owner's.
    pub fn issue(&self, owner: UserId, file: FileId, wanted: Wanted) -> Result<String> {
        let until = (self.stores.clock.now() + LIFETIME).unix_timestamp();
        let payload = Payload {
            owner,
            file,
            wanted,
            until,
        };
        let payload = serde_json::to_vec(&payload).map_err(Error::internal)?;
        Ok(self.signer.sign(CONTEXT, &payload))
    }

    /// What a ticket is for, as its owner would get it now.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is none or has expired, or its owner may not act.
    pub async fn content(&self, ticket: &str) -> Result<Content> {
        let payload = self.signer.verify(CONTEXT, ticket).ok_or(Error::NotFound)?;
        let payload: Payload = serde_json::from_slice(&payload).map_err(Error::internal)?;
        if self.stores.clock.now().unix_timestamp() >= payload.until {
            return Err(Error::NotFound);
        }
        let Payload {
            owner,
            file,
            wanted,
            ..
        } = payload;
        let account = users::find(&self.stores, owner).await?;
        if account.is_none_or(|account| account.status != UserStatus::Active) {
            return Err(Error::NotFound);
        }
        match wanted {
            Wanted::Current => self.files.content(owner, file).await,
            Wanted::Version(number) => self.files.version_content(owner, file, number).await,
            Wanted::Variant(preset) => self.files.variant(owner, file, &preset).await,
        }
    }
}
