//! The vDSO's image, mapped and called by an ordinary program: `vdso.c` says what is compared.

use std::path::Path;
use std::process::Command;

fn run(command: &mut Command) -> (bool, String) {
    let output = command.output().expect("the command starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn functions_agree_with_the_kernel() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (image, program) = (folder.join("vdso.image"), folder.join("vdso"));
    std::fs::write(&image, kernel::process::vdso::image()).expect("the folder is there");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vdso.c");
    let (good, text) = run(Command::new("cc")
        .args(["-O1", "-fno-omit-frame-pointer", "-o"])
        .arg(&program)
        .arg(&source));
    assert!(good, "{text}");
    let (good, text) = run(Command::new(&program).arg(&image));
    assert!(good, "{text}");
    println!("{text}");
}
