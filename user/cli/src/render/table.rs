//! Columns that line up.

use std::io::{self, Write};

/// Makes text of an object safe to print: what would move a terminal's cursor becomes U+FFFD.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A table of text.
pub(crate) struct Table {
    heads: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns and no rows.
    pub(crate) fn new(heads: &'static [&'static str]) -> Table {
        Table { heads, rows: Vec::new() }
    }

    /// Adds a row with as many cells as there are columns.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.heads.len(), "a cell for each column");
        self.rows.push(cells.iter().map(|cell| plain(cell)).collect());
    }

    /// Writes an empty line, the title and the rows; nothing if there are no rows. Columns that are empty throughout are left out.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn write(&self, title: &str, out: &mut dyn Write) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        writeln!(out, "\n{title}:")?;
        let cells = |column: usize| self.rows.iter().filter_map(move |row| row.get(column));
        let columns: Vec<usize> =
            (0..self.heads.len()).filter(|&column| cells(column).any(|cell| !cell.is_empty())).collect();
        let width = |column: usize| {
            let longest = cells(column).map(|cell| cell.chars().count()).max().unwrap_or(0);
            longest.max(self.heads[column].len())
        };
        let widths: Vec<usize> = columns.iter().map(|&column| width(column)).collect();
        let heads: Vec<&str> = columns.iter().map(|&column| self.heads[column]).collect();
        line(&heads, &widths, out)?;
        for row in &self.rows {
            let cells: Vec<&str> =
                columns.iter().map(|&column| row.get(column).map_or("", String::as_str)).collect();
            line(&cells, &widths, out)?;
        }
        Ok(())
    }
}

fn line(cells: &[&str], widths: &[usize], out: &mut dyn Write) -> io::Result<()> {
    let mut text = String::from(" ");
    for (cell, &width) in cells.iter().zip(widths) {
        text.push_str(&format!(" {cell:width$} "));
    }
    writeln!(out, "{}", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_columns_and_control_characters_are_left_out() {
        let mut table = Table::new(&["name", "notes", "size"]);
        table.row(["a\x1b[2J".to_owned(), String::new(), "7".to_owned()]);
        table.row(["longer than that".to_owned(), String::new(), String::new()]);
        let mut out = Vec::new();
        table.write("things", &mut out).unwrap();
        let wanted =
            "\nthings:\n  name              size\n  a\u{fffd}[2J             7\n  longer than that\n";
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
        Table::new(&["nothing"]).write("none", &mut Vec::new()).unwrap();
    }
}
