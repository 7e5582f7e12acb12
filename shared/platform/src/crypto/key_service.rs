//! Master keys, which wrap the data keys of contents: an interface like that of a KMS, and a local
//! implementation.
//!
//! A rotation wraps every data key again and leaves the contents unchanged.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{DataKey, RootKey, Sealer};
use crate::settings::MasterKeyList;

/// A wrapped data key, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// Name of the master key that wraps it.
    pub master_key: String,
    pub bytes: Vec<u8>,
}

/// The reason why a data key is not available.
#[derive(Debug, thiserror::Error)]
pub enum KeyFailure {
    #[error("unknown master key {0:?}; PLINTH_FILES_MASTER_KEYS lists the known ones")]
    UnknownMasterKey(String),
    #[error(
        "master key {0:?} does not unwrap a data key: it is another key of that name, or another row's data key"
    )]
    CannotUnwrap(String),
}

/// A service that holds master keys. An external key service implements this trait.
pub trait KeyService: Send + Sync {
    /// Returns the name of the master key that wraps new data keys.
    fn current(&self) -> &str;

    /// Wraps a data key for the content that `context` names. It unwraps only with the same
    /// context.
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

/// Master keys from the settings of this process; the first one wraps.
pub struct LocalKeyService(Vec<(String, Sealer)>);

/// The name of the master key that is derived from the root key.
pub const DERIVED_KEY: &str = "root";

impl LocalKeyService {
    /// Creates a service with the keys of the list, followed by the key derived from the root key.
    pub fn create(list: Option<&MasterKeyList>, root: &RootKey) -> Arc<dyn KeyService> {
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

    fn unwrap_sync(&self, context: &str, wrapped: &WrappedKey) -> Result<DataKey, KeyFailure> {
        let name = &wrapped.master_key;
        let (_, sealer) = self
            .0
            .iter()
            .find(|(other, _)| other == name)
            .ok_or_else(|| KeyFailure::UnknownMasterKey(name.clone()))?;
        let opened = sealer
            .open(context, &wrapped.bytes)
            .and_then(|bytes| DataKey::from_bytes(&bytes));
        opened.ok_or_else(|| KeyFailure::CannotUnwrap(name.clone()))
    }
}

impl KeyService for LocalKeyService {
    fn current(&self) -> &str {
        &self.0.first().expect("the derived key is always present").0
    }

    fn wrap<'a>(
        &'a self,
        context: &'a str,
        key: &'a DataKey,
    ) -> BoxFuture<'a, Result<WrappedKey, KeyFailure>> {
        let (name, sealer) = self.0.first().expect("the derived key is always present");
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
        Box::pin(std::future::ready(self.unwrap_sync(context, wrapped)))
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
        LocalKeyService::create(Some(&Value::parse(list).expect("a list")), &root)
    }

    #[tokio::test]
    async fn a_previous_key_unwraps_and_the_first_one_wraps() {
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
            "another content"
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
        let wrapped = LocalKeyService::create(None, &root)
            .wrap("blob:1", &key)
            .await
            .expect("wraps");
        let opened = LocalKeyService::create(Some(&Value::parse(NEW).expect("a list")), &root)
            .unwrap("blob:1", &wrapped)
            .await;
        assert_eq!(
            opened.expect("unwraps").expose(),
            key.expose(),
            "still unwraps after a list was configured"
        );
    }
}
