//! The functions, run by the machine at hand.

use std::process::Command;

use super::super::image;

/// Loads the object as a C library would, compares its clocks with the same arithmetic in C, and
/// unwinds out of a signal handler that returns through it. Needs a C compiler.
#[test]
fn its_functions_give_what_c_gives() {
    let directory = std::env::temp_dir().join(format!("adyton-vdso-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let [object, source, program] =
        ["vdso.so", "native.c", "native"].map(|name| directory.join(name));
    std::fs::write(&object, image()).expect("written");
    std::fs::write(&source, include_str!("native.c")).expect("written");
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-g", "-Wall", "-mfsgsbase", "-o"]).args([&program, &source]);
    assert!(compiler.status().expect("a C compiler (cc) is needed for this test").success());
    let output = Command::new(&program).arg(&object).output().expect("run");
    let _ = std::fs::remove_dir_all(&directory);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
