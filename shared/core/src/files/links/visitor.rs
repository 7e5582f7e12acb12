//! What whoever has a link does with it.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::password::Password;
use plinth_platform::crypto::{OpaqueToken, Verified};
use serde_json::json;

use super::reader::Reader;
use super::{LiveLink, ShareLinks, SharedContent, SharedFile, Ticket, repository};
use crate::auth::Attempt;
use crate::files::blobs::is_available;
use crate::unit::Unit;
use crate::{Error, Result};

/// Somebody with a link that opens something to him.
struct Visit {
    link: LiveLink,
    reader: Reader,
    resumes: bool,
}

impl ShareLinks {
    /// What the link shares.
    pub async fn describe(&self, origin: &Origin, token: &str) -> Result<SharedFile> {
        let Visit { link, .. } = self.visit(origin, token).await?;
        let file = self.files.find(link.owner, link.file).await?;
        let (content_type, size) = match link.version {
            None => (file.content_type, file.size),
            Some(number) => {
                let (_, version) = self.files.version(link.owner, link.file, number).await?;
                (version.content_type, version.size)
            }
        };
        Ok(SharedFile {
            name: file.name,
            content_type,
            size,
            needs_password: link.password_hash.is_some(),
            expires_at: link.expires_at,
        })
    }

    /// Takes the password of a link and gives a ticket for it. Guesses are slowed down as those at logins are.
    pub async fn ticket(&self, origin: &Origin, token: &str, password: Password) -> Result<Ticket> {
        let Visit { link, .. } = self.visit(origin, token).await?;
        let Some(hash) = link.password_hash.clone() else {
            let detail = "The link needs no password: there is nothing to give a ticket for.".to_owned();
            return Err(Error::Conflict { code: "no_link_password", detail });
        };
        let attempt = Attempt::link_password(origin.ip, link.id);
        self.throttle.begin(&attempt).await?;
        match self.hasher.verify(password, Some(hash)).await {
            Ok(Verified::Yes | Verified::YesOutdated) => {
                self.throttle.succeeded(&attempt).await;
                Ok(self.tickets.issue(link.id, self.stores.clock.now()))
            }
            Ok(Verified::No) => {
                self.refuse(origin, &link).await?;
                let detail = "The password of the link is wrong.".to_owned();
                Err(Error::Forbidden { code: "wrong_link_password", detail })
            }
            Err(error) => {
                self.throttle.undecided(&attempt).await;
                Err(error.into())
            }
        }
    }

    async fn refuse(&self, origin: &Origin, link: &LiveLink) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let details = json!({ "file_id": link.file, "reason": "wrong_link_password" });
        unit.audit_with(Action::ShareLinkRefused, Target::ShareLink(link.id), Outcome::Refused, details)
            .await?;
        unit.commit().await
    }

    /// What a download by the link is. It is not counted yet.
    pub async fn content(&self, origin: &Origin, token: &str, ticket: Option<&str>) -> Result<SharedContent> {
        let Visit { link, reader, resumes } = self.visit(origin, token).await?;
        let now = self.stores.clock.now();
        let is_admitted = || ticket.is_some_and(|ticket| self.tickets.admits(ticket, link.id, now));
        if link.password_hash.is_some() && !is_admitted() {
            let detail = "The link needs a ticket, which its password gets.".to_owned();
            return Err(Error::Forbidden { code: "link_password_required", detail });
        }
        let content = match link.version {
            None => self.files.content(link.owner, link.file).await?,
            Some(number) => self.files.version_content(link.owner, link.file, number).await?,
        };
        Ok(SharedContent { content, link, reader, resumes })
    }

    /// Counts what is about to be sent as a download, unless it goes on with one that the same client has begun: then
    /// it is not `from_start`. Not found where somebody else was faster and took the last one.
    pub async fn count(&self, origin: &Origin, shared: &SharedContent, from_start: bool) -> Result<()> {
        if shared.resumes && !from_start {
            return Ok(());
        }
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let at = unit.at();
        if !repository::count_download(unit.connection(), shared.link.id, at).await? {
            return Err(Error::NotFound);
        }
        let details = json!({ "file_id": shared.link.file });
        let target = Target::ShareLink(shared.link.id);
        unit.audit_with(Action::ShareLinkDownloaded, target, Outcome::Success, details).await?;
        unit.commit().await?;
        self.readers.begin(&shared.reader, shared.link.blob).await;
        Ok(())
    }

    /// A link that is used up is still there for those whose downloads have used it up. What is asked is asked of any
    /// token, so that no end of a link takes another time than any other.
    async fn visit(&self, origin: &Origin, token: &str) -> Result<Visit> {
        let token_hash = OpaqueToken::parse(token).ok_or(Error::NotFound)?.hash();
        let reader = Reader::new(&token_hash, origin);
        let now = self.stores.clock.now();
        let (found, begun) = tokio::join!(
            repository::find_live(&self.stores.db, &token_hash, now),
            self.readers.begun(&reader)
        );
        let link = found?.ok_or(Error::NotFound)?;
        let resumes = begun == Some(link.blob);
        let is_kept_back = !is_available(link.standing, &self.stores.antivirus);
        if is_kept_back || link.is_used_up && !resumes {
            return Err(Error::NotFound);
        }
        Ok(Visit { link, reader, resumes })
    }
}
