//! A clamd of a test's own, which knows the EICAR test file and one infection more, takes a
//! mebibyte, and can die and come back.

use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use plinth_platform::clamd::{Address, Clamd};

use crate::process::free_address;
use crate::services::Services;
use crate::until::until;

const SIGNATURES: &str = include_str!("../../../dev/src/services/eicar.ndb");

/// [`ClamdServer::INFECTION`], wherever in a file it is.
const INFECTIONS: &str = "Infection-Of-Tests:0:*:494e46454354494f4e2d4f462d5445535453\n";

/// The server. Dropped, it is killed.
#[derive(Debug)]
pub struct ClamdServer {
    address: String,
    folder: TempDir,
    child: Option<Child>,
}

impl ClamdServer {
    /// More it does not take, in bytes.
    pub const TAKES: usize = 1024 * 1024;

    /// What it takes for a virus also in the middle of a file: EICAR's is one at the beginning
    /// only.
    pub const INFECTION: &[u8; 18] = b"INFECTION-OF-TESTS";

    /// A place for one that does not run; `None` on a developer's machine without clamd.
    pub fn prepare() -> Option<Self> {
        Services::get().clamd.as_ref()?;
        let (address, folder) = (free_address(), TempDir::new().expect("a folder"));
        let (_, port) = address.split_once(':').expect("it has a port");
        let path = folder.path().display();
        let conf = format!(
            "Foreground yes\nTCPAddr 127.0.0.1\nTCPSocket {port}\nLocalSocket {path}/clamd.ctl\nDatabaseDirectory {path}\n\
             StreamMaxLength {}\n",
            Self::TAKES
        );
        std::fs::write(folder.path().join("clamd.conf"), conf).expect("writes");
        std::fs::write(folder.path().join("eicar.ndb"), SIGNATURES).expect("writes");
        std::fs::write(folder.path().join("infection.ndb"), INFECTIONS).expect("writes");
        Some(Self {
            address,
            folder,
            child: None,
        })
    }

    /// One that answers.
    pub async fn start() -> Option<Self> {
        let mut server = Self::prepare()?;
        server.start_again().await;
        Some(server)
    }

    /// As `PLINTH_CLAMAV_ADDRESS` has it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The same, by its socket.
    pub fn socket(&self) -> String {
        format!("unix:{}/clamd.ctl", self.folder.path().display())
    }

    /// As `kill -9`.
    pub async fn kill(&mut self) {
        self.child
            .take()
            .expect("it runs")
            .kill()
            .await
            .expect("it can be killed");
    }

    /// Starts one where the last one was.
    pub async fn start_again(&mut self) {
        let program = Services::get()
            .clamd
            .as_ref()
            .expect("it was there when this was prepared");
        let mut command = Command::new(program);
        command
            .arg("--config-file")
            .arg(self.folder.path().join("clamd.conf"));
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        self.child = Some(child.expect("clamd starts"));
        let clamd = Clamd::new(Address::Tcp(self.address.clone()));
        until("clamd answers", async || clamd.ping().await.ok()).await;
    }

    /// The file that every scanner takes for a virus by agreement, in two parts, so that none takes
    /// this one for it.
    pub fn eicar() -> Vec<u8> {
        [
            r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-",
            "ANTIVIRUS-TEST-FILE!$H+H*",
        ]
        .concat()
        .into_bytes()
    }
}
