//! QEMU, started for one run.

use super::Guest;
use crate::tools;
use anyhow::{Context, Result, anyhow, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How a guest's command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit status, as a shell says it (128 and the signal's number after a signal).
    pub(crate) status: i32,
    /// What it printed.
    pub(crate) stdout: Vec<u8>,
    /// What it printed as errors.
    pub(crate) stderr: Vec<u8>,
    /// What the kernel and `/init` printed.
    pub(crate) console: Vec<u8>,
}

/// Lines of the console that an error shows.
const CONSOLE_LINES: usize = 30;

/// How often a running machine is looked at.
const POLL: Duration = Duration::from_millis(20);

/// All that can be emulated, but for fast strings: a kernel that is told of them copies and clears by `rep movsb` and
/// `rep stosb`, which the emulator does byte by byte.
const PROCESSOR: &str = "max,-erms,-fsrm";

/// What the kernel is told. A panic ends the machine at once instead of hanging; the clock source is what the emulator keeps
/// well. Whether the timer works is not asked: the answer comes too late where the emulator gets little of a processor, and
/// 5.10 panics then.
const APPEND: &str =
    "console=ttyS0 quiet panic=-1 8250.nr_uarts=4 mitigations=off tsc=reliable no_timer_check";

/// The serial lines, in the order of their numbers in the guest.
const LINES: [&str; 4] = ["console", "stdout", "stderr", "status"];

/// Boots a Linux kernel and returns what came over the serial lines.
pub(super) fn boot(vmlinuz: &Path, initramfs: &[u8], guest: &Guest) -> Result<Ran> {
    let scratch = Scratch::new()?;
    fs::write(scratch.0.join("initramfs"), initramfs)?;
    let place = |line: &str| match (line, &guest.output) {
        ("stdout", Some(output)) => output.clone(),
        _ => scratch.0.join(line),
    };
    let mut command = emulator()?;
    command.args(["-M", "q35", "-m", "2048", "-smp", "2", "-no-reboot"]);
    command.arg("-kernel").arg(vmlinuz).arg("-initrd").arg(scratch.0.join("initramfs"));
    command.args(["-append", APPEND]);
    for line in LINES {
        command.arg("-serial").arg(format!("file:{}", place(line).display()));
    }
    let ended = wait(&mut spawn(&mut command)?, guest.timeout)?;
    let read = |line: &str| fs::read(place(line)).with_context(|| format!("serial line {line}"));
    let console = read("console")?;
    let status = String::from_utf8_lossy(&read("status")?).trim().parse::<i32>();
    match (status, ended) {
        (Ok(status), _) => Ok(Ran { status, stdout: read("stdout")?, stderr: read("stderr")?, console }),
        (Err(_), None) => {
            bail!("no end after {} s; its console ends:\n{}", guest.timeout.as_secs(), tail(&console))
        }
        (Err(_), Some(_)) => {
            bail!("the guest ended without an exit status; its console ends:\n{}", tail(&console))
        }
    }
}

/// Boots a program of our own through its PVH note, and returns QEMU's exit status (none at the limit) and what came over
/// the serial line.
pub(crate) fn boot_bare(program: &Path, timeout: Duration) -> Result<(Option<i32>, String)> {
    let scratch = Scratch::new()?;
    let line = scratch.0.join("serial");
    let mut command = emulator()?;
    command.args(["-M", "q35", "-m", "256", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]);
    command.arg("-serial").arg(format!("file:{}", line.display())).arg("-kernel").arg(program);
    let ended = wait(&mut spawn(&mut command)?, timeout)?;
    let output = fs::read(&line).context("serial line")?;
    Ok((ended.and_then(|status| status.code()), String::from_utf8_lossy(&output).into_owned()))
}

/// A QEMU command without devices, screen or default configuration.
fn emulator() -> Result<Command> {
    let mut command = Command::new(tools::need("qemu-system-x86_64").map_err(|missing| anyhow!(missing))?);
    command.args(["-accel", "tcg,thread=multi", "-cpu", PROCESSOR, "-nodefaults", "-no-user-config"]);
    command.args(["-display", "none", "-monitor", "none"]);
    Ok(command)
}

fn spawn(command: &mut Command) -> Result<Child> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .context("cannot start QEMU")
}

/// Waits for the machine to end; ends it at the limit, and then says nothing.
fn wait(child: &mut Child, timeout: Duration) -> Result<Option<ExitStatus>> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begin.elapsed() > timeout {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(POLL);
    }
}

fn tail(console: &[u8]) -> String {
    let text = String::from_utf8_lossy(console);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(CONSOLE_LINES)..].join("\n")
}

/// A folder that goes away with the run.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("skep-boot-{}-{count}", std::process::id()));
        fs::create_dir(&dir).with_context(|| dir.display().to_string())?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
