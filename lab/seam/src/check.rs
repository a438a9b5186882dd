//! What the exercise expected and what it found.

use alloc::format;
use alloc::string::String;
use core::fmt;
use skep_abi::Errno;
use skep_sys::CallError;

/// A step of the exercise that went otherwise than on Linux.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    /// What was done.
    pub step: &'static str,
    /// What should have come of it.
    pub wanted: String,
    /// What came of it.
    pub found: String,
    /// The kernel's errno where it was a call that failed.
    pub errno: Option<Errno>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: wanted {}, found {}", self.step, self.wanted, self.found)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Failure {}

/// Checks one value.
pub(crate) fn same<T: PartialEq + fmt::Debug>(
    step: &'static str,
    found: T,
    wanted: T,
) -> Result<(), Failure> {
    if found == wanted {
        return Ok(());
    }
    Err(Failure { step, wanted: format!("{wanted:?}"), found: format!("{found:?}"), errno: None })
}

/// Checks that a call succeeds.
pub(crate) fn done<T, E: Into<CallError>>(step: &'static str, result: Result<T, E>) -> Result<T, Failure> {
    result.map_err(|error| {
        let error = error.into();
        let errno = match error {
            CallError::Errno(errno) => Some(errno),
            CallError::Attr(_) => None,
        };
        Failure { step, wanted: "success".into(), found: format!("{error}"), errno }
    })
}

/// Checks that a call fails as it should.
pub(crate) fn fails<T>(
    step: &'static str,
    result: Result<T, CallError>,
    wanted: Errno,
) -> Result<(), Failure> {
    match result {
        Err(CallError::Errno(errno)) if errno == wanted => Ok(()),
        Err(CallError::Errno(errno)) => {
            Err(Failure { step, wanted: format!("{wanted}"), found: format!("{errno}"), errno: Some(errno) })
        }
        Err(error) => {
            Err(Failure { step, wanted: format!("{wanted}"), found: format!("{error}"), errno: None })
        }
        Ok(_) => Err(Failure { step, wanted: format!("{wanted}"), found: "success".into(), errno: None }),
    }
}
