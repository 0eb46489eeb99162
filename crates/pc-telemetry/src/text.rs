//! Fields of log lines for people, and where the lines go.
//!
//! The same text that the library's own formatter gives, without its detours: the access log is written for each request.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// Standard error without the lock of the standard library, which threads would wait for: each line is one write, and lines
/// of less than 4096 octets reach even a pipe in one piece (POSIX, PIPE_BUF).
///
/// # Errors
/// Of the duplication of its descriptor.
pub(crate) fn standard_error() -> io::Result<Arc<File>> {
    Ok(Arc::new(File::from(io::stderr().as_fd().try_clone_to_owned()?)))
}

/// `message name="text" name=value`.
pub(crate) struct TextFields;

impl<'writer> FormatFields<'writer> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = Visitor { writer, is_first: true, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct Visitor<'writer> {
    writer: Writer<'writer>,
    is_first: bool,
    result: fmt::Result,
}

impl Visitor<'_> {
    fn field(&mut self, field: &Field, write: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = self.try_field(field, write);
        }
    }

    fn try_field(
        &mut self,
        field: &Field,
        write: impl FnOnce(&mut Writer<'_>) -> fmt::Result,
    ) -> fmt::Result {
        if !std::mem::take(&mut self.is_first) {
            self.writer.write_char(' ')?;
        }
        if field.name() != MESSAGE {
            self.writer.write_str(field.name())?;
            self.writer.write_char('=')?;
        }
        write(&mut self.writer)
    }
}

/// The field that has no name in a line.
const MESSAGE: &str = "message";

impl Visit for Visitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            return self.record_debug(field, &format_args!("{value}"));
        }
        self.field(field, |writer| {
            if !value.bytes().all(|octet| matches!(octet, b' '..=b'~') && !matches!(octet, b'"' | b'\\')) {
                return write!(writer, "{value:?}");
            }
            writer.write_char('"')?;
            writer.write_str(value)?;
            writer.write_char('"')
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Libraries format their messages, perhaps from what peers sent, and nobody has escaped that.
        let is_message = field.name() == MESSAGE;
        self.field(field, |writer| match is_message {
            true => write!(writer, "{}", Printable(format_args!("{value:?}"))),
            false => write!(writer, "{value:?}"),
        });
    }
}

/// Control characters of a text as escapes; those of C1 begin sequences as well.
struct Printable<'a>(fmt::Arguments<'a>);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(formatter), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for run in text.split_inclusive(char::is_control) {
            match run.chars().next_back().filter(|last| last.is_control()) {
                Some(last) => {
                    self.0.write_str(run.strip_suffix(last).unwrap_or(run))?;
                    write!(self.0, "{}", last.escape_default())?;
                }
                None => self.0.write_str(run)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use pc_types::Escaped;
    use tracing::{Level, info, warn};

    use super::*;

    /// What is logged.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines_of(is_ours: bool) -> String {
        let lines = Lines::default();
        let to = lines.clone();
        let builder = tracing_subscriber::fmt()
            .with_max_level(Level::INFO)
            .with_writer(move || to.clone())
            .with_ansi(false)
            .with_target(false)
            .without_time();
        let log = || {
            info!(listener = "https 192.0.2.1:443", status = 200_u16, octets = u64::MAX, "request");
            info!(quoted = "say \"no\" \\ in C:\\", line = "a\r\nb\x1b[0m", empty = "", umlaut = "ü", "text");
            warn!(path = %Escaped::new("/a\nb"), error = ?"broken", is_so = true, below = -3_i64, part = 0.5, "of {} kinds", 2);
            info!("without fields");
        };
        if is_ours {
            tracing::subscriber::with_default(builder.fmt_fields(TextFields).finish(), log);
        } else {
            tracing::subscriber::with_default(builder.finish(), log);
        }
        let octets = lines.0.lock().unwrap().clone();
        String::from_utf8(octets).unwrap()
    }

    #[test]
    fn messages_of_libraries_forge_no_line_and_drive_no_terminal() {
        let lines = Lines::default();
        let to = lines.clone();
        let builder = tracing_subscriber::fmt()
            .with_writer(move || to.clone())
            .with_ansi(false)
            .with_target(false)
            .without_time();
        tracing::subscriber::with_default(builder.fmt_fields(TextFields).finish(), || {
            let sent = "a\r\nINFO b\x1b[2J\u{9b}1m";
            info!("peer said {sent}");
        });
        let octets = lines.0.lock().unwrap().clone();
        let text = String::from_utf8(octets).unwrap();
        assert_eq!(text, " INFO peer said a\\r\\nINFO b\\u{1b}[2J\\u{9b}1m\n");
    }

    #[test]
    fn lines_are_those_of_the_library() {
        let lines = lines_of(true);
        assert_eq!(lines, lines_of(false));
        assert_eq!(lines.lines().count(), 4);
        assert!(
            lines.contains(
                r#" request listener="https 192.0.2.1:443" status=200 octets=18446744073709551615"#
            ),
            "{lines}"
        );
    }
}
