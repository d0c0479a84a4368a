//! What the client writes: diagnostics on stderr, and results on stdout.
//!
//! Invariant: no function here is given a token, except [`print_result`].

use std::{
    borrow::Cow,
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
    sync::Arc,
    time::Duration,
};

/// A command that takes longer than this says what it is waiting for.
const PROGRESS_DELAY: Duration = Duration::from_secs(1);

/// Diagnostics, as the user wants them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Diagnostics {
    /// `--verbose`.
    pub is_verbose: bool,
}

impl Diagnostics {
    /// Reports a request, a retry or a cache decision, if the user wants to know.
    pub fn detail(self, text: impl Display) {
        if self.is_verbose {
            print_diagnostic(&format!("github-token-broker: {text}"));
        }
    }

    /// Reports something that went wrong but does not change the outcome.
    pub fn warn(self, text: impl Display) {
        print_diagnostic(&format!("github-token-broker: warning: {text}"));
    }
}

/// One line on stderr. Control characters are escaped.
pub fn print_diagnostic(text: &str) {
    // If stderr is closed, there is no other place to report to.
    let _ = writeln!(io::stderr(), "{}", escape(text));
}

/// The result of a command on stdout. The caller adds the final line break.
///
/// # Errors
/// stdout is closed or full.
pub fn print_result(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Whether stdout is a terminal on which the user wants colors: <https://no-color.org>.
pub fn stdout_has_color() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    io::stdout().is_terminal() && !is_set("NO_COLOR") && (cfg!(windows) || !is_dumb)
}

/// Replaces control characters and invisible format characters, so that the text stays on its line of the terminal.
pub fn escape(text: &str) -> Cow<'_, str> {
    let is_unsafe = |c: char| c.is_control() || is_invisible(c);
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Line separators and the marks that change the direction of text: a terminal obeys them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A message on the terminal while something takes long. It disappears when this is dropped.
pub struct Progress {
    ended: Option<std::sync::mpsc::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Progress {
    /// Shows `text` after one second, if stderr is a terminal.
    pub fn start(text: impl Into<Arc<str>>) -> Self {
        if !io::stderr().is_terminal() {
            return Self {
                ended: None,
                thread: None,
            };
        }
        let (text, (ended, end)) = (text.into(), std::sync::mpsc::channel());
        let thread = std::thread::spawn(move || {
            if end.recv_timeout(PROGRESS_DELAY).is_ok() {
                return;
            }
            let _ = write!(io::stderr(), "{}...", escape(&text));
            let _ = end.recv();
            // Back to the start of the line, and erase it.
            let _ = write!(io::stderr(), "\r\x1b[K");
        });
        Self {
            ended: Some(ended),
            thread: Some(thread),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.take() {
            let _ = ended.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escape("plain – text"), "plain – text");
        assert_eq!(escape("a\nb\x1b[31m\u{202e}"), "a\\nb\\u{1b}[31m\\u{202e}");
    }
}
