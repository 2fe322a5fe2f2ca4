//! The family `process`: threads, identity, scheduling, limits, futexes.

mod children;
mod clone;
mod exec;
mod exit;
pub(crate) mod futex;
mod futex2;
mod identity;
pub(crate) mod pidfd;
pub(crate) mod prctl;
mod related;
mod rseq;
mod scheduling;
mod system;

use abi::errno::Result;
use abi::{Errno, nr};

use crate::arguments::Arguments;
use crate::context::Context;

pub(super) use scheduling::sched_yield;

/// Calls that finish at once; `None`: not here, or it must wait.
#[inline]
pub(crate) fn at_once(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    Some(match number {
        nr::GETPID => Ok(cx.process.pid.into()),
        nr::GETTID => Ok(cx.thread.tid.into()),
        nr::FUTEX => return futex::at_once(cx, args),
        nr::SCHED_YIELD => return scheduling::yield_at_once(cx),
        nr::EXIT => Ok(exit::exit(cx, args)),
        nr::EXIT_GROUP => Ok(exit::exit_group(cx, args)),
        nr::ARCH_PRCTL => exit::arch_prctl(cx, args),
        nr::CLONE => said(clone::clone(cx, args), cx, number, args),
        nr::CLONE3 => said(clone::clone3(cx, args), cx, number, args),
        nr::SET_ROBUST_LIST => futex::set_robust_list(cx, args),
        nr::GET_ROBUST_LIST => futex::get_robust_list(cx, args),
        nr::SET_TID_ADDRESS => Ok(system::set_tid_address(cx, args)),
        nr::FORK | nr::VFORK => {
            let why = "new processes are not supported yet, only threads";
            said(Err(Errno::ENOSYS.because(why)), cx, number, args)
        }
        _ => return identity_or_else(cx, number, args),
    })
}

/// Passes a result on; that there are no new processes, the person learns too.
fn said(result: Result<u64>, cx: &Context<'_>, number: usize, args: &Arguments) -> Result<u64> {
    if matches!(&result, Err(error) if error.errno == Errno::ENOSYS) {
        cx.kernel.trace.unsupported(cx, number, args);
    }
    result
}

fn identity_or_else(cx: &mut Context<'_>, number: usize, args: &Arguments) -> Option<Result<u64>> {
    use identity::Which;
    Some(match number {
        nr::GETPPID => Ok(identity::parent(cx)),
        nr::GETUID => Ok(identity::get(cx, Which::User)),
        nr::GETEUID => Ok(identity::get(cx, Which::EffectiveUser)),
        nr::GETGID => Ok(identity::get(cx, Which::Group)),
        nr::GETEGID => Ok(identity::get(cx, Which::EffectiveGroup)),
        nr::GETGROUPS => identity::getgroups(cx, args),
        nr::SETGROUPS => identity::setgroups(cx, args),
        nr::GETRESUID => identity::getres(cx, args, Which::User),
        nr::GETRESGID => identity::getres(cx, args, Which::Group),
        nr::SETUID => identity::set(cx, args, Which::User),
        nr::SETGID => identity::set(cx, args, Which::Group),
        nr::SETREUID => identity::setre(cx, args, Which::User),
        nr::SETREGID => identity::setre(cx, args, Which::Group),
        nr::SETRESUID => identity::setres(cx, args, Which::User),
        nr::SETRESGID => identity::setres(cx, args, Which::Group),
        nr::SETFSUID => Ok(identity::set_for_files(cx, args, Which::User)),
        nr::SETFSGID => Ok(identity::set_for_files(cx, args, Which::Group)),
        nr::CAPGET => identity::capget(cx, args),
        nr::CAPSET => identity::capset(cx, args),
        nr::GETPGRP => Ok(identity::group(cx)),
        nr::GETPGID => identity::getpgid(cx, args),
        nr::GETSID => identity::getsid(cx, args),
        nr::SETPGID => identity::setpgid(cx, args),
        nr::SETSID => identity::setsid(cx),
        _ => return system_or_else(cx, number, args),
    })
}

fn system_or_else(cx: &mut Context<'_>, number: usize, args: &Arguments) -> Option<Result<u64>> {
    Some(match number {
        nr::UNAME => system::uname(cx, args),
        nr::SETHOSTNAME => system::sethostname(cx, args),
        nr::SYSINFO => system::sysinfo(cx, args),
        nr::GETRUSAGE => system::getrusage(cx, args),
        nr::TIMES => system::times(cx, args),
        nr::GETRLIMIT => system::getrlimit(cx, args),
        nr::SETRLIMIT => system::setrlimit(cx, args),
        nr::PRLIMIT64 => system::prlimit64(cx, args),
        nr::GETRANDOM => return system::getrandom_at_once(cx, args),
        nr::GETCPU => system::getcpu(cx, args),
        nr::MEMBARRIER => system::membarrier(cx, args),
        nr::RSEQ => rseq::rseq(cx, args),
        nr::FUTEX_WAKE => futex2::futex_wake(cx, args),
        nr::FUTEX_REQUEUE => futex2::futex_requeue(cx, args),
        nr::PIDFD_OPEN => pidfd::pidfd_open(cx, args),
        nr::PIDFD_GETFD => pidfd::pidfd_getfd(cx, args),
        nr::KCMP => related::kcmp(cx, args),
        nr::PTRACE => related::ptrace(cx, args),
        nr::WAIT4 => children::wait4(args),
        nr::WAITID => children::waitid(cx, args),
        nr::UNSHARE => children::unshare(cx, args),
        nr::PRCTL => prctl::prctl(cx, args),
        nr::PERSONALITY => Ok(prctl::personality(cx, args)),
        nr::SCHED_GETAFFINITY => scheduling::sched_getaffinity(cx, args),
        nr::SCHED_GETSCHEDULER => scheduling::sched_getscheduler(cx, args),
        nr::SCHED_SETSCHEDULER => scheduling::attr::sched_setscheduler(cx, args),
        nr::SCHED_SETPARAM => scheduling::attr::sched_setparam(cx, args),
        nr::SCHED_GETPARAM => scheduling::sched_getparam(cx, args),
        nr::SCHED_GET_PRIORITY_MAX => scheduling::priority_bound(args, true),
        nr::SCHED_GET_PRIORITY_MIN => scheduling::priority_bound(args, false),
        nr::SCHED_RR_GET_INTERVAL => scheduling::attr::sched_rr_get_interval(cx, args),
        nr::SCHED_GETATTR => scheduling::attr::sched_getattr(cx, args),
        nr::SCHED_SETATTR => scheduling::attr::sched_setattr(cx, args),
        nr::GETPRIORITY => scheduling::getpriority(cx, args),
        nr::SETPRIORITY => scheduling::setpriority(cx, args),
        nr::IOPRIO_GET => scheduling::ioprio_get(cx, args),
        nr::IOPRIO_SET => scheduling::ioprio_set(cx, args),
        _ => return None,
    })
}

/// Calls that may wait; `None`: not here.
pub(crate) async fn waiting(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    Some(match number {
        nr::EXECVE => exec::execve(cx, args).await,
        nr::EXECVEAT => exec::execveat(cx, args).await,
        nr::FUTEX_WAITV => futex2::futex_waitv(cx, args).await,
        nr::FUTEX_WAIT => futex2::futex_wait(cx, args).await,
        nr::GETRANDOM => system::getrandom(cx, args).await,
        nr::SCHED_SETAFFINITY => match scheduling::set_affinity(cx, args) {
            Ok(true) => scheduling::sched_yield().await,
            Ok(false) => Ok(0),
            Err(error) => Err(error),
        },
        _ => return None,
    })
}
