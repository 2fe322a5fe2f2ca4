//! What becomes of a call that a signal interrupted.
//!
//! Source: signal(7), "Interruption of system calls and library functions by signal handlers".

use abi::Errno;

use crate::signal::action::Flags;

/// ERESTARTNOINTR: the call is made again whatever handler ran.
pub(crate) const RESTART_ALWAYS: u16 = 513;

/// How the program goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It makes the same call again.
    Again,
    /// It calls `restart_syscall(2)`, which goes on with what is left of the wait.
    GoOn,
    /// The call gives EINTR.
    Interrupted,
}

/// Decides for a call that gave `errno`; `handler` has the flags of the handler that is about to
/// run, `None` when none is. `None` for an errno that is simply the call's result.
pub fn decide(errno: Errno, handler: Option<Flags>) -> Option<Decision> {
    if errno.raw() == RESTART_ALWAYS {
        return Some(Decision::Again);
    }
    let decision = match (errno, handler) {
        (Errno::ERESTARTSYS, Some(flags)) if flags.contains(Flags::RESTART) => Decision::Again,
        (Errno::ERESTARTSYS | Errno::ERESTARTNOHAND, None) => Decision::Again,
        (Errno::ERESTART_RESTARTBLOCK, None) => Decision::GoOn,
        (Errno::ERESTARTSYS | Errno::ERESTARTNOHAND | Errno::ERESTART_RESTARTBLOCK, Some(_)) => {
            Decision::Interrupted
        }
        _ => return None,
    };
    Some(decision)
}

#[cfg(test)]
mod tests {
    use super::{Decision, decide};
    use crate::signal::action::Flags;
    use abi::Errno;

    #[test]
    fn the_table_of_signal_7() {
        let restart = Some(Flags::RESTART);
        let plain = Some(Flags::SIGINFO);
        let rows = [
            (Errno::ERESTARTSYS, Decision::Again, Decision::Again, Decision::Interrupted),
            (Errno::ERESTARTNOHAND, Decision::Again, Decision::Interrupted, Decision::Interrupted),
            (
                Errno::ERESTART_RESTARTBLOCK,
                Decision::GoOn,
                Decision::Interrupted,
                Decision::Interrupted,
            ),
        ];
        for (errno, none, restarting, other) in rows {
            assert_eq!(decide(errno, None), Some(none), "{errno:?}");
            assert_eq!(decide(errno, restart), Some(restarting), "{errno:?}");
            assert_eq!(decide(errno, plain), Some(other), "{errno:?}");
        }
        assert_eq!(decide(Errno::EINTR, None), None);
        assert_eq!(decide(Errno::EAGAIN, restart), None);
    }
}
