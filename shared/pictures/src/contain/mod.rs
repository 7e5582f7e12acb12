//! Gives up whatever a decoder does not need, for good: what takes the process over finds nothing to do.

#[cfg(target_os = "linux")]
mod linux;

use nix::sys::resource::{Resource, setrlimit};

/// The memory of a child, in bytes, whatever it is granted.
pub const MAX_MEMORY: u64 = 1024 * 1024 * 1024;

/// The environment of a child. For glibc's allocator: huge pages where the system has them for who asks, all memory in one
/// piece, and none given back before the end. A fresh process spends a seventh of its time on small pages otherwise.
pub const ENVIRONMENT: [(&str, &str); 1] = [(
    "GLIBC_TUNABLES",
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=1073741824",
)];

/// The time of a processor that a child may use, in seconds.
pub const MAX_CPU_SECONDS: u64 = 20;

/// Standard input, output and error.
const FILES: u64 = 3;

/// Why a process could not be contained.
#[derive(Debug, thiserror::Error)]
pub enum ContainError {
    #[error("a limit could not be set")]
    Limit(#[from] nix::Error),
    #[cfg(target_os = "linux")]
    #[error("the system calls could not be limited")]
    Seccomp(#[from] seccompiler::Error),
    #[cfg(target_os = "linux")]
    #[error("the system calls could not be limited")]
    Filter(#[from] seccompiler::BackendError),
}

/// Limits memory, processor time and files, and on Linux the system calls; dies with its parent.
pub fn contain() -> Result<(), ContainError> {
    #[cfg(target_os = "linux")]
    linux::prepare()?;
    limit(Resource::RLIMIT_CPU, MAX_CPU_SECONDS)?;
    limit(Resource::RLIMIT_FSIZE, 0)?;
    // A dump of this process would be somebody's picture on the disk.
    limit(Resource::RLIMIT_CORE, 0)?;
    limit(Resource::RLIMIT_NOFILE, FILES)?;
    limit_memory(MAX_MEMORY)?;
    #[cfg(target_os = "linux")]
    linux::allow_little()?;
    Ok(())
}

/// Lowers the memory that this process may have, in bytes: its data, and on Linux all that it maps privately to write.
pub fn limit_memory(bytes: u64) -> Result<(), ContainError> {
    Ok(limit(Resource::RLIMIT_DATA, bytes.min(MAX_MEMORY))?)
}

/// No more than this, and not more again later; a limit that is lower already stays.
fn limit(resource: Resource, most: u64) -> nix::Result<()> {
    let (_, hard) = nix::sys::resource::getrlimit(resource)?;
    let most = most.min(hard);
    setrlimit(resource, most, most)
}
