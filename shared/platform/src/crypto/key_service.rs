//! Keys that wrap the data keys of contents: an interface in the manner of a KMS, and the one that keeps them locally.
//!
//! Rotation gives every data key another wrapping and leaves the contents as they are.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{DataKey, RootKey, Sealer};
use crate::settings::MasterKeyList;

/// A data key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// The master key that wraps it.
    pub master_key: String,
    pub bytes: Vec<u8>,
}

/// Why a data key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyFailure {
    #[error("there is no master key {0:?}; PLINTH_FILES_MASTER_KEYS names those that there are")]
    UnknownMasterKey(String),
    #[error(
        "a data key does not open with master key {0:?}: another key of that name, or another row's data key"
    )]
    DoesNotOpen(String),
}

/// Who keeps master keys. A key service elsewhere implements this.
pub trait KeyService: Send + Sync {
    /// The name of the master key that wraps from now on.
    fn current(&self) -> &str;

    /// Wraps a data key for the content that `context` names; it unwraps for no other.
    fn wrap<'a>(
        &'a self,
        context: &'a str,
        key: &'a DataKey,
    ) -> BoxFuture<'a, Result<WrappedKey, KeyFailure>>;

    fn unwrap<'a>(
        &'a self,
        context: &'a str,
        wrapped: &'a WrappedKey,
    ) -> BoxFuture<'a, Result<DataKey, KeyFailure>>;
}

/// Master keys in this process, from its settings.
pub struct LocalKeys(Vec<(String, Sealer)>);

/// The name of the master key that is derived from the root key.
pub const DERIVED_KEY: &str = "root";

impl LocalKeys {
    /// Those of the list, of which the first one wraps; the one derived from the root key follows, or stands alone.
    pub fn service(list: Option<&MasterKeyList>, root: &RootKey) -> Arc<dyn KeyService> {
        let listed = list.map(MasterKeyList::keys).unwrap_or_default();
        let mut keys: Vec<_> = listed
            .into_iter()
            .map(|(name, key)| (name, Sealer::new(&key)))
            .collect();
        keys.push((
            DERIVED_KEY.to_owned(),
            Sealer::new(&root.derive("files master key")),
        ));
        Arc::new(Self(keys))
    }

    fn unwrap_now(&self, context: &str, wrapped: &WrappedKey) -> Result<DataKey, KeyFailure> {
        let name = &wrapped.master_key;
        let (_, sealer) = self
            .0
            .iter()
            .find(|(known, _)| known == name)
            .ok_or_else(|| KeyFailure::UnknownMasterKey(name.clone()))?;
        let opened = sealer
            .open(context, &wrapped.bytes)
            .and_then(|bytes| DataKey::from_bytes(&bytes));
        opened.ok_or_else(|| KeyFailure::DoesNotOpen(name.clone()))
    }
}

impl KeyService for LocalKeys {
    fn current(&self) -> &str {
        &self.0.first().expect("the derived key is always there").0
    }

    fn wrap<'a>(
        &'a self,
        context: &'a str,
        key: &'a DataKey,
    ) -> BoxFuture<'a, Result<WrappedKey, KeyFailure>> {
        let (name, sealer) = self.0.first().expect("the derived key is always there");
        let wrapped = WrappedKey {
            master_key: name.clone(),
            bytes: sealer.seal(context, key.expose()),
        };
        Box::pin(std::future::ready(Ok(wrapped)))
    }

    fn unwrap<'a>(
        &'a self,
        context: &'a str,
        wrapped: &'a WrappedKey,
    ) -> BoxFuture<'a, Result<DataKey, KeyFailure>> {
        Box::pin(std::future::ready(self.unwrap_now(context, wrapped)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Secret, Value};

    const OLD: &str = "2025:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    const NEW: &str = "2026:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

    fn keys(list: &str) -> Arc<dyn KeyService> {
        let root = RootKey::parse(&Secret::new(RootKey::generate())).expect("a key");
        LocalKeys::service(Some(&Value::parse(list).expect("a list")), &root)
    }

    #[tokio::test]
    async fn an_old_key_unwraps_and_the_first_one_wraps() {
        let key = DataKey::generate();
        let wrapped = keys(OLD).wrap("blob:1", &key).await.expect("wraps");
        assert_eq!(wrapped.master_key, "2025");
        let rotated = keys(&format!("{NEW},{OLD}"));
        let opened = rotated.unwrap("blob:1", &wrapped).await.expect("unwraps");
        assert_eq!(opened.expose(), key.expose());
        assert_eq!(
            rotated
                .wrap("blob:1", &opened)
                .await
                .expect("wraps")
                .master_key,
            "2026"
        );
        assert!(
            rotated.unwrap("blob:2", &wrapped).await.is_err(),
            "of another content"
        );
        assert!(matches!(
            keys(NEW).unwrap("blob:1", &wrapped).await,
            Err(KeyFailure::UnknownMasterKey(name)) if name == "2025"
        ));
    }

    #[tokio::test]
    async fn without_a_list_the_key_comes_from_the_root() {
        let root = RootKey::parse(&Secret::new(RootKey::generate())).expect("a key");
        let key = DataKey::generate();
        let wrapped = LocalKeys::service(None, &root)
            .wrap("blob:1", &key)
            .await
            .expect("wraps");
        let opened = LocalKeys::service(Some(&Value::parse(NEW).expect("a list")), &root)
            .unwrap("blob:1", &wrapped)
            .await;
        assert_eq!(
            opened.expect("unwraps").expose(),
            key.expose(),
            "also when a list is given later"
        );
    }
}
