//! An API of its own, idle: it was started, has served one login and has given that login's memory back.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::me::free_address;
use super::{Bed, memory};
use crate::build::{self, Profile};
use crate::door::{Door, Tokens, until};
use crate::process::{Program, Supervised};
use crate::stack::Replica;

pub(super) struct FreshApi {
    pub(super) door: Door,
    /// Of the login.
    pub(super) tokens: Tokens,
    /// What is resident while it is idle, in MiB.
    pub(super) idle: f64,
    process: Supervised,
}

impl FreshApi {
    pub(super) async fn start(bed: &mut Bed) -> Result<Self> {
        let (account, _) = bed.door.newcomer().await?;
        let name = "api-fresh".to_owned();
        let replica = Replica {
            name,
            bind: free_address()?,
            internal_bind: free_address()?,
        };
        let env = bed.stack.environment.api(&bed.stack.manifest, &replica);
        let path = build::folder(Profile::Release)?.join("plinth-api");
        let program = Program::new(&replica.name, &path, &bed.layout.root)
            .args(["serve"])
            .env(env);
        let process = bed.stack.start_beside(program)?;
        let url = format!("http://{}/readyz", replica.internal_bind);
        let limit = Duration::from_secs(10);
        until(
            limit,
            Duration::from_millis(20),
            "the fresh API was not ready",
            async || {
                Ok(reqwest::get(&url)
                    .await
                    .is_ok_and(|answer| answer.status().is_success())
                    .then_some(()))
            },
        )
        .await?;
        let door = bed.door.at(format!("http://{}", replica.bind));
        let tokens = door.log_in(&account.email, &account.password).await?;
        // The login's memory is given back after five idle seconds.
        sleep(Duration::from_secs(8)).await;
        memory::reset_peak(process.pid())?;
        let idle = memory::resident(process.pid())?;
        Ok(Self {
            door,
            tokens,
            idle,
            process,
        })
    }

    /// The most that was resident since it was idle, in MiB.
    pub(super) fn peak(&self) -> Result<f64> {
        memory::peak(self.process.pid())
    }

    pub(super) async fn stop(self) {
        self.process.stop(Duration::from_secs(4)).await;
    }
}
