//! Reading and loading objects, beside other loaders.

mod cases;

use crate::pairs;

/// Measures every case and prints its line.
pub(crate) fn measure(rounds: u32) {
    pairs::measure(&cases::all(), rounds);
}
