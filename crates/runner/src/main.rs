//! The runner: the host process around one enclave.
//!
//! Untrusted, and it decides nothing: it maps exactly what the plan says ([`space`]), enters the
//! enclave on P threads ([`vcpu`]), turns host signals into entries ([`signals`]), carries out host
//! calls ([`host`], [`io`], [`ring`]), watches what may become ready ([`attendant`]) and serves rings of
//! its own where io_uring is forbidden ([`poller`]). What is none of its own calls does not reach the
//! host ([`filter`]).
//!
//! While a vCPU thread is inside, FS belongs to the program. Whatever runs on such a thread after
//! its start uses raw system calls ([`sys`]), no libc, no locks of libc, no thread-local storage, and
//! leaves the vector registers alone.

#![expect(
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::many_single_char_names,
    reason = "arguments and results of system calls are words, whatever type they have elsewhere"
)]

mod attendant;
mod attributes;
#[cfg(feature = "faults")]
mod faults;
mod filter;
mod handles;
mod host;
mod io;
mod line;
mod plan;
mod poller;
mod ring;
mod signals;
mod space;
mod sys;
mod terminal;
mod text;
mod trace;
mod vcpu;

use std::process::ExitCode;

// libc's own versions use the vector registers, which belong to the program.
core::arch::global_asm!(include_str!("../../abi/asm/memory.s"));

/// What a start can fail with: one line for the person.
type Outcome<T> = Result<T, String>;

/// Exit code of Adyton's own failures.
const FAILED: u8 = 125;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        eprintln!("adyton: the runner stopped: {info}");
        std::process::exit(i32::from(FAILED));
    }));
    match start() {
        Ok(never) => match never {},
        Err(line) => {
            eprintln!("adyton: {line}");
            ExitCode::from(FAILED)
        }
    }
}

fn start() -> Outcome<std::convert::Infallible> {
    let clock = vcpu::Calibration::begin();
    let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // A core file would hold what the enclave keeps.
    // SAFETY: lowers a limit of this process.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const no_core) };
    #[cfg(feature = "faults")]
    faults::init()?;
    let inherited = signals::inherited();
    let plan = plan::Plan::read(plan_descriptor()?)?;
    // SAFETY: asks for a word.
    vcpu::check_bases(unsafe { libc::getauxval(libc::AT_HWCAP2) })?;
    signals::block_all();
    plan.close_others()?;
    handles::register_streams();
    handles::register_roots(&plan)?;
    trace::init(&plan)?;
    let space = space::Space::map(&plan, &inherited)?;
    host::init(&plan, &space);
    signals::install()?;
    attendant::start(&plan, &space)?;
    poller::start(&plan)?;
    vcpu::enter_all(&plan, &space, &clock)
}

fn plan_descriptor() -> Outcome<i32> {
    let argument = std::env::args().nth(1);
    argument
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| "usage: adyton-runner PLAN_DESCRIPTOR (started by `adyton run`)".to_owned())
}
