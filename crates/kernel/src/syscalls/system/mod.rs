//! The machine as a whole, and what only its administrator may do.
//!
//! The enclave's machine is the host's: whoever asks for these is answered as Linux answers somebody
//! without privileges. What bears a rule of one line stands in [`rule`]; what must be read from memory
//! first, or has an answer of its own, is in [`refused`] and [`machine`].

mod machine;
mod refused;

use abi::errno::Result;
use abi::{Errno, nr};

use crate::arguments::Arguments;
use crate::context::Context;

/// What a call that is never carried out gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Linux has no such call any more, and says so to everybody.
    Gone,
    /// Its administrator's, whatever the arguments.
    Administrator,
    /// `1 << argument` of flags that are known: EINVAL for others, else the administrator's.
    Flags(usize, u32),
}

/// The rule for a call; `None`: it has an answer of its own.
fn rule(number: usize) -> Option<Rule> {
    /// `SWAP_FLAG_PREFER`, a priority, `DISCARD`, `DISCARD_ONCE`, `DISCARD_PAGES`.
    const SWAP_FLAGS: u32 = 0x7_ffff;
    Some(match number {
        nr::USELIB
        | nr::SYSCTL
        | nr::CREATE_MODULE
        | nr::GET_KERNEL_SYMS
        | nr::QUERY_MODULE
        | nr::NFSSERVCTL
        | nr::GETPMSG
        | nr::PUTPMSG
        | nr::AFS_SYSCALL
        | nr::TUXCALL
        | nr::SECURITY
        | nr::VSERVER
        | nr::SET_THREAD_AREA
        | nr::GET_THREAD_AREA
        | nr::LOOKUP_DCOOKIE
        | nr::EPOLL_CTL_OLD
        | nr::EPOLL_WAIT_OLD => Rule::Gone,
        nr::SYSLOG
        | nr::VHANGUP
        | nr::ACCT
        | nr::SWAPOFF
        | nr::REBOOT
        | nr::INIT_MODULE
        | nr::FINIT_MODULE
        | nr::DELETE_MODULE
        | nr::KEXEC_LOAD
        | nr::KEXEC_FILE_LOAD => Rule::Administrator,
        nr::SWAPON => Rule::Flags(1, SWAP_FLAGS),
        _ => return None,
    })
}

/// Calls that finish at once; `None`: not here, or it must wait.
pub(crate) fn at_once(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    if let Some(rule) = rule(number) {
        return Some(refuse(rule, args));
    }
    Some(match number {
        nr::SETDOMAINNAME => machine::setdomainname(cx, args),
        nr::SYSFS => machine::sysfs(cx, args),
        nr::USTAT => machine::ustat(cx, args),
        nr::MODIFY_LDT => Ok(refused::modify_ldt(cx, args)),
        nr::IOPL => refused::iopl(args),
        nr::IOPERM => refused::ioperm(args),
        nr::BPF => refused::bpf(cx, args),
        nr::PERF_EVENT_OPEN => refused::perf_event_open(cx, args),
        nr::QUOTACTL_FD => refused::quotactl_fd(cx, args),
        nr::SETNS => refused::setns(cx, args),
        nr::MAP_SHADOW_STACK => {
            Err(Errno::EOPNOTSUPP.because("programs have no shadow stacks in an enclave"))
        }
        _ => return None,
    })
}

/// Calls that may wait; `None`: not here.
pub(crate) async fn waiting(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    match number {
        nr::QUOTACTL => Some(refused::quotactl(cx, args).await),
        _ => None,
    }
}

fn refuse(rule: Rule, args: &Arguments) -> Result<u64> {
    match rule {
        Rule::Gone => Err(Errno::ENOSYS.because("Linux has no such call any more")),
        Rule::Flags(at, known) if args.uint(at) & !known != 0 => {
            Err(Errno::EINVAL.because("unknown flags"))
        }
        Rule::Administrator | Rule::Flags(..) => {
            Err(Errno::EPERM.because("only the machine's administrator may do this"))
        }
    }
}
