//! Extended attributes: no file has any.
//!
//! Source: xattr(7), getxattr(2), setxattr(2), listxattr(2), removexattr(2). Differs from Linux:
//! setting one is EOPNOTSUPP, as on file systems without them.

use abi::errno::Result;
use abi::{Errno, nr};

use super::base::{AT_FDCWD, AT_SYMLINK_NOFOLLOW, find};
use crate::arguments::Arguments;
use crate::context::Context;

/// Longest name of an attribute with its NUL.
const NAME_MAX: usize = 256;
/// Name spaces that exist.
const SPACES: [&[u8]; 4] = [b"user.", b"system.", b"security.", b"trusted."];

/// What a call does with attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Get,
    List,
    Set,
    Remove,
}

/// The calls of this family; `None`: not one of these.
pub(super) async fn call(cx: &Context<'_>, number: usize, args: &Arguments) -> Option<Result<u64>> {
    let action = match number {
        nr::GETXATTR | nr::LGETXATTR | nr::FGETXATTR => Action::Get,
        nr::LISTXATTR | nr::LLISTXATTR | nr::FLISTXATTR => Action::List,
        nr::SETXATTR | nr::LSETXATTR | nr::FSETXATTR => Action::Set,
        nr::REMOVEXATTR | nr::LREMOVEXATTR | nr::FREMOVEXATTR => Action::Remove,
        _ => return None,
    };
    let by_descriptor =
        matches!(number, nr::FGETXATTR | nr::FLISTXATTR | nr::FSETXATTR | nr::FREMOVEXATTR);
    let keep_link =
        matches!(number, nr::LGETXATTR | nr::LLISTXATTR | nr::LSETXATTR | nr::LREMOVEXATTR);
    Some(carry_out(cx, args, action, by_descriptor, keep_link).await)
}

async fn carry_out(
    cx: &Context<'_>,
    args: &Arguments,
    action: Action,
    by_descriptor: bool,
    keep_link: bool,
) -> Result<u64> {
    if by_descriptor {
        super::length::open_file(cx, args)?;
    } else {
        let path = cx.read_path(args.address(0))?;
        let flags = if keep_link { AT_SYMLINK_NOFOLLOW } else { 0 };
        find(cx, AT_FDCWD, &path, flags).await?;
    }
    if action == Action::List {
        return Ok(0);
    }
    let name = cx.read_string(args.address(1), NAME_MAX, Errno::ERANGE)?;
    if name.is_empty() {
        return Err(Errno::ERANGE.because("the name is empty"));
    }
    let known = SPACES.iter().any(|space| name.starts_with(space));
    match action {
        Action::Get if known => Err(Errno::ENODATA.because("no file has extended attributes")),
        _ => Err(Errno::EOPNOTSUPP.because("extended attributes are not supported")),
    }
}
