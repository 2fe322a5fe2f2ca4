//! The table of descriptors.

use std::sync::Arc;

use abi::Errno;

use super::{OnExec, Table};
use crate::object::{OpenFile, Status};

fn file() -> Arc<OpenFile> {
    let object = crate::device::open(crate::device::Kind::Null.number()).unwrap();
    OpenFile::new(object, Status::READ_WRITE, None)
}

fn add(table: &Table) -> u32 {
    table.add(file(), OnExec::Keep).unwrap()
}

#[test]
fn the_lowest_free_number_is_taken() {
    let table = Table::new(1024);
    assert_eq!([add(&table), add(&table), add(&table)], [0, 1, 2]);
    table.remove(1).unwrap();
    table.remove(0).unwrap();
    assert_eq!([add(&table), add(&table), add(&table)], [0, 1, 3]);
    assert_eq!(table.add_from(file(), 10, OnExec::Close).unwrap(), 10);
    assert_eq!(table.add_from(file(), 10, OnExec::Keep).unwrap(), 11);
    assert_eq!(add(&table), 4);
    assert_eq!(table.on_exec(10).unwrap(), OnExec::Close);
    assert_eq!(table.on_exec(11).unwrap(), OnExec::Keep);
}

#[test]
fn bad_numbers_are_refused() {
    let table = Table::new(4);
    for fd in [-1, 0, 3, 4, i32::MAX, i32::MIN] {
        assert_eq!(table.get(fd).err().unwrap().errno, Errno::EBADF);
        assert_eq!(table.remove(fd).err().unwrap().errno, Errno::EBADF);
    }
    assert_eq!(table.replace(4, file(), OnExec::Keep).err().unwrap().errno, Errno::EBADF);
    assert_eq!(table.replace(-1, file(), OnExec::Keep).err().unwrap().errno, Errno::EBADF);
    assert_eq!(table.add_from(file(), 4, OnExec::Keep).unwrap_err().errno, Errno::EINVAL);
    for _ in 0..4 {
        add(&table);
    }
    assert_eq!(table.add(file(), OnExec::Keep).unwrap_err().errno, Errno::EMFILE);
    table.set_limit(5);
    assert_eq!(add(&table), 4);
}

#[test]
fn replacing_gives_the_old_file_back() {
    let table = Table::new(16);
    let first = file();
    table.add(Arc::clone(&first), OnExec::Keep).unwrap();
    let old = table.replace(0, file(), OnExec::Close).unwrap().unwrap();
    assert!(Arc::ptr_eq(&old, &first));
    assert!(table.replace(7, file(), OnExec::Keep).unwrap().is_none());
    assert_eq!(add(&table), 1);
    let numbers: Vec<u32> = table.list().into_iter().map(|(fd, _)| fd).collect();
    assert_eq!(numbers, [0, 1, 7]);
}

#[test]
fn reservations_are_filled_or_given_back() {
    let table = Table::new(16);
    let reserved = table.reserve().unwrap();
    assert_eq!(reserved.fd(), 0);
    assert_eq!(table.get(0).err().unwrap().errno, Errno::EBADF);
    assert_eq!(table.replace(0, file(), OnExec::Keep).err().unwrap().errno, Errno::EBUSY);
    assert_eq!(add(&table), 1);
    drop(reserved);
    let reserved = table.reserve().unwrap();
    assert_eq!(reserved.fill(file(), OnExec::Keep), 0);
    assert!(table.get(0).is_ok());
}

#[test]
fn execve_and_ranges_close() {
    let table = Table::new(64);
    for number in 0..10 {
        let on_exec = if number % 2 == 0 { OnExec::Close } else { OnExec::Keep };
        table.add(file(), on_exec).unwrap();
    }
    let copy = table.duplicate();
    assert_eq!(table.remove_on_exec().len(), 5);
    assert_eq!(table.remove_range(3, u32::MAX).len(), 4);
    assert_eq!(table.list().len(), 1);
    assert_eq!(copy.list().len(), 10);
    copy.close_range_on_exec(0, 3);
    assert_eq!(copy.remove_on_exec().len(), 7);
    assert_eq!(add(&copy), 0);
}
