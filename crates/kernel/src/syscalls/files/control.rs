//! ioctl(2): what all descriptors have; the rest is the object's.
//!
//! Source: ioctl(2), `ioctl_list(2)`.

use abi::Errno;
use abi::errno::Result;
use vfs::descriptor::OnExec;
use vfs::node::Kind;
use vfs::object::{IoctlArgument, Status};

use super::length::open_file;
use super::ownership::{self, FIOGETOWN, FIOSETOWN, SIOCGPGRP, SIOCSPGRP};
use super::terminal;
use crate::arguments::Arguments;
use crate::context::Context;

const FIONREAD: u32 = 0x541b;
const FIONBIO: u32 = 0x5421;
const FIONCLEX: u32 = 0x5450;
const FIOCLEX: u32 = 0x5451;
const FIOASYNC: u32 = 0x5452;
const FIGETBSZ: u32 = 2;

/// The third argument of a call.
pub(super) struct Argument<'a, 'b> {
    cx: &'a Context<'b>,
    value: u64,
}

impl Argument<'_, '_> {
    /// As it stands in its register.
    pub(super) fn raw(&self) -> u64 {
        self.value
    }
}

impl IoctlArgument for Argument<'_, '_> {
    fn value(&self) -> u64 {
        self.value
    }

    fn read(&self, out: &mut [u8]) -> Result<()> {
        self.cx.read_bytes(self.value, out)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.cx.write_bytes(self.value, bytes)
    }
}

/// ioctl(2).
pub(super) fn ioctl(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = open_file(cx, args)?;
    let (request, value) = (args.uint(1), args.raw(2));
    let object = file.object();
    match request {
        FIOCLEX => cx.process.files.set_on_exec(args.fd(0), OnExec::Close).map(|()| 0),
        FIONCLEX => cx.process.files.set_on_exec(args.fd(0), OnExec::Keep).map(|()| 0),
        FIONBIO => {
            let on: i32 = cx.read(value)?;
            let flag = Status::NONBLOCK;
            file.set_status(flag, if on == 0 { Status::empty() } else { flag });
            Ok(0)
        }
        FIOASYNC => {
            let on = cx.read::<i32>(value)? != 0;
            let same = file.status().contains(Status::ASYNC) == on;
            if !same && !ownership::set_driven(cx, &file, args.fd(0), on) {
                return Err(Errno::ENOTTY.because("it sends no signals"));
            }
            Ok(0)
        }
        FIOSETOWN | SIOCSPGRP | FIOGETOWN | SIOCGPGRP if is_socket(object.as_ref())? => {
            ownership::ioctl(cx, &file, request, value)
        }
        FIONREAD if is_regular(object.as_ref())? => {
            let left = object.stat()?.size.saturating_sub(*file.position().lock());
            cx.write(value, &i32::try_from(left).unwrap_or(i32::MAX))?;
            Ok(0)
        }
        FIGETBSZ => {
            cx.write(value, &object.stat()?.block_size)?;
            Ok(0)
        }
        _ => {
            if file.object().node().is_some_and(|node| node.kind() == Kind::Directory) {
                return Err(Errno::ENOTTY.because("what was opened has no such control"));
            }
            let mut argument = Argument { cx, value };
            match terminal::control(cx, &file, request, &argument) {
                Some(result) => result,
                None => object.ioctl(&file, request, &mut argument),
            }
        }
    }
}

fn is_socket(object: &dyn vfs::object::Object) -> Result<bool> {
    Ok(Kind::of_mode(object.stat()?.mode) == Some(Kind::Socket))
}

fn is_regular(object: &dyn vfs::object::Object) -> Result<bool> {
    Ok(Kind::of_mode(object.stat()?.mode) == Some(Kind::File))
}
