//! Kernel versions, as far as the tables tell them apart.

use core::fmt;

/// A Linux version without its patch level, like 6.18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The first number.
    pub major: u8,
    /// The second number.
    pub minor: u8,
}

impl Version {
    /// The version whose answers the embedded kernel gives.
    pub const LINUX_6_18: Self = Self::new(6, 18);

    /// Makes a version of its two numbers.
    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }

    /// Reads the start of a release like `6.12.9-amd64`, or of `v5.8`; `None` without two numbers that fit.
    pub fn parse(release: &str) -> Option<Self> {
        let mut numbers = release.strip_prefix('v').unwrap_or(release).split('.');
        let major = numbers.next()?.parse().ok()?;
        let rest = numbers.next()?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        Some(Self { major, minor: rest[..digits].parse().ok()? })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Makes a [`Version`]; short because every row of every table has one.
pub(crate) const fn v(major: u8, minor: u8) -> Version {
    Version::new(major, minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_releases() {
        assert_eq!(Version::parse("6.12.9-amd64"), Some(v(6, 12)));
        assert_eq!(Version::parse("v5.8"), Some(v(5, 8)));
        assert_eq!(Version::parse("6.18-rc1"), Some(v(6, 18)));
        for bad in ["", "6", "6.", "x.y", "999.1", "6.999", "-1.2"] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
        assert!(v(5, 15) < v(6, 0));
    }
}
