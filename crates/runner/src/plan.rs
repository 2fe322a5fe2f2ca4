//! Reading and checking a plan.

use std::os::fd::RawFd;

use abi::layout::{Layout, PAGE};
use abi::plan::{Header, MAGIC, Segment, VERSION, tag};

use crate::Outcome;

/// A plan that was checked: each segment lies in the image part of the range and in the file.
pub(crate) struct Plan {
    pub(crate) fd: RawFd,
    pub(crate) header: Header,
    pub(crate) layout: Layout,
    pub(crate) segments: Vec<Segment>,
    pub(crate) blob: Vec<u8>,
}

impl Plan {
    /// Reads the plan from its descriptor and checks every field.
    pub(crate) fn read(fd: RawFd) -> Outcome<Self> {
        let wrong = |what: &str| format!("the plan is malformed ({what}); reinstall adyton");
        let mut header = Header::default();
        // SAFETY: a struct of plain integers, written as bytes.
        let bytes = unsafe {
            std::slice::from_raw_parts_mut((&raw mut header).cast::<u8>(), size_of::<Header>())
        };
        read_at(fd, 0, bytes)?;
        if header.magic != MAGIC || header.version != VERSION {
            return Err(wrong("another version"));
        }
        let layout = Layout::new(header.range_size).ok_or_else(|| wrong("size of the range"))?;
        let len = file_len(fd)?;
        if header.total_len != len {
            return Err(wrong("length"));
        }
        let table_len = u64::from(header.segments) * size_of::<Segment>() as u64;
        let inside =
            |offset: u64, bytes: u64| offset.checked_add(bytes).is_some_and(|end| end <= len);
        if header.segments > 4096
            || !inside(header.segments_offset, table_len)
            || !inside(header.boot_offset, header.boot_len)
            || header.vcpus == 0
            || header.vcpus > abi::layout::VCPUS_MAX
        {
            return Err(wrong("tables"));
        }
        let mut segments = vec![Segment::default(); header.segments as usize];
        // SAFETY: structs of plain integers, written as bytes.
        let bytes = unsafe {
            std::slice::from_raw_parts_mut(
                segments.as_mut_ptr().cast::<u8>(),
                size_of_val(segments.as_slice()),
            )
        };
        read_at(fd, header.segments_offset, bytes)?;
        let mut end = layout.vcpus();
        // The table is in the order of the measurement; for the check it is looked at by address.
        // What isn't mapped is not looked at at all.
        let mut by_address: Vec<&Segment> =
            segments.iter().filter(|segment| segment.page_type == 2).collect();
        by_address.sort_unstable_by_key(|segment| segment.address);
        let mut enters = false;
        for segment in by_address {
            let aligned =
                [segment.address, segment.len, segment.offset].iter().all(|v| v % PAGE == 0);
            let after = segment.address.checked_add(segment.len);
            if !aligned
                || segment.permissions > 7
                || segment.address < end
                || after.is_none_or(|after| after > layout.size)
                || !inside(segment.offset, segment.len)
            {
                return Err(wrong("a segment"));
            }
            end = segment.address + segment.len;
            enters |=
                segment.permissions & 4 != 0 && (segment.address..end).contains(&header.entry);
        }
        if !enters {
            return Err(wrong("the entry"));
        }
        let mut blob = vec![0; usize::try_from(header.boot_len).map_err(|_| wrong("boot"))?];
        read_at(fd, header.boot_offset, &mut blob)?;
        Ok(Self { fd, header, layout, segments, blob })
    }

    /// Items of the boot blob with a tag.
    pub(crate) fn items(&self, wanted: u32) -> Vec<&[u8]> {
        let mut items = Vec::new();
        let mut rest = self.blob.as_slice();
        while let Some((head, body)) = rest.split_at_checked(8) {
            let word = |at: usize| {
                u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
            };
            let len = word(4) as usize;
            let Some(item) = body.get(..len) else { break };
            if word(0) == wanted {
                items.push(item);
            }
            rest = body.get(len.next_multiple_of(8)..).unwrap_or_default();
        }
        items
    }

    /// Closes every inherited descriptor but the standard streams and those that the plan names.
    pub(crate) fn close_others(&self) -> Outcome<()> {
        let header = &self.header;
        let mut kept = vec![self.fd];
        for fd in [header.stat_fd, header.control_fd] {
            if fd > 0 {
                kept.push(i32::try_from(fd - 1).map_err(|_| "a descriptor is out of range")?);
            }
        }
        kept.retain(|fd| *fd > 2);
        kept.sort_unstable();
        let mut first = 3_u32;
        for fd in kept.iter().map(|fd| fd.unsigned_abs()).chain([u32::MAX]) {
            if fd > first {
                // SAFETY: closes descriptors that nobody in this process uses.
                unsafe { libc::syscall(libc::SYS_close_range, first, fd - 1, 0) };
            }
            first = fd.saturating_add(1);
        }
        for fd in kept {
            // SAFETY: sets a flag on a descriptor of ours.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
        Ok(())
    }

    /// The roots that the host offers: flags and host path.
    pub(crate) fn roots(&self) -> Vec<(u32, Vec<u8>)> {
        self.items(tag::ROOT)
            .into_iter()
            .filter(|item| item.len() > 8)
            .map(|item| {
                let flags = u32::from_le_bytes([item[0], item[1], item[2], item[3]]);
                let path = item[8..].split(|byte| *byte == 0).next().unwrap_or_default();
                (flags, path.to_vec())
            })
            .collect()
    }
}

fn file_len(fd: RawFd) -> Outcome<u64> {
    // SAFETY: lseek on a descriptor takes no pointers.
    let end = unsafe { libc::lseek(fd, 0, libc::SEEK_END) };
    u64::try_from(end).map_err(|_| format!("descriptor {fd} holds no plan"))
}

fn read_at(fd: RawFd, offset: u64, out: &mut [u8]) -> Outcome<()> {
    let mut done = 0;
    while done < out.len() {
        let rest = &mut out[done..];
        let at = i64::try_from(offset).unwrap_or(i64::MAX) + i64::try_from(done).unwrap_or(0);
        // SAFETY: `rest` is writable for its length.
        let got = unsafe { libc::pread(fd, rest.as_mut_ptr().cast(), rest.len(), at) };
        match usize::try_from(got) {
            Ok(0) | Err(_) => return Err("the plan can't be read; reinstall adyton".to_owned()),
            Ok(got) => done += got,
        }
    }
    Ok(())
}
