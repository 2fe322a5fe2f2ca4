//! Changing who a process acts as: the rules of set*id and capset.
//!
//! Identities are the process's, not each thread's: the C library keeps those of all threads alike
//! anyway (nptl(7)), and where it repeats a call for each thread, the repetition changes nothing.
//!
//! Source: setuid(2), setreuid(2), setresuid(2), setfsuid(2), capabilities(7) "Effect of user ID
//! changes on capabilities".

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::{Error, Result};
use vfs::credentials::{Capabilities, Credentials};

/// An id that stands for "leave it": -1.
pub const UNCHANGED: u32 = u32::MAX;

/// Capabilities that go with the user for files.
const FILES: Capabilities = Capabilities::CHOWN
    .union(Capabilities::DAC_OVERRIDE)
    .union(Capabilities::DAC_READ_SEARCH)
    .union(Capabilities::FOWNER)
    .union(Capabilities::FSETID)
    .union(Capabilities::MKNOD);

/// Real, effective and saved id.
pub type Ids = [u32; 3];

/// Which kind of identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Users.
    User,
    /// Groups.
    Group,
}

/// Real, effective and saved id of a kind.
pub fn ids(credentials: &Credentials, kind: Kind) -> Ids {
    match kind {
        Kind::User => [credentials.uid, credentials.euid, credentials.suid],
        Kind::Group => [credentials.gid, credentials.egid, credentials.sgid],
    }
}

fn may_set(credentials: &Credentials, kind: Kind) -> bool {
    credentials.has(match kind {
        Kind::User => Capabilities::SETUID,
        Kind::Group => Capabilities::SETGID,
    })
}

fn refused() -> Error {
    Errno::EPERM.because("the id is not one of the process's own")
}

/// setuid(2) and setgid(2).
///
/// # Errors
/// EINVAL for -1, EPERM.
pub fn set(old: &Credentials, kind: Kind, id: u32, keep: bool) -> Result<Credentials> {
    if id == UNCHANGED {
        return Err(Errno::EINVAL.because("-1 is no id"));
    }
    let [real, _, saved] = ids(old, kind);
    if may_set(old, kind) {
        return Ok(with_ids(old, kind, [id; 3], keep));
    }
    if id == real || id == saved {
        return Ok(with_ids(old, kind, [real, id, saved], keep));
    }
    Err(refused())
}

/// setreuid(2) and setregid(2).
///
/// # Errors
/// EPERM.
pub fn set_two(old: &Credentials, kind: Kind, new: [u32; 2], keep: bool) -> Result<Credentials> {
    let [real, effective, saved] = ids(old, kind);
    let privileged = may_set(old, kind);
    let new_real = if new[0] == UNCHANGED { real } else { new[0] };
    let new_effective = if new[1] == UNCHANGED { effective } else { new[1] };
    let real_admitted = [real, effective].contains(&new_real);
    let effective_admitted = [real, effective, saved].contains(&new_effective);
    if !(privileged || real_admitted && effective_admitted) {
        return Err(refused());
    }
    let follows = new[0] != UNCHANGED || (new[1] != UNCHANGED && new_effective != real);
    let new_saved = if follows { new_effective } else { saved };
    Ok(with_ids(old, kind, [new_real, new_effective, new_saved], keep))
}

/// setresuid(2) and setresgid(2).
///
/// # Errors
/// EPERM.
pub fn set_three(old: &Credentials, kind: Kind, new: Ids, keep: bool) -> Result<Credentials> {
    let own = ids(old, kind);
    if !may_set(old, kind) && !new.iter().all(|id| *id == UNCHANGED || own.contains(id)) {
        return Err(refused());
    }
    let mut ids = own;
    for (id, wanted) in ids.iter_mut().zip(new) {
        if wanted != UNCHANGED {
            *id = wanted;
        }
    }
    Ok(with_ids(old, kind, ids, keep))
}

/// setfsuid(2) and setfsgid(2): `None` when it is not allowed, which the call does not tell.
pub fn set_for_files(old: &Credentials, kind: Kind, id: u32) -> Option<Credentials> {
    let now = match kind {
        Kind::User => old.fsuid,
        Kind::Group => old.fsgid,
    };
    let admitted = ids(old, kind).contains(&id) || id == now || may_set(old, kind);
    if id == UNCHANGED || !admitted {
        return None;
    }
    let mut new = old.clone();
    match kind {
        Kind::User => {
            new.fsuid = id;
            follow_file_user(&mut new, now);
        }
        Kind::Group => new.fsgid = id,
    }
    Some(new)
}

/// setgroups(2).
///
/// # Errors
/// EPERM.
pub fn set_groups(old: &Credentials, groups: Arc<[u32]>) -> Result<Credentials> {
    if !old.has(Capabilities::SETGID) {
        return Err(Errno::EPERM.because("changing groups needs CAP_SETGID"));
    }
    Ok(Credentials { groups, ..old.clone() })
}

