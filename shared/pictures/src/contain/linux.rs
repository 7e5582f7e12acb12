//! Linux: no new privileges, termination together with the parent, and a list of allowed system
//! calls.

use std::collections::BTreeMap;
use std::io::Write as _;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::ContainError;

/// System calls that remain allowed with any arguments: reading and writing open files, memory, the
/// clock, exiting, and calls that the C libraries make on their own. glibc before 2.37 queries the
/// machine's memory (`sysinfo`) when `qsort` sorts more than a kilobyte. None of them reaches
/// another process, a file or the network.
const ALLOWED: [libc::c_long; 32] = [
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrusage,
    libc::SYS_sysinfo,
    libc::SYS_getcpu,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_rseq,
    libc::SYS_membarrier,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// System calls that fail with an error instead of ending the process. The C libraries make them,
/// for example to find out the number of processors, the locale or whether the output is a
/// terminal, and continue without a result.
const FAILING: [(libc::c_int, &[libc::c_long]); 4] = [
    (
        libc::EACCES,
        &[
            libc::SYS_openat,
            libc::SYS_newfstatat,
            libc::SYS_statx,
            libc::SYS_fstat,
            libc::SYS_readlinkat,
        ],
    ),
    (libc::ENOTTY, &[libc::SYS_ioctl]),
    (libc::ESPIPE, &[libc::SYS_lseek]),
    (libc::EPERM, &[libc::SYS_uname]),
];

/// Makes the preparations that need files or system calls that are not allowed afterwards.
pub(super) fn prepare() -> Result<(), ContainError> {
    prctl::set_no_new_privs()?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // If memory runs out, the kernel should kill this process and not the worker. Ignored if the
    // system does not allow it.
    if let Ok(mut file) = std::fs::OpenOptions::new()
        .write(true)
        .open("/proc/self/oom_score_adj")
    {
        let _ = file.write_all(b"1000");
    }
    Ok(())
}

/// Installs the filters. From then on, a system call that is neither in `ALLOWED` nor in `FAILING`
/// ends the process.
pub(super) fn restrict_system_calls() -> Result<(), ContainError> {
    // The kernel uses the strictest result of all filters, and the last filter does not allow
    // further ones.
    for (errno, calls) in FAILING {
        let errno = SeccompAction::Errno(errno.unsigned_abs());
        apply(
            calls.iter().map(|call| (*call, vec![])).collect(),
            SeccompAction::Allow,
            errno,
        )?;
    }
    let failing = FAILING.iter().flat_map(|(_, calls)| *calls).copied();
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED
        .into_iter()
        .chain(failing)
        .map(|call| (call, vec![]))
        .collect();
    // Shared memory would not count as this process's data.
    rules.insert(
        libc::SYS_mmap,
        vec![SeccompRule::new(vec![
            has_no_bits(2, libc::PROT_EXEC)?,
            has_no_bits(3, libc::MAP_SHARED)?,
        ])?],
    );
    rules.insert(
        libc::SYS_mprotect,
        vec![SeccompRule::new(vec![has_no_bits(2, libc::PROT_EXEC)?])?],
    );
    // For ending itself by a signal, as abort does: glibc uses the one, musl the other.
    let own = u64::from(std::process::id());
    rules.insert(
        libc::SYS_tgkill,
        vec![SeccompRule::new(vec![equals(0, own)?])?],
    );
    rules.insert(
        libc::SYS_tkill,
        vec![SeccompRule::new(vec![equals(0, own)?])?],
    );
    // For lowering its own memory limit, and for reading its own limits.
    let data = u64::from(libc::RLIMIT_DATA);
    let reading = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)?;
    rules.insert(
        libc::SYS_prlimit64,
        vec![
            SeccompRule::new(vec![equals(0, 0)?, equals(1, data)?])?,
            SeccompRule::new(vec![equals(0, 0)?, reading])?,
        ],
    );
    apply(rules, SeccompAction::KillProcess, SeccompAction::Allow)
}

/// Applies a filter with an action for calls that match a rule, and one for all others.
fn apply(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matching: SeccompAction,
) -> Result<(), ContainError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let program: BpfProgram =
        SeccompFilter::new(rules, otherwise, matching, architecture)?.try_into()?;
    Ok(seccompiler::apply_filter(&program)?)
}

/// Returns the condition that an argument has none of these bits.
fn has_no_bits(argument: u8, bits: libc::c_int) -> Result<SeccompCondition, ContainError> {
    let bits = u64::from(bits.unsigned_abs());
    Ok(SeccompCondition::new(
        argument,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(bits),
        0,
    )?)
}

fn equals(argument: u8, value: u64) -> Result<SeccompCondition, ContainError> {
    Ok(SeccompCondition::new(
        argument,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Eq,
        value,
    )?)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    /// The filter applies to the thread that installs it. A forbidden call ends the whole process.
    #[test]
    fn a_c_library_may_query_the_memory_of_the_machine() {
        let contained = std::thread::spawn(|| {
            restrict_system_calls().expect("the filter is applied");
            (
                std::fs::File::open("/").map(drop),
                nix::sys::sysinfo::sysinfo(),
            )
        });
        let (opened, memory) = contained.join().expect("the thread does not panic");
        assert_eq!(
            opened.expect_err("the filter is in force").kind(),
            ErrorKind::PermissionDenied
        );
        assert!(memory.expect("the kernel answers").ram_total() > 0);
    }
}
