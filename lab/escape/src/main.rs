//! Runs a campaign: `escape --count 1000`, `escape --for 20m`, `escape --seed 17 --way 3`.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod command;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() -> std::process::ExitCode {
    command::main()
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() {
    println!("skipped: escape: there is no machine code for this system");
}
