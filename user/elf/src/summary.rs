//! What a file's sections are, for people.

/// The sections of a file, in its order. Most of them are of no use to a load, which holds them in little memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sections {
    /// All names, one after the other.
    names: String,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    size: u64,
    /// Where its name ends.
    end: u32,
    code: bool,
}

/// One section, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionSummary<'s> {
    /// Its name.
    pub name: &'s str,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it holds instructions.
    pub code: bool,
}

impl Sections {
    pub(crate) fn of<'s>(sections: impl Iterator<Item = SectionSummary<'s>> + Clone) -> Sections {
        let mut all = Sections::default();
        all.names.reserve_exact(sections.clone().map(|section| section.name.len()).sum());
        all.rows.reserve_exact(sections.clone().count());
        for SectionSummary { name, size, code } in sections {
            all.names.push_str(name);
            all.rows.push(Row { size, end: all.names.len() as u32, code });
        }
        all
    }

    /// Gives how many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Gives one by its place, from 0.
    pub fn get(&self, index: usize) -> Option<SectionSummary<'_>> {
        let row = self.rows.get(index)?;
        let start =
            index.checked_sub(1).and_then(|before| self.rows.get(before)).map_or(0, |before| before.end);
        let name = self.names.get(start as usize..row.end as usize)?;
        Some(SectionSummary { name, size: row.size, code: row.code })
    }

    /// Lists them.
    pub fn iter(&self) -> impl Iterator<Item = SectionSummary<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_told_as_they_were_given() {
        let given = [("", 0, false), ("xdp", 16, true), ("license", 4, false)];
        let given = given.map(|(name, size, code)| SectionSummary { name, size, code });
        let sections = Sections::of(given.iter().copied());
        assert!(sections.iter().eq(given));
        assert_eq!((sections.len(), sections.is_empty(), sections.get(3)), (3, false, None));
        assert!(Sections::default().is_empty());
    }
}
