//! A part of the objects: what takes too long at once is done in several goes, or by several machines.

/// The `number`-th of `count` parts, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shard {
    number: usize,
    count: usize,
}

/// Reads `K/N`.
pub(super) fn parse(text: &str) -> Result<Shard, String> {
    let parts =
        text.split_once('/').and_then(|(number, count)| Some((number.parse().ok()?, count.parse().ok()?)));
    match parts {
        Some((number, count)) if (1..=count).contains(&number) => Ok(Shard { number, count }),
        _ => Err(format!("wanted a part and the number of parts, such as 2/8, found `{text}`")),
    }
}

impl Shard {
    /// Every `count`-th: those that take long stand together by name, and so come to different parts.
    pub(super) fn of<T>(self, all: Vec<T>) -> Vec<T> {
        all.into_iter().skip(self.number - 1).step_by(self.count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_all_that_there_is_and_each_once() {
        let parts = (1..=3).flat_map(|number| Shard { number, count: 3 }.of((0..8).collect()));
        let mut parts: Vec<u32> = parts.collect();
        assert_eq!(parts[..3], [0, 3, 6]);
        parts.sort_unstable();
        assert_eq!(parts, (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn a_part_is_one_of_those_that_there_are() {
        assert_eq!(parse("2/8"), Ok(Shard { number: 2, count: 8 }));
        for bad in ["", "1", "0/2", "3/2", "1/0", "a/2", "1/-2"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