/// capset(2).
///
/// # Errors
/// EPERM when more is asked for than is permitted; `CAP_SETPCAP` lets more be inheritable.
pub fn set_capabilities(
    old: &Credentials,
    effective: Capabilities,
    permitted: Capabilities,
    inheritable: Capabilities,
) -> Result<Credentials> {
    if !old.permitted.contains(permitted) || !permitted.contains(effective) {
        return Err(Errno::EPERM.because("capabilities can only be given up"));
    }
    let own = old.permitted.union(old.inheritable);
    if !old.has(Capabilities::SETPCAP) && !own.contains(inheritable) {
        return Err(Errno::EPERM.because("more is inheritable than is permitted"));
    }
    Ok(Credentials { effective, permitted, inheritable, ..old.clone() })
}

/// Sets the ids of a kind; the one for files follows the effective one. `keep`: `PR_SET_KEEPCAPS`.
fn with_ids(
    old: &Credentials,
    kind: Kind,
    [real, effective, saved]: Ids,
    keep: bool,
) -> Credentials {
    let mut new = old.clone();
    match kind {
        Kind::User => {
            (new.uid, new.euid, new.suid, new.fsuid) = (real, effective, saved, effective);
            let was_root = ids(old, kind).contains(&0);
            let is_root = [real, effective, saved].contains(&0);
            if was_root && !is_root {
                if !keep {
                    new.permitted = Capabilities::empty();
                }
                new.effective = Capabilities::empty();
            }
            if old.euid == 0 && effective != 0 {
                new.effective = Capabilities::empty();
            } else if old.euid != 0 && effective == 0 {
                new.effective = new.permitted;
            }
        }
        Kind::Group => {
            (new.gid, new.egid, new.sgid, new.fsgid) = (real, effective, saved, effective);
        }
    }
    new
}

fn follow_file_user(new: &mut Credentials, before: u32) {
    if before == 0 && new.fsuid != 0 {
        new.effective.remove(FILES);
    } else if before != 0 && new.fsuid == 0 {
        new.effective.insert(new.permitted.intersection(FILES));
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, UNCHANGED, ids, set, set_capabilities, set_for_files, set_three, set_two};
    use vfs::credentials::{Capabilities, Credentials};

    #[test]
    fn root_gives_itself_up_for_good() {
        let root = Credentials::new(0, 0, &[]);
        let user = set(&root, Kind::User, 7, false).expect("root may");
        assert_eq!(ids(&user, Kind::User), [7, 7, 7]);
        assert_eq!(user.fsuid, 7);
        assert!(user.effective.is_empty() && user.permitted.is_empty());
        assert!(set(&user, Kind::User, 0, false).is_err());
        assert!(set(&user, Kind::User, 7, false).is_ok());
    }

    #[test]
    fn root_lends_itself_out() {
        let root = Credentials::new(0, 0, &[]);
        let lent =
            set_three(&root, Kind::User, [UNCHANGED, 7, UNCHANGED], false).expect("root may");
        assert!(lent.effective.is_empty() && lent.permitted == Capabilities::ALL);
        let back =
            set_three(&lent, Kind::User, [UNCHANGED, 0, UNCHANGED], false).expect("saved id");
        assert_eq!(back.effective, Capabilities::ALL);
        let kept = set(&root, Kind::User, 7, true).expect("root may");
        assert!(kept.effective.is_empty() && kept.permitted == Capabilities::ALL);
        let raised =
            set_capabilities(&kept, Capabilities::KILL, Capabilities::KILL, Capabilities::empty());
        assert_eq!(raised.expect("permitted").effective, Capabilities::KILL);
    }

    #[test]
    fn setreuid_moves_the_saved_id_as_linux_does() {
        let user = Credentials { suid: 9, ..Credentials::new(7, 7, &[]) };
        let swapped = set_two(&user, Kind::User, [UNCHANGED, 9], false).expect("the saved id");
        assert_eq!(ids(&swapped, Kind::User), [7, 9, 9]);
        let same = set_two(&user, Kind::User, [UNCHANGED, 7], false).expect("the real id");
        assert_eq!(ids(&same, Kind::User), [7, 7, 9]);
        assert!(set_two(&user, Kind::User, [9, UNCHANGED], false).is_err());
    }

    #[test]
    fn the_user_for_files_takes_capabilities_along() {
        let root = Credentials::new(0, 0, &[]);
        let other = set_for_files(&root, Kind::User, 7).expect("root may");
        assert!(!other.has(Capabilities::DAC_OVERRIDE) && other.has(Capabilities::KILL));
        let back = set_for_files(&other, Kind::User, 0).expect("its own id");
        assert!(back.has(Capabilities::DAC_OVERRIDE));
        let user = Credentials::new(7, 7, &[]);
        assert!(set_for_files(&user, Kind::User, 8).is_none());
    }
}
