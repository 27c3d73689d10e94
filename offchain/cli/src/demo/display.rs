//! The demo's progress, a line at a time.

use std::{io::IsTerminal, time::Duration};

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Line {
    /// Since the start.
    pub at: Duration,
    /// Who did it.
    pub who: &'static str,
    /// What.
    pub what: String,
}

/// Prints a line to standard error, so that standard output holds only the receipt.
pub(super) fn print(line: &Line) {
    let seconds = line.at.as_secs_f64();
    if std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        eprintln!("\x1b[2m{seconds:6.1} s\x1b[0m  \x1b[1m{:<10}\x1b[0m {}", line.who, line.what);
    } else {
        eprintln!("{seconds:6.1} s  {:<10} {}", line.who, line.what);
    }
}
