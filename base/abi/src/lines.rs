//! What a record of a source line holds in one field.

use crate::LineInfo;

/// Bits of the column, which stand below the line (include/uapi/linux/bpf.h, `BPF_LINE_INFO_LINE_COL`).
const COLUMN: u32 = 10;

impl LineInfo {
    /// Gives the number of the line, from 1.
    pub const fn line(&self) -> u32 {
        self.line_col >> COLUMN
    }

    /// Gives the number of the column, from 1; 0 where it is not known.
    pub const fn column(&self) -> u32 {
        self.line_col & ((1 << COLUMN) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_above_columns() {
        let info = LineInfo { line_col: 7 << 10 | 1023, ..LineInfo::default() };
        assert_eq!((info.line(), info.column()), (7, 1023));
    }
}
