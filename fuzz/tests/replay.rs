//! Runs each target over its kept corpus: seeds, what fuzzing found worth keeping, and old crashes.

use std::path::Path;

fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("a corpus for each target") {
        let file = entry.expect("a readable folder").path();
        println!("{}", file.display());
        target(&std::fs::read(file).expect("a readable file"));
        count += 1;
    }
    assert!(count > 3, "{} is as good as empty", folder.display());
}

#[test]
fn elf() {
    replay("elf", targets::elf::run);
}

#[test]
fn path() {
    replay("path", targets::path::run);
}

#[test]
fn plan() {
    replay("plan", targets::plan::run);
}

#[test]
fn completions() {
    replay("completions", targets::completions::run);
}
