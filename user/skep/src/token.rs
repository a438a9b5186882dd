//! Rights that somebody with more of them lends to the processes of a user namespace: a BPF file system mounted with
//! `delegate_*` options, and a token made of it that goes with the calls that make things (kernel/bpf/token.c, Linux 6.9).

use crate::error::{Error, Result};
use crate::rights::Lack;
use crate::{Instead, Kernel, Note};
use skep_abi::{Cmd, Errno};
use skep_sys::{CallError, Fd, Handle, OpenMode};
use std::sync::OnceLock;

/// Where the BPF file system is, where nobody says another place.
const DEFAULT_PATH: &str = "/sys/fs/bpf";
/// The variable that says another place, to libbpf too; empty where no token is to be used.
#[cfg(all(feature = "linux", target_os = "linux"))]
const VARIABLE: &str = "LIBBPF_BPF_TOKEN_PATH";

/// The token of a kernel value: where it comes from, and itself once it was made.
#[derive(Default)]
pub(crate) struct Tokens {
    source: Source,
    made: OnceLock<Made>,
}

/// Where a token comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Source {
    /// Of the usual place, when a call was refused without one.
    #[default]
    WhenRefused,
    /// Of this place, or nothing is loaded.
    Path(String),
    /// None is used.
    Nowhere,
}

/// A token, or which call was refused, and how.
type Made = std::result::Result<Token, (&'static str, CallError)>;

/// A token.
struct Token {
    handle: Handle,
    path: String,
}

impl Tokens {
    /// Takes the place from the environment.
    #[cfg(all(feature = "linux", target_os = "linux"))]
    pub(crate) fn of_environment() -> Tokens {
        let source = match std::env::var(VARIABLE) {
            Err(_) => Source::WhenRefused,
            Ok(path) if path.is_empty() => Source::Nowhere,
            Ok(path) => Source::Path(path),
        };
        Tokens { source, made: OnceLock::new() }
    }

    fn path(&self) -> Option<&str> {
        match &self.source {
            Source::WhenRefused => Some(DEFAULT_PATH),
            Source::Path(path) => Some(path),
            Source::Nowhere => None,
        }
    }
}

impl Kernel {
    /// Gives the same kernel, asked with the rights that the BPF file system mounted at `path` delegates (Linux 6.9): maps,
    /// programs and types that are made through it come with a token. What is known of its features is asked anew, since with
    /// other rights there are other answers.
    ///
    /// Without this, a kernel that refuses (`EPERM`) is asked again with a token of `/sys/fs/bpf`, where there is one to be had.
    /// [`Kernel::linux`] takes another place from the environment variable `LIBBPF_BPF_TOKEN_PATH`, which a load then insists on.
    ///
    /// # Errors
    /// Where no token can be made: `ENOENT` where nothing is mounted there or nothing is delegated, `EPERM` outside of the user
    /// namespace that it was mounted for or without `CAP_BPF` in it, `EOPNOTSUPP` where that is the initial one, `EINVAL` where
    /// it is no BPF file system's root, and before Linux 6.9.
    pub fn with_token(&self, path: &str) -> Result<Kernel> {
        let kernel =
            self.with_tokens(Tokens { source: Source::Path(path.to_owned()), made: OnceLock::new() });
        kernel.insist_on_token()?;
        Ok(kernel)
    }

    /// Gives the same kernel, asked with this process's own rights only.
    pub fn without_token(&self) -> Kernel {
        self.with_tokens(Tokens { source: Source::Nowhere, made: OnceLock::new() })
    }

    /// Makes the token that somebody has asked for, if so.
    pub(crate) fn insist_on_token(&self) -> Result<()> {
        let Source::Path(path) = &self.tokens().source else { return Ok(()) };
        match self.made(path) {
            Ok(_) => Ok(()),
            Err((call, error)) => Err(Error::call(call, *error).at_path(path)),
        }
    }

    /// Makes a call that locks memory and may come with a token.
    pub(crate) fn permitted<T>(
        &self,
        mut call: impl FnMut(Option<Fd>) -> std::result::Result<T, CallError>,
    ) -> std::result::Result<T, CallError> {
        self.delegated(|token| self.locking(|| call(token)))
    }

    /// Makes a call that may come with a token: without one first, unless one has been made or asked for.
    pub(crate) fn delegated<T>(
        &self,
        mut call: impl FnMut(Option<Fd>) -> std::result::Result<T, CallError>,
    ) -> std::result::Result<T, CallError> {
        let tokens = self.tokens();
        let known = match &tokens.source {
            Source::Path(path) => Some(self.made(path)),
            _ => tokens.made.get(),
        };
        if let Some(Ok(token)) = known {
            return call(Some(token.handle.fd()));
        }
        let answer = call(None);
        match (&answer, known, tokens.path()) {
            (Err(CallError::Errno(Errno::EPERM)), None, Some(path)) => match self.made(path) {
                Ok(token) => call(Some(token.handle.fd())),
                Err(_) => answer,
            },
            _ => answer,
        }
    }

    fn made(&self, path: &str) -> &Made {
        self.tokens().made.get_or_init(|| {
            let folder = self.sys().file_open(path, OpenMode::Directory).map_err(|error| ("open", error))?;
            let handle = self.sys().token_create(&folder).map_err(|error| ("BPF_TOKEN_CREATE", error))?;
            Ok(Token { handle, path: path.to_owned() })
        })
    }

    /// Tells whether calls come with a token.
    pub(crate) fn has_token(&self) -> bool {
        matches!(self.tokens().made.get(), Some(Ok(_)))
    }

    /// Says that a token was found where nobody asked for one.
    pub(crate) fn token_note(&self) -> Option<Note> {
        let Some(Ok(token)) = self.tokens().made.get() else { return None };
        Some(Note::new(None, Instead::Token).because(format!("of {}", token.path)))
    }

    /// Finds what a token does not delegate, or why there is none.
    pub(crate) fn token_lacks(&self, wanted: &[Delegated]) -> Vec<Lack> {
        let tokens = self.tokens();
        match (tokens.made.get(), tokens.path()) {
            (Some(Ok(token)), _) => {
                // Numbers of descriptors are those of `/proc` where tokens are.
                let path = format!("/proc/self/fdinfo/{}", token.handle.fd().raw());
                let Ok(info) = self.read_text(&path) else { return Vec::new() };
                let missing = wanted.iter().filter(|one| !one.is_in(&info));
                missing.map(|one| Lack::Delegation { option: one.kind.option(), value: one.name() }).collect()
            }
            (Some(Err((_, error))), Some(path)) => {
                vec![Lack::InitialUserNamespace, Lack::Token { path: path.to_owned(), errno: error.errno() }]
            }
            _ => vec![Lack::InitialUserNamespace],
        }
    }
}

/// What a BPF file system delegates, each as a set of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    Commands,
    Maps,
    Programs,
    Attaching,
}

