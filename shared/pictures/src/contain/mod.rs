//! Restriction of the process: permanently gives up everything that a decoder does not need, so
//! that code that takes over the process can do no harm.

#[cfg(target_os = "linux")]
mod linux;

use nix::sys::resource::{Resource, setrlimit};

/// Maximum memory of a child in bytes, whatever it is granted.
pub const MAX_MEMORY_BYTES: u64 = 1024 * 1024 * 1024;

/// The environment of a child. It configures glibc's allocator: huge pages if the system offers
/// them on request, all memory in one piece, and none returned before the end. Otherwise a new
/// process spends a seventh of its time on small pages.
pub const ENVIRONMENT: [(&str, &str); 1] = [(
    "GLIBC_TUNABLES",
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=1073741824",
)];

/// Maximum processor time of a child, in seconds.
pub const MAX_CPU_SECONDS: u64 = 20;

/// Standard input, output and error.
const MAX_OPEN_FILES: u64 = 3;

/// The reason why a process could not be restricted.
#[derive(Debug, thiserror::Error)]
pub enum ContainError {
    #[error("failed to set a resource limit")]
    Limit(#[from] nix::Error),
    #[cfg(target_os = "linux")]
    #[error("failed to restrict system calls")]
    Seccomp(#[from] seccompiler::Error),
    #[cfg(target_os = "linux")]
    #[error("failed to restrict system calls")]
    Filter(#[from] seccompiler::BackendError),
}

/// Limits memory, processor time and files, and on Linux system calls. The process ends with its
/// parent.
pub fn contain() -> Result<(), ContainError> {
    #[cfg(target_os = "linux")]
    linux::prepare()?;
    limit(Resource::RLIMIT_CPU, MAX_CPU_SECONDS)?;
    limit(Resource::RLIMIT_FSIZE, 0)?;
    // A core dump would contain a user's picture.
    limit(Resource::RLIMIT_CORE, 0)?;
    limit(Resource::RLIMIT_NOFILE, MAX_OPEN_FILES)?;
    limit_memory(MAX_MEMORY_BYTES)?;
    #[cfg(target_os = "linux")]
    linux::restrict_system_calls()?;
    Ok(())
}

/// Lowers the memory limit of this process, in bytes: its data, and on Linux all private writable
/// mappings.
pub fn limit_memory(bytes: u64) -> Result<(), ContainError> {
    Ok(limit(Resource::RLIMIT_DATA, bytes.min(MAX_MEMORY_BYTES))?)
}

/// Lowers a limit permanently. A limit that is already lower stays.
fn limit(resource: Resource, max: u64) -> nix::Result<()> {
    let (_, hard) = nix::sys::resource::getrlimit(resource)?;
    let max = max.min(hard);
    setrlimit(resource, max, max)
}
