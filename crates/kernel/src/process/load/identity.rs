//! Who a program acts as once it is started.
//!
//! Source: execve(2), capabilities(7).

use vfs::credentials::{Capabilities, Credentials};
use vfs::mount::Flags;
use vfs::node::{SET_GID, SET_UID};
use vfs::object::OpenFile;

/// Group execute permission, without which the set-group-ID bit means something else.
const GROUP_EXECUTE: u32 = 0o010;

/// The identities after the program was started; set-ID bits count if `privileges` may be gained.
pub(crate) fn after_exec(who: &Credentials, program: &OpenFile, privileges: bool) -> Credentials {
    let mut new = who.clone();
    if let Some(place) = program.place()
        && privileges
        && !place.mount.flags().contains(Flags::NO_SUID)
    {
        let owner = place.node().owner();
        if owner.mode & SET_UID != 0 {
            new.euid = owner.uid;
        }
        if owner.mode & (SET_GID | GROUP_EXECUTE) == SET_GID | GROUP_EXECUTE {
            new.egid = owner.gid;
        }
    }
    (new.suid, new.fsuid) = (new.euid, new.euid);
    (new.sgid, new.fsgid) = (new.egid, new.egid);
    let all = Capabilities::ALL;
    let none = Capabilities::empty();
    // Files have no capabilities here: only user 0 gets any.
    new.permitted = if new.uid == 0 || new.euid == 0 { all } else { none };
    new.effective = if new.euid == 0 { all } else { none };
    new
}

/// Whether libraries must distrust the environment.
pub(crate) fn is_secure(credentials: &Credentials) -> bool {
    credentials.uid != credentials.euid || credentials.gid != credentials.egid
}
