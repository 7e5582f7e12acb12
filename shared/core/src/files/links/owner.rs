//! What the owner of a file does with its links. Links to a file of somebody else, or in the trash, do not exist.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::{FileId, ShareLinkId, UserId};
use plinth_platform::crypto::OpaqueToken;
use serde_json::json;

use super::super::repository as files;
use super::repository::NewLink;
use super::{NewShareLink, OwnLink, ShareLink, ShareLinks, repository};
use crate::access::Caller;
use crate::auth::SessionCaller;
use crate::page::{Page, PageRequest};
use crate::unit::Unit;
use crate::{Error, Result};

/// Links of one file that have not expired.
const MOST_LINKS: i64 = 100;

impl ShareLinks {
    /// Makes a link to the file; the token is told this once.
    pub async fn create(
        &self,
        origin: &Origin,
        caller: &Caller,
        file: FileId,
        wanted: NewShareLink,
    ) -> Result<(ShareLink, OpaqueToken)> {
        let owner = caller.user.id;
        // Before the hash, which costs more; and again below, where nobody can remove it any more.
        self.files.find(owner, file).await?;
        let password_hash = match wanted.password {
            Some(password) => Some(self.hasher.hash(password).await?),
            None => None,
        };
        let mut unit = match SessionCaller::of(caller) {
            // A recovery that ends the session finds the link, or the link is refused.
            Some(session) => session.begin(&self.stores, origin).await?,
            None => Unit::begin(&self.stores, origin).await?,
        };
        let at = unit.at();
        let expires_at = wanted
            .expiry
            .resolve(at)
            .map_err(|rejection| Error::invalid("/expires_at", rejection))?;
        // Two at once are counted one after the other.
        let current = files::hold(unit.connection(), file, owner)
            .await?
            .ok_or(Error::NotFound)?;
        if repository::count_live(unit.connection(), file, at).await? >= MOST_LINKS {
            let detail = format!("A file has at most {MOST_LINKS} links; revoke one.");
            return Err(Error::Conflict {
                code: ErrorCode::TooManyLinks,
                detail,
            });
        }
        let token = OpaqueToken::generate();
        let link = ShareLink {
            id: ShareLinkId::mint(at),
            has_password: password_hash.is_some(),
            max_downloads: wanted
                .max_downloads
                .map(plinth_domain::share_link::DownloadLimit::count),
            downloads: 0,
            expires_at,
            created_at: at,
            version: wanted.pinned.then_some(current),
        };
        let new = NewLink {
            link: &link,
            file,
            owner,
            made_by: (&caller.credential).into(),
            token_hash: token.hash(),
            password_hash: password_hash.as_deref(),
        };
        repository::insert(unit.connection(), new).await?;
        let details = json!({
            "file_id": file,
            "has_password": link.has_password,
            "max_downloads": link.max_downloads,
            "version": link.version,
        });
        unit.audit_with(
            Action::ShareLinkCreated,
            Target::ShareLink(link.id),
            Outcome::Success,
            details,
        )
        .await?;
        unit.commit().await?;
        Ok((link, token))
    }

    /// The links of a file, the newest first; those that have expired or are used up are among them.
    pub async fn list(
        &self,
        owner: UserId,
        file: FileId,
        page: PageRequest,
    ) -> Result<Page<ShareLink>> {
        self.files.find(owner, file).await?;
        let links = repository::list(&self.stores.db, file, self.stores.clock.now(), page).await?;
        Ok(Page::cut(links, page, |link| link.id.0))
    }

    /// Every link of the account, the newest first.
    pub async fn list_all(&self, owner: UserId, page: PageRequest) -> Result<Page<OwnLink>> {
        let links =
            repository::list_all(&self.stores.db, owner, self.stores.clock.now(), page).await?;
        Ok(Page::cut(links, page, |own| own.link.id.0))
    }

    /// Ends every link of the account and returns how many there were.
    pub async fn revoke_all(&self, origin: &Origin, owner: UserId) -> Result<usize> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let ended = repository::remove_all(unit.connection(), owner).await?;
        if ended.is_empty() {
            return Ok(0);
        }
        let details = json!({ "links": ended.len() });
        unit.audit_with(
            Action::ShareLinkRevoked,
            Target::User(owner),
            Outcome::Success,
            details,
        )
        .await?;
        unit.commit().await?;
        Ok(ended.len())
    }

    /// Ends a link; the very next request with it finds nothing.
    pub async fn revoke(
        &self,
        origin: &Origin,
        owner: UserId,
        file: FileId,
        link: ShareLinkId,
    ) -> Result<()> {
        self.files.find(owner, file).await?;
        let mut unit = Unit::begin(&self.stores, origin).await?;
        if !repository::remove(unit.connection(), file, link).await? {
            return Err(Error::NotFound);
        }
        let details = json!({ "file_id": file });
        unit.audit_with(
            Action::ShareLinkRevoked,
            Target::ShareLink(link),
            Outcome::Success,
            details,
        )
        .await?;
        unit.commit().await
    }
}
