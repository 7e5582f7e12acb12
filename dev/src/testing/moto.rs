//! moto, an S3 that somebody else has written: the second one that the storage tests run against.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::process::{Program, Supervised};
use crate::stack::Foundation;

/// It keeps nothing, so that nothing is lost by ending it at once.
const GRACE: Duration = Duration::from_millis(500);

pub(super) struct Moto {
    pub(super) url: String,
    process: Supervised,
}

impl Moto {
    /// Starts it beside the services; the tests that want it wait until it answers.
    pub(super) fn start(python: &Path, foundation: &mut Foundation) -> Result<Self> {
        let port = foundation.free_port("moto")?;
        let folder = python.parent().unwrap_or(python);
        let program = Program::new("moto", &python.with_file_name("moto_server"), folder);
        let program = program.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        let process = foundation.start_beside(program)?;
        Ok(Self {
            url: format!("http://127.0.0.1:{port}"),
            process,
        })
    }

    pub(super) async fn stop(self) {
        self.process.stop(GRACE).await;
    }
}