impl Set {
    /// The option that such a file system is mounted with (kernel/bpf/inode.c, `bpf_fs_parameters`).
    fn option(self) -> &'static str {
        match self {
            Set::Commands => "delegate_cmds",
            Set::Maps => "delegate_maps",
            Set::Programs => "delegate_progs",
            Set::Attaching => "delegate_attachs",
        }
    }

    /// How a token's fdinfo calls it (`bpf_token_show_fdinfo`), and how Linux's names of its numbers begin.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Set::Commands => ("allowed_cmds:", "BPF_"),
            Set::Maps => ("allowed_maps:", "BPF_MAP_TYPE_"),
            Set::Programs => ("allowed_progs:", "BPF_PROG_TYPE_"),
            Set::Attaching => ("allowed_attachs:", "BPF_"),
        }
    }
}

/// One thing that has to be delegated.
#[derive(Clone, Debug)]
pub(crate) struct Delegated {
    kind: Set,
    number: u32,
    /// Linux's name.
    name: String,
}

impl Delegated {
    pub(crate) fn new(kind: Set, number: u32, name: impl ToString) -> Delegated {
        Delegated { kind, number, name: name.to_string() }
    }

    pub(crate) fn command(cmd: Cmd) -> Delegated {
        Delegated::new(Set::Commands, cmd.0, cmd)
    }

    /// Tells whether a token with this fdinfo delegates it.
    fn is_in(&self, info: &str) -> bool {
        let (key, _) = self.kind.words();
        let value = info.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let digits = match value {
            Some("any") => return true,
            Some(value) => value.strip_prefix("0x").unwrap_or(value),
            None => return true,
        };
        u64::from_str_radix(digits, 16)
            .is_ok_and(|bits| bits.checked_shr(self.number).is_some_and(|b| b & 1 != 0))
    }

    /// Its name as mount options have it: small letters, without what all of its kind begin with.
    fn name(&self) -> String {
        match self.name.strip_prefix(self.kind.words().1) {
            Some(name) => name.to_ascii_lowercase(),
            None => format!("{:#x}", 1u64.checked_shl(self.number).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_abi::{AttachType, MapType, ProgType};

    #[test]
    fn what_is_delegated_is_read() {
        let info =
            "pos:\t0\nallowed_cmds:\t0x21\nallowed_maps:\tany\nallowed_progs:\t0x40\nallowed_attachs:\t0x0\n";
        let command = |cmd| Delegated::command(cmd).is_in(info);
        assert!(command(Cmd::MAP_CREATE) && command(Cmd::PROG_LOAD));
        assert!(!command(Cmd::BTF_LOAD) && !command(Cmd(64)));
        let map = Delegated::new(Set::Maps, MapType::RINGBUF.0, MapType::RINGBUF);
        let xdp = Delegated::new(Set::Programs, ProgType::XDP.0, ProgType::XDP);
        let attach = Delegated::new(Set::Attaching, AttachType::XDP.0, AttachType::XDP);
        assert!(map.is_in(info) && xdp.is_in(info) && !attach.is_in(info));
        assert!(attach.is_in(""), "a kernel that does not tell");
    }

    #[test]
    fn names_are_those_of_mount_options() {
        assert_eq!(Delegated::command(Cmd::PROG_LOAD).name(), "prog_load");
        assert_eq!(Delegated::new(Set::Maps, 27, MapType::RINGBUF).name(), "ringbuf");
        assert_eq!(Delegated::new(Set::Programs, 6, ProgType::XDP).name(), "xdp");
        assert_eq!(
            Delegated::new(Set::Attaching, 0, AttachType::CGROUP_INET_INGRESS).name(),
            "cgroup_inet_ingress"
        );
        assert_eq!(Delegated::new(Set::Maps, 4, "?").name(), "0x10");
    }
}
