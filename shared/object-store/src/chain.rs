//! The SDK's default chain of credentials: environment, profile, web identity, container, machine
//! (IMDSv2).

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use tokio::sync::OnceCell;

/// The chain, built when credentials are first needed, because building it reads files.
#[derive(Debug)]
pub(crate) struct DefaultChain {
    region: Region,
    chain: OnceCell<Option<SharedCredentialsProvider>>,
}

impl DefaultChain {
    pub(crate) fn new(region: Region) -> Self {
        Self {
            region,
            chain: OnceCell::new(),
        }
    }

    async fn credentials(&self) -> provider::Result {
        let chain = self
            .chain
            .get_or_init(async || {
                let config =
                    aws_config::defaults(BehaviorVersion::latest()).region(self.region.clone());
                config.load().await.credentials_provider()
            })
            .await;
        match chain {
            Some(chain) => chain.provide_credentials().await,
            None => Err(CredentialsError::not_loaded_no_source()),
        }
    }
}

impl ProvideCredentials for DefaultChain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}
