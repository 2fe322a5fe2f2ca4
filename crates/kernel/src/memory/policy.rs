//! NUMA policies as an area, or a thread, keeps them. The enclave has one node, so that a policy is
//! kept and told, and what it asks for is what happens anyway.
//!
//! Source: mbind(2), `set_mempolicy(2)`, `set_mempolicy_home_node(2)`.

use core::ops::Range;

use abi::Errno;
use abi::errno::Result;

use super::area::Area;
use super::space::Space;

bitflags::bitflags! {
    /// What else a mode may say.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ModeFlags: u32 {
        /// `MPOL_F_STATIC_NODES`: the nodes are meant whatever the process is allowed.
        const STATIC = 0x8000;
        /// `MPOL_F_RELATIVE_NODES`: they are counted among the allowed ones.
        const RELATIVE = 0x4000;
        /// `MPOL_F_NUMA_BALANCING`.
        const BALANCING = 0x2000;
    }
}

/// How memory is spread over nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Mode {
    /// One node if it has room.
    Preferred = 1,
    /// These nodes and no other.
    Bind = 2,
    /// In turns.
    Interleave = 3,
    /// Where the thread runs.
    Local = 4,
    /// Several if they have room.
    PreferredMany = 5,
    /// In turns, by weight.
    Weighted = 6,
}

/// The mask of the enclave's only node.
pub const ONLY_NODE: u64 = 1;
/// The mode of having no policy.
const DEFAULT: u32 = 0;

/// A policy; having none is `None` of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    mode: Mode,
    flags: ModeFlags,
    /// The nodes as told: as given, with flags, else those that are there.
    nodes: u64,
}

impl Policy {
    /// Checks a mode as the program gives it.
    ///
    /// # Errors
    /// EINVAL.
    pub fn check_mode(raw: u32) -> Result<()> {
        Self::decode(raw).map(|_| ())
    }

    fn decode(raw: u32) -> Result<(Option<Mode>, ModeFlags)> {
        let invalid = |why| Err(Errno::EINVAL.because(why));
        let flags = ModeFlags::from_bits_truncate(raw);
        let mode = match raw & !ModeFlags::all().bits() {
            DEFAULT => None,
            1 => Some(Mode::Preferred),
            2 => Some(Mode::Bind),
            3 => Some(Mode::Interleave),
            4 => Some(Mode::Local),
            5 => Some(Mode::PreferredMany),
            6 => Some(Mode::Weighted),
            _ => return invalid("an unknown policy"),
        };
        if flags.contains(ModeFlags::STATIC | ModeFlags::RELATIVE) {
            return invalid("nodes are either static or relative");
        }
        let balanced = matches!(mode, Some(Mode::Bind | Mode::PreferredMany));
        if flags.contains(ModeFlags::BALANCING) && !balanced {
            return invalid("this policy can't be balanced");
        }
        Ok((mode, flags))
    }

    /// The policy of a mode as the program gives it, and of nodes; `any` says whether nodes are meant
    /// that lie beyond the mask.
    ///
    /// # Errors
    /// EINVAL.
    pub fn new(raw: u32, nodes: u64, any: bool) -> Result<Option<Self>> {
        let invalid = |why| Err(Errno::EINVAL.because(why));
        let (mode, flags) = Self::decode(raw)?;
        let empty = nodes == 0 && !any;
        let Some(mut mode) = mode else {
            return if empty { Ok(None) } else { invalid("no policy has no nodes") };
        };
        let placed = flags.intersects(ModeFlags::STATIC | ModeFlags::RELATIVE);
        if mode == Mode::Preferred && empty && !placed {
            mode = Mode::Local;
        }
        if mode == Mode::Local {
            if !empty || placed {
                return invalid("local memory has no nodes");
            }
            return Ok(Some(Self { mode, flags, nodes: 0 }));
        }
        if empty || nodes & ONLY_NODE == 0 && !flags.contains(ModeFlags::RELATIVE) {
            return invalid("the policy has no node that is there");
        }
        Ok(Some(Self { mode, flags, nodes: if flags.is_empty() { ONLY_NODE } else { nodes } }))
    }

