//! The workspace's own tests, run inside the other kernels: the same programs that `cargo test` runs here.

use super::{Content, Guest, Kernel, run_in};
use crate::outcome::Outcome;
use crate::{cargo, tools};
use anyhow::{Result, bail};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

/// The crates whose tests talk to a kernel.
const SUITES: &[&str] = &["skep", "skep-linux"];

/// Modules that the tests need and Debian builds as modules.
const MODULES: &[&str] = &["veth"];

/// Folders of committed data, which the tests find where they are here.
const DATA: &[&str] = &["examples", "lab/shapes", "lab/vectors"];

/// Programs that tests call and busybox does not have, or not whole; and a shell that does not prefer busybox's.
const PROGRAMS: &[(&str, &str)] = &[
    ("dash", "/bin/sh"),
    ("ip", "/bin/ip"),
    ("mount", "/bin/mount"),
    ("strace", "/bin/strace"),
    ("unshare", "/bin/unshare"),
];

/// Test programs that take minutes here and would take an hour there; the kernel's answers are not what they are about.
const ONLY_HERE: &[&str] = &["faults-"];

/// How long all tests may take in one kernel; without KVM they run some ten times slower than here.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs every suite in each of the kernels.
pub(super) fn run(kernels: &[&Kernel]) -> Result<Outcome> {
    let mut guest = Guest::new(LIMIT);
    guest.modules = MODULES.iter().copied().map(str::to_owned).collect();
    guest.env.push(("RUST_BACKTRACE".to_owned(), "1".to_owned()));
    for folder in DATA {
        guest.send_folder(&cargo::root().join(folder))?;
    }
    // Tests find data relative to their crate's folder, which must exist.
    for package in cargo::packages()?.iter().filter(|package| SUITES.contains(&package.name.as_str())) {
        guest.send_folder(&cargo::root().join(&package.dir).join("tests"))?;
    }
    for (program, place) in PROGRAMS.iter().filter_map(|(name, place)| Some((tools::find(name)?, place))) {
        guest.send(place, Content::File(program));
    }
    let mut script = "failed=0\n".to_owned();
    for (name, program) in build()? {
        if ONLY_HERE.iter().any(|start| name.starts_with(start)) {
            println!("skipped: {name}: takes too long in an emulated kernel");
            continue;
        }
        guest.send(&format!("/tests/{name}"), Content::Stripped(program));
        // One at a time: a test that counts system-wide things must not meet another one.
        writeln!(script, "echo \"suite {name}\"; /tests/{name} --show-output --test-threads=1 || failed=1")?;
    }
    script.push_str("exit $failed\n");
    guest.command = ["/bin/sh", "-c", &script].map(str::to_owned).to_vec();
    let mut notes = Vec::new();
    for kernel in kernels {
        let ran = run_in(kernel, &guest)?;
        let (output, errors) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        print!("{output}");
        eprint!("{errors}");
        let passed = passed_tests(&output);
        if ran.status != 0 || passed == 0 {
            bail!("kernel {}: status {}, {passed} tests passed", kernel.version, ran.status);
        }
        notes.push(format!("{passed} tests on {}", kernel.version));
    }
    Ok(Outcome::Done(notes.join(", ")))
}

/// Builds the programs: names and files.
fn build() -> Result<Vec<(String, PathBuf)>> {
    let mut command = cargo::cargo();
    command.args(["test", "--quiet", "--no-run", "--message-format=json", "--lib", "--tests"]);
    command.args(SUITES.iter().flat_map(|package| ["--package", package]));
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("cannot build the tests of {}", SUITES.join(", "));
    }
    Ok(test_programs(&String::from_utf8_lossy(&output.stdout)))
}

/// The test programs that cargo's messages name: file names and files.
fn test_programs(messages: &str) -> Vec<(String, PathBuf)> {
    let named = |program: PathBuf| Some((program.file_name()?.to_string_lossy().into_owned(), program));
    cargo::executables(messages).into_iter().filter_map(named).collect()
}

/// The sum of `N passed` over libtest's result lines.
pub(crate) fn passed_tests(output: &str) -> usize {
    let results = output.lines().filter_map(|line| line.strip_prefix("test result: "));
    let counts =
        results.filter_map(|line| line.split_once(". ")?.1.split_once(" passed")?.0.parse::<usize>().ok());
    counts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_tests_are_summed_over_programs() {
        let output =
            "test result: ok. 12 passed; 0 failed; 0 ignored\nx\ntest result: FAILED. 3 passed; 1 failed;\n";
        assert_eq!(passed_tests(output), 15);
        assert_eq!(passed_tests("running 0 tests"), 0);
    }

    #[test]
    fn programs_are_those_that_cargo_names() {
        let messages = "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"a\"},\"executable\":null}\nnoise\n\
                        {\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"b\"},\"executable\":\"/x/b-1\"}\n";
        assert_eq!(test_programs(messages), [("b-1".to_owned(), PathBuf::from("/x/b-1"))]);
    }
}
