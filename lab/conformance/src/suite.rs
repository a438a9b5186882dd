//! A folder of the suite's files, on every engine.

use crate::case::{Case, Expect, Purpose};
use crate::run::{End, Way, execute};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What came of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// What must come of it came of it, in every way.
    Passed,
    /// Something else came of it.
    Failed(String),
    /// A program that must return was not assembled or not loaded: it has something in it that is not supported.
    Refused(String),
    /// It cannot be judged.
    PassedOver(String),
}

/// What came of all files, in the order of their paths.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Each file's verdict.
    pub files: Vec<(PathBuf, Verdict)>,
}

impl Report {
    /// Counts the files of one kind of verdict.
    pub fn count(&self, is_meant: impl Fn(&Verdict) -> bool) -> usize {
        self.files.iter().filter(|(_, verdict)| is_meant(verdict)).count()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Passed => f.write_str("pass"),
            Verdict::Failed(why) => write!(f, "FAIL: {why}"),
            Verdict::Refused(why) => write!(f, "refused: {why}"),
            Verdict::PassedOver(why) => write!(f, "passed over: {why}"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, verdict) in &self.files {
            writeln!(f, "{}: {verdict}", path.display())?;
        }
        let count = |is_meant: fn(&Verdict) -> bool| self.count(is_meant);
        write!(
            f,
            "{} passed, {} failed, {} refused, {} passed over",
            count(|verdict| *verdict == Verdict::Passed),
            count(|verdict| matches!(verdict, Verdict::Failed(_))),
            count(|verdict| matches!(verdict, Verdict::Refused(_))),
            count(|verdict| matches!(verdict, Verdict::PassedOver(_))),
        )
    }
}

/// Runs every `.data` file in a folder and in those below it. Files below a folder `negative` must fail.
///
/// # Errors
/// Those of reading.
pub fn run_folder(folder: &Path) -> io::Result<Report> {
    let mut paths = Vec::new();
    collect(folder, &mut paths)?;
    paths.sort();
    let mut report = Report::default();
    for path in paths {
        let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
        let is_negative = path.parent().is_some_and(|folder| folder.iter().any(|name| name == "negative"));
        let purpose = if is_negative { Purpose::Negative } else { Purpose::Positive };
        let verdict = match Case::parse(&text, purpose) {
            Ok(case) => judge(&case),
            Err(unreadable) => Verdict::PassedOver(unreadable.0),
        };
        report.files.push((path, verdict));
    }
    Ok(report)
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "data") {
            paths.push(path);
        }
    }
    Ok(())
}

/// Runs a case in every way, and compares.
pub fn judge(case: &Case) -> Verdict {
    let program = match (&case.program, case.expect) {
        (Ok(program), _) => program,
        (Err(why), Expect::Returns(_)) => return Verdict::Refused(why.clone()),
        (Err(_), Expect::Fails | Expect::ReturnsNot(_)) => return Verdict::Passed,
    };
    let run = |way| execute(way, program.clone(), &case.maps, &mut case.memory.clone());
    let ends: Vec<(Way, End)> = Way::all().map(|way| (way, run(way))).collect();
    if let (Expect::Returns(_), Some((_, End::Refused(why)))) = (case.expect, ends.first()) {
        if ends.iter().all(|(_, end)| matches!(end, End::Refused(_))) {
            return Verdict::Refused(why.clone());
        }
    }
    let fits = |end: &End| match (case.expect, end) {
        (Expect::Returns(wanted), End::Returned(found)) => wanted == *found,
        (Expect::ReturnsNot(unwanted), End::Returned(found)) => unwanted != *found,
        (Expect::Fails, End::Returned(_)) | (Expect::Returns(_), _) => false,
        (Expect::Fails | Expect::ReturnsNot(_), _) => true,
    };
    match ends.iter().find(|(_, end)| !fits(end)) {
        None => Verdict::Passed,
        Some((way, end)) => {
            let wanted = match case.expect {
                Expect::Returns(number) => format!("{number:#x}"),
                Expect::ReturnsNot(number) => format!("anything but {number:#x}"),
                Expect::Fails => "a refusal or a stop".to_owned(),
            };
            Verdict::Failed(format!("{way}: wanted {wanted}, found {end}"))
        }
    }
}
