//! Numbers, and whether they are within their bounds.

use std::process::ExitCode;
use std::time::Duration;

use holdfast_e2e::Enforcer;

/// What was measured so far.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    exceeded: usize,
}

impl Figures {
    /// Prints one number, with `more` that has no bound.
    pub(crate) fn one(&mut self, what: &str, measured: Measured, bound: Measured, more: &str) {
        let is_exceeded = measured.number() > bound.number();
        self.exceeded += usize::from(is_exceeded);
        let verdict = if is_exceeded { "EXCEEDED" } else { "" };
        let (measured, bound) = (measured.to_string(), bound.to_string());
        println!("{what:64} {measured:>9}   at most {bound:>9}   {verdict:8} {more}");
    }

    /// Success, if nothing is over its bound.
    pub(crate) fn verdict(&self) -> ExitCode {
        match self.exceeded {
            0 => ExitCode::SUCCESS,
            exceeded => {
                eprintln!("bench: {exceeded} over the bound");
                ExitCode::FAILURE
            }
        }
    }
}

/// A number with its unit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Measured {
    /// Bytes.
    Memory(u64),
    Time(Duration),
    Requests(usize),
}

impl Measured {
    fn number(self) -> u128 {
        match self {
            Self::Memory(bytes) => bytes.into(),
            Self::Time(time) => time.as_nanos(),
            Self::Requests(count) => count as u128,
        }
    }
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory(bytes) => write!(f, "{} MB", megabytes(*bytes)),
            Self::Time(time) => write!(f, "{} ms", time.as_millis()),
            Self::Requests(count) => write!(f, "{count}"),
        }
    }
}

/// Millions of bytes, to a tenth.
fn megabytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// The memory of a process, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// What lies in memory now.
    pub(crate) resident: u64,
    anonymous: u64,
    file: u64,
    peak: u64,
}

impl Memory {
    pub(crate) fn of(enforcer: &Enforcer) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{}/status", enforcer.pid())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
            kibibytes * 1024
        };
        Self {
            resident: field("VmRSS:"),
            anonymous: field("RssAnon:"),
            file: field("RssFile:"),
            peak: field("VmHWM:"),
        }
    }

    /// What it is made of: the program's own text is in `file`, and shared with whoever else runs it.
    pub(crate) fn parts(self) -> String {
        let [own, file, peak] = [self.anonymous, self.file, self.peak].map(megabytes);
        format!("own {own}, of the file {file}; at most so far {peak}")
    }
}

/// The time that a process has had of the machine's processors.
pub(crate) fn processor_time(enforcer: &Enforcer) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", enforcer.pid())).unwrap();
    // The second field is a name in brackets, which may hold blanks; proc(5) counts from it on.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = |field: usize| fields[field - 3].parse::<u64>().unwrap();
    // Hundredths of a second, whatever the kernel itself counts by.
    Duration::from_millis(10 * (ticks(14) + ticks(15)))
}

/// The median, and the longest.
pub(crate) fn median(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], *times.last().unwrap())
}