    /// Mode and flags as the program gives and gets them.
    pub fn raw(policy: Option<Self>) -> u32 {
        policy.map_or(DEFAULT, |policy| policy.mode as u32 | policy.flags.bits())
    }

    /// Its nodes.
    pub fn nodes(&self) -> u64 {
        self.nodes
    }

    /// Whether pages go to the nodes in turns.
    pub fn takes_turns(&self) -> bool {
        matches!(self.mode, Mode::Interleave | Mode::Weighted)
    }

    /// Whether it may have a home: a node that is nearest to those that it names.
    fn may_have_home(&self) -> bool {
        matches!(self.mode, Mode::Bind | Mode::PreferredMany)
    }

    /// As `/proc/self/numa_maps` has it.
    pub fn text(policy: Option<Self>) -> alloc::string::String {
        let Some(Self { mode, flags, nodes }) = policy else { return "default".into() };
        let mut text = alloc::string::String::from(match mode {
            Mode::Preferred => "prefer",
            Mode::Bind => "bind",
            Mode::Interleave => "interleave",
            Mode::Local => "local",
            Mode::PreferredMany => "prefer (many)",
            Mode::Weighted => "weighted interleave",
        });
        if flags.contains(ModeFlags::STATIC) {
            text += "=static";
        } else if flags.contains(ModeFlags::RELATIVE) {
            text += "=relative";
        }
        if nodes != 0 {
            text += ":0";
        }
        text
    }
}

impl Space {
    /// Gives a range a policy; a range with a hole can only lose its own.
    ///
    /// # Errors
    /// EFAULT for a hole, ENOMEM for too many areas.
    pub fn bind(&self, range: &Range<u64>, policy: Option<Policy>) -> Result<()> {
        let mut state = self.state.lock();
        let anything = state.areas.overlapping(range).any(|(_, area)| !area.is_hidden());
        if !anything || policy.is_some() && !state.is_whole(range) {
            return Err(Errno::EFAULT.because("part of the range is not mapped"));
        }
        state.room_for(state.areas.splits(range))?;
        state.areas.edit(range, |_, area| area.policy = policy);
        Ok(())
    }

    /// The policy of the area that holds `address`, which may have none.
    ///
    /// # Errors
    /// EFAULT when nothing is mapped there.
    pub fn policy_at(&self, address: u64) -> Result<Option<Policy>> {
        let state = self.state.lock();
        let found = state.areas.find(address).filter(|(_, area)| !area.is_hidden());
        let (_, area) = found.ok_or(Errno::EFAULT.because("nothing is mapped there"))?;
        Ok(area.policy)
    }

    /// Makes the only node the home of the range's policies, which it is.
    ///
    /// # Errors
    /// ENOENT when there is none, EOPNOTSUPP when one can't have a home.
    pub fn set_home(&self, range: &Range<u64>) -> Result<()> {
        let pieces = self.state.lock().pieces(range);
        let policies = |(_, area): &(Range<u64>, Area)| area.policy;
        let mut found = Err(Errno::ENOENT.because("nothing there has a policy"));
        for policy in pieces.iter().filter_map(policies) {
            if !policy.may_have_home() {
                return Err(Errno::EOPNOTSUPP.because("this policy can't have a home"));
            }
            found = Ok(());
        }
        found
    }

    /// Whether the area at an address has all of `prot`, and is no secret; false where nothing is mapped.
    pub fn grants(&self, address: u64, prot: super::Prot) -> bool {
        let state = self.state.lock();
        let found = state.areas.find(address).filter(|(_, area)| !area.is_hidden());
        found.is_some_and(|(_, area)| {
            area.prot.contains(prot) && !area.flags.contains(super::area::Flags::SECRET)
        })
    }
}
