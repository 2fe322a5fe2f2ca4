//! Prints sizes, offsets and numbers of the shared layouts as JSON, for the test that compares them
//! with Python's.
#![expect(clippy::print_stdout, reason = "it is what it is for")]

use std::mem::{offset_of, size_of};

use abi::{host, layout, plan, trace};

fn main() {
    let mut rows: Vec<(String, u64)> = Vec::new();
    let mut add = |name: &str, value: u64| rows.push((name.to_owned(), value));
    add("plan.MAGIC", plan::MAGIC);
    add("plan.CONFIG_MAGIC", plan::CONFIG_MAGIC);
    add("plan.VERSION", plan::VERSION.into());
    structures(&mut add);
    flags(&mut add);
    places(&mut add);
    records(&mut add);
    let body: Vec<String> =
        rows.iter().map(|(name, value)| format!("  \"{name}\": {value}")).collect();
    println!("{{\n{}\n}}", body.join(",\n"));
}

fn structures(add: &mut impl FnMut(&str, u64)) {
    macro_rules! fields {
        ($structure:ident, $name:literal: $($field:ident)*) => {
            add(concat!("sizeof.", $name), size_of::<plan::$structure>() as u64);
            $(add(
                concat!($name, ".", stringify!($field)),
                offset_of!(plan::$structure, $field) as u64,
            );)*
        };
    }
    fields!(Header, "Header": magic version segments total_len segments_offset boot_offset boot_len
        range_size entry vcpus flags exit_cost memory_limit untrusted_len stat_fd control_fd
        measurement);
    fields!(Segment, "Segment": address len offset permissions page_type);
    fields!(Root, "Root": flags reserved);
    fields!(Config, "Config": magic version flags address_space max_memory max_vcpus manifest_len
        manifest_sha256 root_hash);
}

fn flags(add: &mut impl FnMut(&str, u64)) {
    use plan::{config, flag, root, tag};
    for (name, value) in [
        ("plan.NO_RINGS", flag::NO_RINGS),
        ("plan.RINGS_FOR_ALL", flag::RINGS_FOR_ALL),
        ("plan.NO_INCLUSIVE_DISPATCH", flag::NO_INCLUSIVE_DISPATCH),
        ("plan.NO_PATCHING", flag::NO_PATCHING),
        ("plan.NO_AVX512", flag::NO_AVX512),
        ("plan.SECCOMP", flag::SECCOMP),
        ("plan.NO_SECCOMP", flag::NO_SECCOMP),
        ("plan.NO_DISPATCH", flag::NO_DISPATCH),
        ("plan.NO_POLLER", flag::NO_POLLER),
        ("plan.DEBUG", config::DEBUG),
        ("plan.HOST_FILES", config::HOST_FILES),
        ("plan.FREE_ARGUMENTS", config::FREE_ARGUMENTS),
        ("plan.FREE_ENVIRONMENT", config::FREE_ENVIRONMENT),
        ("plan.WRITABLE", root::WRITABLE),
        ("plan.LAYERED", root::LAYERED),
        ("plan.REVALIDATE", root::REVALIDATE),
        ("plan.FILE", root::FILE),
        ("plan.ARGUMENT", tag::ARGUMENT),
        ("plan.ENVIRONMENT", tag::ENVIRONMENT),
        ("plan.DIRECTORY", tag::DIRECTORY),
        ("plan.PROGRAM", tag::PROGRAM),
        ("plan.ROOT_ITEM", tag::ROOT),
        ("plan.IDENTITY", tag::IDENTITY),
        ("plan.HOSTNAME", tag::HOSTNAME),
        ("plan.SIGNALS", tag::SIGNALS),
        ("plan.TRACE", tag::TRACE),
        ("plan.LIMIT_ITEM", tag::LIMIT),
        ("plan.NAME", tag::NAME),
        ("plan.DECODER", tag::DECODER),
        ("plan.DECODER_ENVIRONMENT", tag::DECODER_ENVIRONMENT),
    ] {
        add(name, value.into());
    }
    add("control.EXITED", host::ExitKind::Exited as u64);
    add("control.SIGNALED", host::ExitKind::Signaled as u64);
    add("control.FAILED", host::ExitKind::Failed as u64);
}

fn places(add: &mut impl FnMut(&str, u64)) {
    add("layout.SIZE_MIN", layout::SIZE_MIN);
    add("layout.SIZE_MAX", layout::SIZE_MAX);
    add("layout.USER_START", layout::USER_START);
    add("layout.VCPU_STRIDE", layout::VCPU_STRIDE);
    add("layout.VCPUS_MAX", layout::VCPUS_MAX.into());
    add("layout.PAGE", layout::PAGE);
    add("layout.CONFIG_BELOW_END", layout::CONFIG_BELOW_END);
    add("layout.IMAGE_BELOW_END", layout::IMAGE_BELOW_END);
    for size in [layout::SIZE_MIN, layout::SIZE_MAX] {
        if let Some(parts) = layout::Layout::new(size) {
            add(&format!("at.{size}.user_end"), parts.user_end());
            add(&format!("at.{size}.arena"), parts.arena());
            add(&format!("at.{size}.vcpus"), parts.vcpus());
            add(&format!("at.{size}.heap"), parts.heap());
            add(&format!("at.{size}.heap_len"), parts.heap_len());
            add(&format!("at.{size}.config"), parts.config());
            add(&format!("at.{size}.image"), parts.image());
        }
    }
}

fn records(add: &mut impl FnMut(&str, u64)) {
    add("sizeof.Head", size_of::<trace::Head>() as u64);
    add("Head.t_ns", offset_of!(trace::Head, t_ns) as u64);
    add("Head.args", offset_of!(trace::Head, args) as u64);
    add("Head.strings", offset_of!(trace::Head, strings) as u64);
    add("trace.CRASH", trace::nr::CRASH.into());
    add("trace.SIGNAL", trace::nr::SIGNAL.into());
    add("trace.GONE", trace::nr::GONE.into());
    add("trace.MISSING", trace::nr::MISSING.into());
    add("trace.LOST", trace::nr::LOST.into());
    add("trace.RESULT", trace::RESULT.into());
    add("trace.STRING", trace::STRING.into());
    add("trace.BYTES", trace::BYTES.into());
    add("trace.CUT", trace::CUT.into());
    add("trace.LINE", trace::crash::LINE.into());
    add("trace.REGISTERS", trace::crash::REGISTERS.into());
    add("trace.MAPS", trace::crash::MAPS.into());
    add("trace.MEMORY", trace::crash::MEMORY.into());
    add("trace.PROGRAM", trace::crash::PROGRAM.into());
    add("trace.RECORD_MAX", trace::RECORD_MAX as u64);
}
