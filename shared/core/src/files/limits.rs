//! What an owner of files may have: what the configuration says in general, and what it says of his roles.

use plinth_domain::error_code::ErrorCode;
use plinth_domain::file::MetadataState;
use plinth_domain::id::{FileId, UserId};
use plinth_domain::media_type::MediaTypes;
use plinth_platform::database::{PgPool, named};
use plinth_platform::settings::{ByteSize, FilesSettings, LimitsByRole, RoleLimits};
use sqlx::PgConnection;

use super::slots::MaxUploads;
use super::{Quota, repository};
use crate::{Error, Result};

/// The limits of everybody.
#[derive(Debug, Clone)]
pub struct Limits {
    general: Bounds,
    by_role: LimitsByRole,
    uploads: MaxUploads,
    unfinished: u32,
}

/// The limits of one owner.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Bytes of one file.
    pub size: u64,
    pub quota: Quota,
    /// Versions of one file.
    pub versions: u32,
    /// What a file may be, as its first bytes show.
    pub types: MediaTypes,
    /// The metadata of pictures is taken out.
    pub strips_metadata: bool,
}

impl Limits {
    pub fn of(settings: &FilesSettings) -> Self {
        let quota = Quota {
            bytes: settings.quota.0,
            files: settings.max_count.into(),
        };
        let (types, strips_metadata) = (settings.allowed_types.clone(), settings.strip_metadata);
        let versions = settings.max_versions.0;
        let general = Bounds {
            size: settings.max_size.0,
            quota,
            versions,
            types,
            strips_metadata,
        };
        let uploads = MaxUploads {
            of_account: settings.concurrent_uploads_per_account.count(),
            of_process: settings.concurrent_uploads.count(),
        };
        Self {
            general,
            by_role: settings.role_limits.clone(),
            uploads,
            unfinished: settings.unfinished_uploads.0,
        }
    }

    /// Uploads that one account may have begun and not ended.
    pub(super) fn unfinished(&self) -> u32 {
        self.unfinished
    }

    /// Uploads that one process receives at once.
    pub(super) fn uploads(&self) -> MaxUploads {
        self.uploads
    }

    /// Those of an owner of whose roles nothing is said.
    pub(super) fn general(&self) -> &Bounds {
        &self.general
    }

    /// The largest file that anybody may have, in bytes.
    pub fn largest(&self) -> u64 {
        let of_roles = self.by_role.0.values().filter_map(|role| role.size);
        of_roles
            .map(|size| size.0)
            .fold(self.general.size, u64::max)
    }

    /// Those of an owner, as his roles are now.
    pub(super) async fn of_owner(&self, db: &PgPool, owner: UserId) -> Result<Bounds> {
        if self.by_role.0.is_empty() {
            return Ok(self.general.clone());
        }
        let named_roles: Vec<_> = self.by_role.0.keys().map(ToString::to_string).collect();
        let query = sqlx::query_scalar!(
            "SELECT role FROM user_roles WHERE user_id = $1 AND role = ANY($2)",
            owner as _,
            &named_roles,
        );
        let held = named("user_roles.limiting", query.fetch_all(db)).await?;
        let roles = self
            .by_role
            .0
            .iter()
            .filter(|(role, _)| held.iter().any(|held| held == role.as_str()));
        let roles: Vec<&RoleLimits> = roles.map(|(_, limits)| limits).collect();
        Ok(self.general.with(&roles))
    }
}

impl Bounds {
    /// What the roles say instead: of several, the largest.
    fn with(&self, roles: &[&RoleLimits]) -> Self {
        let size = roles
            .iter()
            .filter_map(|role| role.size)
            .map(|size| size.0)
            .max();
        let bytes = roles
            .iter()
            .filter_map(|role| role.quota)
            .map(|ByteSize(bytes)| bytes)
            .max_by_key(|bound| unbound(*bound));
        let files = roles
            .iter()
            .filter_map(|role| role.count)
            .map(u64::from)
            .max_by_key(|bound| unbound(*bound));
        let types = roles
            .iter()
            .filter_map(|role| role.types.clone())
            .reduce(|one, other| one.and(&other));
        Self {
            size: size.unwrap_or(self.size),
            quota: Quota {
                bytes: bytes.unwrap_or(self.quota.bytes),
                files: files.unwrap_or(self.quota.files),
            },
            versions: self.versions,
            types: types.unwrap_or_else(|| self.types.clone()),
            strips_metadata: self.strips_metadata,
        }
    }

    /// Those of bytes that take the place of others, which were within their bounds.
    pub(super) fn none() -> Self {
        let quota = Quota { bytes: 0, files: 0 };
        Self {
            size: u64::MAX,
            quota,
            versions: u32::MAX,
            types: MediaTypes::all(),
            strips_metadata: false,
        }
    }

    /// What is done about the metadata of bytes of this type. What is a picture is told by its type alone: one that is not
    /// understood is not taken for something else.
    pub(super) fn metadata(&self, media_type: &str) -> MetadataState {
        let strips = self.strips_metadata && media_type.starts_with("image/");
        if strips {
            MetadataState::Pending
        } else {
            MetadataState::Kept
        }
    }

    /// Refuses another version of a file that has as many as it may. Whoever adds one holds the owner's usage row.
    pub(super) async fn check_versions(
        &self,
        connection: &mut PgConnection,
        file: FileId,
    ) -> Result<()> {
        if repository::count_versions(connection, file).await? < i64::from(self.versions) {
            return Ok(());
        }
        let detail = format!(
            "A file has at most {} versions; delete one first.",
            self.versions
        );
        Err(Error::Conflict {
            code: ErrorCode::TooManyVersions,
            detail,
        })
    }

    pub(super) fn check_type(&self, media_type: &str) -> Result<()> {
        if self.types.contains(media_type) {
            return Ok(());
        }
        Err(Error::TypeNotAllowed {
            media_type: media_type.to_owned(),
            allowed: self.types.to_string(),
        })
    }
}

/// No bound, which is written 0, is more than any.
fn unbound(bound: u64) -> u64 {
    bound.checked_sub(1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use plinth_platform::settings::Value as _;

    use super::*;

    #[test]
    fn of_several_roles_the_largest_counts_and_what_none_says_is_general() {
        let types = "image/*".parse().expect("a media type");
        let general = Bounds {
            size: 10,
            quota: Quota {
                bytes: 100,
                files: 5,
            },
            versions: 3,
            types,
            strips_metadata: true,
        };
        let roles = LimitsByRole::parse(
            "a: size=5 quota=200 types=text/plain; b: quota=0 types=application/pdf",
        )
        .expect("they are limits");
        let roles: Vec<_> = roles.0.values().collect();
        let bounds = general.with(&roles);
        assert_eq!(
            (bounds.size, bounds.quota),
            (5, Quota { bytes: 0, files: 5 })
        );
        assert_eq!(bounds.types.to_string(), "application/pdf,text/plain");
        assert_eq!(general.with(&[]).quota, general.quota);
        assert!(bounds.strips_metadata, "no role is excepted");
    }
}
