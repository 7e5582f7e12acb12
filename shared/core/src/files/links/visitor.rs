//! What whoever has a link does with it.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::password::Password;
use plinth_platform::crypto::{OpaqueToken, Verified};
use serde_json::json;

use super::{LiveLink, ShareLinks, SharedContent, SharedFile, Ticket, repository};
use crate::auth::Attempt;
use crate::files::blobs::is_available;
use crate::unit::Unit;
use crate::{Error, Result};

/// What a client presents with a link to go on with a download, or to begin one.
#[derive(Debug, Clone, Copy, Default)]
pub struct DownloadTickets<'a> {
    /// What the password of the link got.
    pub password: Option<&'a str>,
    /// What an earlier download by the link got that was counted.
    pub resume: Option<&'a str>,
}

/// A client with a link that opens something.
struct Visit {
    link: LiveLink,
    resumes: bool,
}

impl ShareLinks {
    /// What the link shares.
    pub async fn describe(&self, token: &str) -> Result<SharedFile> {
        let Visit { link, .. } = self.visit(token, None).await?;
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
        let Visit { link, .. } = self.visit(token, None).await?;
        let Some(hash) = link.password_hash.clone() else {
            let detail =
                "The link needs no password: there is nothing to give a ticket for.".to_owned();
            return Err(Error::Conflict {
                code: ErrorCode::NoLinkPassword,
                detail,
            });
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
                Err(Error::Forbidden {
                    code: ErrorCode::WrongLinkPassword,
                    detail,
                })
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
        unit.audit_with(
            Action::ShareLinkRefused,
            Target::ShareLink(link.id),
            Outcome::Refused,
            details,
        )
        .await?;
        unit.commit().await
    }

    /// Returns what a download by the link is. It is not counted yet.
    pub async fn content(
        &self,
        token: &str,
        tickets: DownloadTickets<'_>,
    ) -> Result<SharedContent> {
        let Visit { link, resumes } = self.visit(token, tickets.resume).await?;
        let now = self.stores.clock.now();
        // A download that was counted has shown the password's ticket.
        let is_admitted = || {
            resumes
                || tickets
                    .password
                    .is_some_and(|ticket| self.tickets.admits(ticket, link.id, now))
        };
        if link.password_hash.is_some() && !is_admitted() {
            let detail = "The link needs a ticket, which its password gets.".to_owned();
            return Err(Error::Forbidden {
                code: ErrorCode::LinkPasswordRequired,
                detail,
            });
        }
        let content = match link.version {
            None => self.files.content(link.owner, link.file).await?,
            Some(number) => {
                self.files
                    .version_content(link.owner, link.file, number)
                    .await?
            }
        };
        Ok(SharedContent {
            content,
            link,
            resumes,
        })
    }

    /// Counts what is about to be sent as a download, and returns the ticket by which it is resumed. Not counted, and
    /// without another ticket, if the client resumes a download: then it is not `from_start`. Not found if other clients
    /// have used the link up.
    pub async fn count(
        &self,
        origin: &Origin,
        shared: &SharedContent,
        from_start: bool,
    ) -> Result<Option<String>> {
        if shared.resumes && !from_start {
            return Ok(None);
        }
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let at = unit.at();
        if !repository::count_download(unit.connection(), shared.link.id, at).await? {
            return Err(Error::NotFound);
        }
        let details = json!({ "file_id": shared.link.file });
        let target = Target::ShareLink(shared.link.id);
        unit.audit_with(
            Action::ShareLinkDownloaded,
            target,
            Outcome::Success,
            details,
        )
        .await?;
        unit.commit().await?;
        Ok(Some(self.resume_tickets.issue(
            shared.link.id,
            shared.link.blob,
            at,
        )))
    }

    /// A link that is used up is still there for the downloads that have used it up.
    async fn visit(&self, token: &str, resume: Option<&str>) -> Result<Visit> {
        let token_hash = OpaqueToken::parse(token).ok_or(Error::NotFound)?.hash();
        let now = self.stores.clock.now();
        let link = repository::find_live(&self.stores.db, &token_hash, now)
            .await?
            .ok_or(Error::NotFound)?;
        let resumes = resume
            .is_some_and(|ticket| self.resume_tickets.admits(ticket, link.id, link.blob, now));
        let is_kept_back = !is_available(link.standing, &self.stores.antivirus);
        if is_kept_back || link.is_used_up && !resumes {
            return Err(Error::NotFound);
        }
        Ok(Visit { link, resumes })
    }
}
