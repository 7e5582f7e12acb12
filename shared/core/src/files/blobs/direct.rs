//! A blob that its client stores: all of its bytes are set aside before the first one comes.

use plinth_domain::id::{BlobId, UserId};

use super::folder;
use super::repository::{self, NewBlob};
use super::usage::{self, Quota};
use crate::unit::Unit;
use crate::{Error, Result};

/// Begins one of so many bytes; its id, and the key of its object. Not found when the owner's account is deleted.
pub(in crate::files) async fn begin(
    unit: &mut Unit,
    owner: UserId,
    bytes: u64,
    quota: Quota,
) -> Result<(BlobId, String)> {
    let at = unit.at();
    let id = BlobId::mint(at);
    let object_key = format!("{}content", folder(id));
    let blob = NewBlob {
        id,
        owner,
        object_key: &object_key,
        key: None,
    };
    usage::hold(unit.connection(), owner).await?;
    if !repository::begin(unit.connection(), &blob, at).await? {
        return Err(Error::NotFound);
    }
    usage::reserve_in(unit.connection(), owner, id, bytes, quota).await?;
    Ok((id, object_key))
}
