//! The maps that a file wants: its lines, and the names that its program has for them and for Linux's helpers.

use skep_abi::{FuncId, MapType};
use skep_isa::text::Symbols;
use skep_machine::{Host, Map};
use skep_maps::{MapDef, create};
use std::sync::Arc;

/// The section `-- map`: a name, the type's number, the sizes of key and value, and the count in each line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maps(Vec<(String, MapDef)>);

/// A map, and the descriptor that a program names it by.
#[derive(Debug)]
pub struct Made {
    /// The descriptor.
    pub fd: i32,
    /// The map.
    pub map: Box<dyn Map>,
}

/// The descriptor of the first map; the others follow.
const FIRST_FD: i32 = 3;

impl Maps {
    /// Reads the section's lines; `#` begins a comment.
    ///
    /// # Errors
    /// Says which line is none, or names a map again.
    pub fn parse(text: &str) -> Result<Maps, String> {
        let mut maps = Maps::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            if words.is_empty() {
                continue;
            }
            let (name, def) = map(&words).ok_or_else(|| format!("`{line}` is no map"))?;
            if maps.position(name).is_some() {
                return Err(format!("there are two maps `{name}`"));
            }
            maps.0.push((name.to_owned(), def));
        }
        Ok(maps)
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes them.
    ///
    /// # Errors
    /// Says which map is not to be had.
    pub fn create(&self, host: &Arc<dyn Host>) -> Result<Vec<Made>, String> {
        let made = |(fd, (name, def)): (i32, &(String, MapDef))| match create(host, def) {
            Ok(map) => Ok(Made { fd, map }),
            Err(error) => Err(format!("map `{name}`: {error}")),
        };
        (FIRST_FD..).zip(&self.0).map(made).collect()
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|(known, _)| known == name)
    }
}

fn map<'t>(words: &[&'t str]) -> Option<(&'t str, MapDef)> {
    let [name, numbers @ ..] = words else { return None };
    let numbers: Vec<u32> = numbers.iter().map(|word| word.parse().ok()).collect::<Option<_>>()?;
    let &[map_type, key_size, value_size, max_entries] = numbers.as_slice() else { return None };
    let map_type = MapType(map_type);
    Some((name, MapDef { map_type, key_size, value_size, max_entries, flags: 0, extra: 0, numa_node: 0 }))
}

impl Symbols for Maps {
    /// Knows Linux's helpers, with their prefix, where there is a map: without one they have nothing to work on here.
    fn helper(&self, name: &str) -> Option<u32> {
        let known = name.strip_prefix("bpf_").and_then(FuncId::from_name);
        known.filter(|_| !self.is_empty()).map(|id| id.0)
    }

    fn constant(&self, name: &str) -> Option<i64> {
        self.position(name).and_then(|at| i64::try_from(at).ok()).map(|at| i64::from(FIRST_FD) + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_maps() {
        let maps = Maps::parse("# name type key value count\nfirst 2 4 8 3 # an array\n\nsecond 1 16 4 5\n")
            .unwrap();
        assert_eq!(
            (maps.constant("first"), maps.constant("second"), maps.constant("third")),
            (Some(3), Some(4), None)
        );
        let (name, def) = &maps.0[1];
        assert_eq!((name.as_str(), def.map_type), ("second", MapType::HASH));
        assert_eq!((def.key_size, def.value_size, def.max_entries), (16, 4, 5));
        assert_eq!(Maps::parse("\n# nothing\n"), Ok(Maps::default()));
    }

    #[test]
    fn what_is_no_map_is_said() {
        for line in ["one 2 4 4", "one 2 4 4 1 0", "one two 4 4 1", "one 2 4 -4 1"] {
            assert_eq!(Maps::parse(line), Err(format!("`{line}` is no map")));
        }
        assert_eq!(Maps::parse("one 2 4 4 1\none 1 4 4 1"), Err("there are two maps `one`".to_owned()));
    }

    #[test]
    fn helpers_have_their_numbers_where_there_are_maps() {
        let maps = Maps::parse("one 2 4 4 1").unwrap();
        assert_eq!(maps.helper("bpf_map_update_elem"), Some(2));
        assert_eq!((maps.helper("bpf_no_such"), maps.helper("map_update_elem")), (None, None));
        assert_eq!(Maps::default().helper("bpf_map_update_elem"), None);
    }
}
