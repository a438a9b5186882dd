//! What runs in a guest, and the file system it finds there.

use super::archive::Archive;
use super::kernels::{Image, module_bytes};
use crate::{files, tools};
use anyhow::{Context, Result, anyhow, bail};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A file's bytes, or where they are.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// A file of this machine. If it is a program with shared libraries, these come along.
    File(PathBuf),
    /// A program of this machine and its shared libraries, without what only debuggers read: the guest unpacks files to memory,
    /// half of which they may fill, and emulated at that.
    Stripped(PathBuf),
    /// These bytes.
    Bytes(Vec<u8>),
}

/// A command and what it needs.
#[derive(Debug, Clone)]
pub(crate) struct Guest {
    /// The program, by its path in the guest, and its arguments. busybox's commands are in `/bin`.
    pub(crate) command: Vec<String>,
    /// Kernel modules to load first.
    pub(crate) modules: Vec<String>,
    /// Variables for the command.
    pub(crate) env: Vec<(String, String)>,
    /// How long it may take, boot included.
    pub(crate) timeout: Duration,
    /// Where its output goes while it runs, so that what there was is kept whatever happens to it.
    pub(crate) output: Option<PathBuf>,
    files: Vec<(String, Content)>,
}

impl Guest {
    /// A guest that does nothing yet.
    pub(crate) fn new(timeout: Duration) -> Self {
        let (command, modules, env, files) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { command, modules, env, timeout, output: None, files }
    }

    /// Puts a file at `path`; all files are executable there.
    pub(crate) fn send(&mut self, path: &str, content: Content) {
        self.files.push((path.to_owned(), content));
    }

    /// Sends all files below a folder, each to the path that it has here.
    pub(crate) fn send_folder(&mut self, folder: &Path) -> Result<()> {
        for file in files::below(folder)? {
            self.send(&file.to_string_lossy(), Content::Bytes(fs::read(&file)?));
        }
        Ok(())
    }

    /// The archive that the kernel unpacks and whose `/init` it runs.
    pub(super) fn initramfs(&self, image: &Image) -> Result<Vec<u8>> {
        if self.command.is_empty() {
            bail!("a guest without a command");
        }
        let mut archive = Archive::default();
        for folder in ["proc", "sys", "dev", "tmp", "run", "root", "bin", "modules"] {
            archive.folder(folder);
        }
        // What the kernel opens for /init before anything can mount /dev (init/main.c, console_on_rootfs).
        archive.device("dev/console", 5, 1);
        let busybox = tools::need("busybox").map_err(|missing| anyhow!(missing))?;
        add_program(&mut archive, "bin/busybox", &busybox)?;
        let config = image.config.file_name().context("the configuration has no name")?.to_string_lossy();
        archive.file(&format!("boot/{config}"), &fs::read(&image.config)?);
        let mut loads = Vec::new();
        for file in self.module_files(image)? {
            let place = format!("/modules/{:02}.ko", loads.len());
            archive.file(&place, &module_bytes(&file)?);
            loads.push(place);
        }
        for (path, content) in &self.files {
            match content {
                Content::Bytes(bytes) => archive.file(path, bytes),
                Content::File(file) => add_program(&mut archive, path, file)?,
                Content::Stripped(file) => {
                    if let Some(bytes) = stripped(file) {
                        archive.file(path, &bytes);
                        add_libraries(&mut archive, file)?;
                    } else {
                        add_program(&mut archive, path, file)?;
                    }
                }
            }
        }
        archive.file("init", init_script(&loads).as_bytes());
        archive.file("command", self.command_script()?.as_bytes());
        Ok(archive.finish())
    }

    fn module_files(&self, image: &Image) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for name in &self.modules {
            for file in image.module_files(name)? {
                if !files.contains(&file) {
                    files.push(file);
                }
            }
        }
        Ok(files)
    }

    fn command_script(&self) -> Result<String> {
        let mut script = "#!/bin/sh\nexport PATH=/bin HOME=/root TMPDIR=/tmp\ncd /root\n".to_owned();
        for (name, value) in &self.env {
            writeln!(script, "export {name}={}", quoted(value))?;
        }
        let words: Vec<_> = self.command.iter().map(|word| quoted(word)).collect();
        writeln!(script, "exec {}", words.join(" "))?;
        Ok(script)
    }
}

/// The first process: mounts what programs expect, runs the command on its own serial lines, and powers the machine off.
fn init_script(modules: &[String]) -> String {
    let mut script = "#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tracefs trace /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
ip link set lo up
for line in 1 2 3; do stty -F /dev/ttyS$line raw -echo; done
"
    .to_owned();
    for module in modules {
        script += &format!("insmod {module} || exit\n");
    }
    script += "/command </dev/null >/dev/ttyS1 2>/dev/ttyS2
echo $? >/dev/ttyS3
poweroff -f
";
    script
}

/// Adds a file and, if it is a dynamic program, its interpreter and libraries at the paths where it looks for them.
fn add_program(archive: &mut Archive, place: &str, file: &Path) -> Result<()> {
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    archive.file(place, &bytes);
    if !bytes.starts_with(b"\x7fELF") {
        return Ok(());
    }
    add_libraries(archive, file)
}

fn add_libraries(archive: &mut Archive, file: &Path) -> Result<()> {
    let file = file.canonicalize()?;
    let output =
        Command::new("ldd").arg(&file).env_remove("LD_PRELOAD").output().context("cannot run ldd")?;
    // It fails on static programs, which have no libraries to list.
    let listed = if output.status.success() {
        String::from_utf8_lossy(&output.stdout).into_owned()
    } else {
        String::new()
    };
    for library in libraries(&listed)? {
        let bytes = fs::read(&library).with_context(|| library.clone())?;
        archive.file(&library, &bytes);
    }
    Ok(())
}

/// A program without what only debuggers read, where `strip` is here and takes it.
fn stripped(file: &Path) -> Option<Vec<u8>> {
    let strip = tools::find("strip")?;
    // It seeks in its output, so that a pipe will not do.
    let name = format!("skep-strip-{}-{:?}", std::process::id(), std::thread::current().id());
    let output = std::env::temp_dir().join(name);
    let status = Command::new(strip).args(["--strip-debug", "-o"]).arg(&output).arg(file).status();
    let bytes = fs::read(&output);
    // Nothing is there to be removed where it failed.
    let _ = fs::remove_file(&output);
    status.is_ok_and(|status| status.success()).then_some(bytes.ok()?)
}

/// The absolute paths in the output of ldd.
fn libraries(listed: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for line in listed.lines() {
        if line.contains("not found") {
            bail!("a program to send misses a library:{line}");
        }
        found.extend(line.split_whitespace().find(|word| word.starts_with('/')).map(str::to_owned));
    }
    Ok(found)
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_the_paths_that_ldd_prints() {
        let listed =
            "\tlinux-vdso.so.1 (0x7ffd)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x7f)\n\t/lib64/ld.so.2 (0x7f)\n";
        assert_eq!(libraries(listed).expect("paths"), ["/lib/x/libc.so.6", "/lib64/ld.so.2"]);
        assert!(libraries("\tlibx.so => not found\n").is_err());
        assert!(libraries("\tstatically linked\n").expect("none").is_empty());
    }

    #[test]
    fn words_reach_the_command_as_they_are() {
        let mut guest = Guest::new(Duration::ZERO);
        guest.command = vec!["/bin/echo".to_owned(), "it's $HOME".to_owned()];
        assert!(guest.command_script().expect("a script").ends_with("exec '/bin/echo' 'it'\\''s $HOME'\n"));
    }
}
