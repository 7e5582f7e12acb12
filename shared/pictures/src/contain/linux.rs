//! Linux: no new privileges, the end together with the parent, and a list of the system calls that are left.

use std::collections::BTreeMap;
use std::io::Write as _;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::ContainError;

/// What may still be called with any arguments: reading and writing what is open, memory, the clock, the end, and what
/// the C libraries call by themselves. glibc before 2.37 asks for the machine's memory (`sysinfo`) whenever `qsort` sorts more
/// than a kilobyte. None of it reaches another process, a file or the network.
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

/// What fails as in a system without such files or devices, and does not end the process: the C libraries ask and go on
/// without an answer, for example for the number of processors, a locale, or whether the output is a terminal.
const REFUSED: [(libc::c_int, &[libc::c_long]); 4] = [
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

/// What needs files or calls that are not allowed afterwards.
pub(super) fn prepare() -> Result<(), ContainError> {
    prctl::set_no_new_privs()?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // Where memory runs out, this process goes and not the worker; a system that does not let it say so kills as it likes.
    if let Ok(mut file) = std::fs::OpenOptions::new()
        .write(true)
        .open("/proc/self/oom_score_adj")
    {
        let _ = file.write_all(b"1000");
    }
    Ok(())
}

/// From here on a system call that is neither allowed nor refused ends the process.
pub(super) fn allow_little() -> Result<(), ContainError> {
    // The kernel takes the strictest answer of all filters, and the last filter no longer allows another one.
    for (errno, calls) in REFUSED {
        let errno = SeccompAction::Errno(errno.unsigned_abs());
        apply(
            calls.iter().map(|call| (*call, vec![])).collect(),
            SeccompAction::Allow,
            errno,
        )?;
    }
    let refused = REFUSED.iter().flat_map(|(_, calls)| *calls).copied();
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED
        .into_iter()
        .chain(refused)
        .map(|call| (call, vec![]))
        .collect();
    // Memory that others see would not count as this process's data.
    rules.insert(
        libc::SYS_mmap,
        vec![SeccompRule::new(vec![
            without(2, libc::PROT_EXEC)?,
            without(3, libc::MAP_SHARED)?,
        ])?],
    );
    rules.insert(
        libc::SYS_mprotect,
        vec![SeccompRule::new(vec![without(2, libc::PROT_EXEC)?])?],
    );
    // To end itself by a signal, as abort does: glibc by the one, musl by the other.
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![is(0, own)?])?]);
    rules.insert(libc::SYS_tkill, vec![SeccompRule::new(vec![is(0, own)?])?]);
    // To lower its own memory, and to read its own limits.
    let data = u64::from(libc::RLIMIT_DATA);
    let reading = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)?;
    rules.insert(
        libc::SYS_prlimit64,
        vec![
            SeccompRule::new(vec![is(0, 0)?, is(1, data)?])?,
            SeccompRule::new(vec![is(0, 0)?, reading])?,
        ],
    );
    apply(rules, SeccompAction::KillProcess, SeccompAction::Allow)
}

/// Applies a filter: what happens to a call with a rule that matches, and to any other.
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

/// The argument has none of these bits.
fn without(argument: u8, bits: libc::c_int) -> Result<SeccompCondition, ContainError> {
    let bits = u64::from(bits.unsigned_abs());
    Ok(SeccompCondition::new(
        argument,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(bits),
        0,
    )?)
}

fn is(argument: u8, value: u64) -> Result<SeccompCondition, ContainError> {
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

    /// The filter belongs to the thread that applies it. A call that it forbids ends the whole process.
    #[test]
    fn a_c_library_may_ask_for_the_memory_of_the_machine() {
        let contained = std::thread::spawn(|| {
            allow_little().expect("the filter is applied");
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
