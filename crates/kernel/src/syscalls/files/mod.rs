//! The family `files`.

use abi::errno::Result;
use abi::nr;

use crate::arguments::Arguments;
use crate::context::Context;

/// Calls that finish at once; `None`: not here, or it must wait.
pub(crate) fn at_once(cx: &mut Context<'_>, number: usize, args: &Arguments) -> Option<Result<u64>> {
    if number == nr::WRITE {
        let file = match cx.process.files.get(args.fd(0)) { Ok(f) => f, Err(e) => return Some(Err(e)) };
        let mut source = cx.source(&[args.buffer(1, 2)]);
        return match file.object().write(&file, None, &mut source) {
            Ok((n, _)) => Some(Ok(n as u64)),
            Err(vfs::object::Stop::Error(e)) => Some(Err(e)),
            Err(_) => None,
        };
    }
    None
}

/// Calls that may wait; `None`: not here.
pub(crate) async fn waiting(cx: &mut Context<'_>, number: usize, args: &Arguments) -> Option<Result<u64>> {
    let _ = (cx, number, args);
    None
}
