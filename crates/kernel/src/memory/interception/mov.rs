//! Rule *mov*: `mov $nr,%eax` before a `syscall` becomes the jump to the trampoline, which loads the
//! number, executes what stands between the two, and makes the call.

use smallvec::SmallVec;

use super::PAGE;
use super::between::{self, Starts};
use super::boundary::{self, Certainty};
use super::code::rel32;
use super::decide::{self, Proof, Reason, Rule, Site, Surroundings, Text};
use super::patch::{Patch, Span, Store, Trampoline};
use super::trampoline::{self, JMP};

/// System call numbers at and above this are no numbers: an immediate that large is something else.
const NUMBERS: u32 = 1024;

/// A `mov` before a site, as found in the bytes.
struct Load {
    at: u64,
    nr: u32,
    /// Where it ends.
    behind: u64,
}

/// The `mov $nr,%eax` or `mov $nr,%rax` whose bytes end at `behind`.
fn load_before(site: &Site<'_>, behind: u64) -> Option<Load> {
    let at = behind.checked_sub(5)?;
    let [opcode, immediate @ ..] = site.code.array::<5>(at)?;
    if opcode == 0xB8 {
        let prefix = at.checked_sub(1).and_then(|before| site.code.array::<1>(before));
        let rex = prefix.is_some_and(|[byte]| byte & 0xF0 == 0x40);
        let nr = u32::from_le_bytes(immediate);
        return (!rex && nr < NUMBERS).then_some(Load { at, nr, behind });
    }
    let at = behind.checked_sub(7)?;
    let [0x48, 0xC7, 0xC0, immediate @ ..] = site.code.array::<7>(at)? else {
        return None;
    };
    let nr = u32::from_le_bytes(immediate);
    (nr < NUMBERS).then_some(Load { at, nr, behind })
}

/// The rule for a `mov` right before the `syscall`; `Ok(None)` when it does not fit the bytes.
pub(crate) fn adjacent(
    site: &Site<'_>,
    around: &Surroundings<'_>,
) -> Result<Option<Patch>, Reason> {
    let Some(load) = load_before(site, site.at) else {
        return Ok(None);
    };
    let starts = Starts::from_slice(&[load.at, site.at]);
    if !is_instruction(site, &load, &starts, around.text) {
        return Ok(None);
    }
    replace(site, &load, around).map(Some)
}

/// The rule for a `mov` with other instructions behind it; `Ok(None)` when it does not fit the bytes.
pub(crate) fn apart(site: &Site<'_>, around: &Surroundings<'_>) -> Result<Option<Patch>, Reason> {
    let found = (1..=between::BYTES_MAX).filter_map(|len| {
        let load = load_before(site, site.at.checked_sub(len)?)?;
        let starts = between::decode(&site.code, load.at, load.behind, site.at)?;
        Some((load, starts))
    });
    let found: SmallVec<[(Load, Starts); 1]> = found.collect();
    if matches!(site.proof, Proof::Learned(_)) && found.len() > 1 {
        return Ok(None); // which one loaded the number is not known
    }
    let fits = |(load, starts): &&(Load, Starts)| is_instruction(site, load, starts, around.text);
    match found.iter().find(fits) {
        Some((load, _)) => replace(site, load, around).map(Some),
        None => Ok(None),
    }
}

/// The patch that replaces `load`.
fn replace(site: &Site<'_>, load: &Load, around: &Surroundings<'_>) -> Result<Patch, Reason> {
    if !around.claims.is_free(&(load.at..site.at)) {
        return Err(Reason::Claimed);
    }
    let (trampoline, jump) = place_near(site, load, around).ok_or(Reason::NoPool)?;
    let len = load.behind - load.at;
    let mut new = Span::new();
    new.push(0xE9);
    new.extend_from_slice(&jump.to_le_bytes());
    if len == 7 {
        new.extend_from_slice(&[0x66, 0x90]);
    }
    let old = site.code.get(load.at, new.len()).ok_or(Reason::NotSyscall)?;
    Ok(Patch {
        rule: Rule::Mov,
        site: site.at,
        at: load.at,
        old: Span::from_slice(old),
        new,
        store: Store::new(load.at, len),
        trampoline,
        pad: None,
    })
}

/// Whether the `mov` ran before the system call, and so is an instruction of the program.
fn is_instruction(site: &Site<'_>, load: &Load, starts: &Starts, text: Option<&dyn Text>) -> bool {
    let number = u64::from(load.nr);
    let rax = match site.proof {
        Proof::Trapped { rax } => rax,
        // It had the number when it trapped.
        Proof::Learned(_) | Proof::Jumped => number,
    };
    let proven = || match boundary::examine(&site.code, starts, rax) {
        // Of a few instructions, some may be jumped to.
        Certainty::Ran if starts.len() > 2 => text.is_some_and(|text| {
            let behind = starts.get(1..).unwrap_or_default();
            matches!(site.proof, Proof::Trapped { .. }) && !boundary::may_be_jumped_to(text, behind)
        }),
        Certainty::Certain | Certainty::Ran => true,
        Certainty::Ambiguous => false,
    };
    let confirmed =
        || text.is_some_and(|text| boundary::confirmed_from_start(text, load.at, site.at));
    rax == number && (proven() || confirmed())
}

/// The trampoline for a `mov`, and the displacement of the jump to it.
fn place_near(
    site: &Site<'_>,
    load: &Load,
    around: &Surroundings<'_>,
) -> Option<(Trampoline, i32)> {
    let base = around.windows.near_pool(site.at)?;
    let anywhere = base..base.checked_add(PAGE)?;
    let between = site.code.get(load.behind, usize::try_from(site.at - load.behind).ok()?)?;
    let len = trampoline::MOV_TRAMPOLINE + between.len() as u64;
    let (at, stub, fresh) = decide::place(around.windows, base, &anywhere, len)?;
    let code = trampoline::for_mov(at, load.nr, between, site.at + 2, stub)?;
    Some((Trampoline { at, code, stub, fresh }, rel32(load.at + JMP, at)?))
}
