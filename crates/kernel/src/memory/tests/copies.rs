//! Moves that the host refuses are made by copying, on real memory.

use std::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use abi::host::{Advice, Backing};
use platform::user;

use super::super::map::{MapFlags, Request};
use super::super::mapper::Mapper;
use super::super::{Environment, PAGE, Prot, Space};

/// Memory of this process in the user region's place: always accessible.
struct Real;

impl Mapper for Real {
    fn map(&self, address: u64, len: u64, _: Prot, backing: Backing, _: u64) -> Result<()> {
        assert_eq!(backing, Backing::Anonymous);
        Ok(user::clear(address, usize::try_from(len).expect("small"))?)
    }

    fn protect(&self, _: u64, _: u64, _: Prot) -> Result<()> {
        Ok(())
    }

    fn unmap(&self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }

    fn advise(&self, _: u64, _: u64, _: Advice) -> Result<()> {
        Ok(())
    }

    fn relocate(&self, _: u64, _: u64, _: u64) -> Result<()> {
        Err(Errno::EFAULT.because("more than one mapping"))
    }
}

#[test]
fn what_the_host_cannot_move_is_copied() {
    let memory = vec![0_u8; 1 << 20].leak();
    let start = (memory.as_ptr().addr() as u64).next_multiple_of(PAGE);
    let environment = Environment {
        mapper: Arc::new(Real),
        refused: Arc::new(|_| {}),
        reclaim: Arc::new(|_| {}),
        region: start..start + (1 << 20) - PAGE,
    };
    let space = Space::new(environment);
    let prot = Prot::READ | Prot::WRITE;
    let request = Request::anonymous(start, 40 * PAGE, prot, MapFlags::FIXED);
    assert_eq!(space.map(&request), Ok(start));
    for page in 0..40 {
        user::copy_out(start + page * PAGE + 4000, &[page as u8; 8]).expect("mapped");
    }
    let to = start + 100 * PAGE;
    assert_eq!(space.remap(start + PAGE, 39 * PAGE, 45 * PAGE, 3, to), Ok(to));
    let mut bytes = [0; 8];
    for page in 0..45 {
        user::copy_in(to + page * PAGE + 4000, &mut bytes).expect("mapped");
        let expected = if page < 39 { page as u8 + 1 } else { 0 };
        assert_eq!(bytes, [expected; 8]);
    }
    assert_eq!(space.statistics().charged, 46 * PAGE);
}
