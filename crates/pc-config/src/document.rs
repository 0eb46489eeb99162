//! Reading tables key by key: each reader takes what it knows, notes what is wrong, and at the end
//! names what nobody took.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::{Diagnostic, limits};

/// All mistakes found so far.
pub(crate) struct Diagnostics<'t> {
    text: &'t str,
    /// Where each line begins, so that a place is found without reading the text again.
    line_starts: Vec<usize>,
    found: Vec<Diagnostic>,
    omitted: usize,
}

impl<'t> Diagnostics<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let behind_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(behind_newlines).collect();
        Self { text, line_starts, found: Vec::new(), omitted: 0 }
    }

    /// Notes a mistake at an octet of the text.
    pub(crate) fn add(&mut self, at: usize, message: impl Into<String>) {
        if self.found.len() >= limits::DIAGNOSTICS_MAX {
            self.omitted += 1;
            return;
        }
        let at = at.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= at);
        let line_start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column = self.text.get(line_start..at).map_or(0, |line| line.chars().count()) + 1;
        self.found.push(Diagnostic { line, column, message: message.into() });
    }

    /// All of them in the order of the lines.
    pub(crate) fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.found.sort();
        self.found.dedup();
        if self.omitted > 0 {
            let line = self.line_starts.len();
            self.found.push(Diagnostic {
                line,
                column: 1,
                message: format!("{} more mistakes", self.omitted),
            });
        }
        self.found
    }
}

/// A table under reading.
pub(crate) struct Table<'a, 'i> {
    /// For messages: `[smtp]`.
    pub(crate) section: String,
    /// Where it stands.
    pub(crate) span: Range<usize>,
    table: &'a DeTable<'i>,
    known: BTreeSet<&'static str>,
}

impl<'a, 'i> Table<'a, 'i> {
    pub(crate) fn new(section: &str, span: Range<usize>, table: &'a DeTable<'i>) -> Self {
        Self { section: section.to_owned(), span, table, known: BTreeSet::new() }
    }

    /// Whether the key stands there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether something stands at the end of a path of keys, be it right or wrong, and no empty list.
    pub(crate) fn has_any(&self, path: &[&str]) -> bool {
        let Some((last, before)) = path.split_last() else { return false };
        let table = before.iter().try_fold(self.table, |table, key| table.get(*key)?.get_ref().as_table());
        let value = table.and_then(|table| table.get(*last)).map(Spanned::get_ref);
        value.is_some_and(|value| value.as_array().is_none_or(|entries| !entries.is_empty()))
    }

    /// Where a key's value stands; the beginning without one.
    pub(crate) fn place_of(&self, key: &str) -> usize {
        self.table.get(key).map_or(0, |value| value.span().start)
    }

    /// Notes a mistake of a key's value, or of the table when the key is missing.
    pub(crate) fn fault(&self, key: &str, diagnostics: &mut Diagnostics<'_>, message: &str) {
        let at = self.table.get(key).map_or(self.span.start, |value| value.span().start);
        diagnostics.add(at, format!("{} {key}: {message}", self.section));
    }

    /// Takes a value whatever its type.
    pub(crate) fn value(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'i>>> {
        self.known.insert(key);
        self.table.get(key)
    }

    /// Takes a value that `read` understands; `want` completes "must be …".
    pub(crate) fn take<T>(
        &mut self,
        key: &'static str,
        diagnostics: &mut Diagnostics<'_>,
        want: &str,
        read: impl FnOnce(&'a DeValue<'i>) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(key)?;
        let taken = read(value.get_ref());
        if taken.is_none() {
            self.fault(key, diagnostics, &format!("must be {want}"));
        }
        taken
    }

    /// Takes a text that is not empty.
    pub(crate) fn text(&mut self, key: &'static str, diagnostics: &mut Diagnostics<'_>) -> Option<String> {
        self.take(key, diagnostics, "a text in quotes that is not empty", |value| {
            value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
        })
    }

    /// Takes a text that `parse` understands.
    pub(crate) fn parsed<T>(
        &mut self,
        key: &'static str,
        diagnostics: &mut Diagnostics<'_>,
        want: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.take(key, diagnostics, want, |value| value.as_str().and_then(parse))
    }

    /// Takes a whole number in a range.
    pub(crate) fn number(
        &mut self,
        key: &'static str,
        diagnostics: &mut Diagnostics<'_>,
        range: &RangeInclusive<u64>,
    ) -> Option<u64> {
        let want = format!("a whole number from {} to {}", range.start(), range.end());
        self.take(key, diagnostics, &want, |value| number(value).filter(|number| range.contains(number)))
    }

    /// Takes true or false.
    pub(crate) fn truth(&mut self, key: &'static str, diagnostics: &mut Diagnostics<'_>) -> Option<bool> {
        self.take(key, diagnostics, "true or false", DeValue::as_bool)
    }

    /// Takes a list in which `read` understands every entry; each one that it does not is a mistake
    /// at its own place.
    pub(crate) fn list<T>(
        &mut self,
        key: &'static str,
        diagnostics: &mut Diagnostics<'_>,
        want: &str,
        read: impl Fn(&'a DeValue<'i>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let value = self.value(key)?;
        let Some(array) = value.get_ref().as_array() else {
            self.fault(key, diagnostics, &format!("must be a list, each entry {want}"));
            return None;
        };
        let mut list = Vec::new();
        let mut is_sound = true;
        for entry in array.iter() {
            match read(entry.get_ref()) {
                Some(entry) => list.push(entry),
                None => {
                    is_sound = false;
                    let message = format!("{} {key}: each entry must be {want}", self.section);
                    diagnostics.add(entry.span().start, message);
                }
            }
        }
        is_sound.then_some(list)
    }

    /// Takes a table of its own.
    pub(crate) fn table(
        &mut self,
        key: &'static str,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Option<Table<'a, 'i>> {
        let value = self.value(key)?;
        match value.get_ref().as_table() {
            Some(table) => Some(Table::new(&format!("[{key}]"), value.span(), table)),
            None => {
                diagnostics.add(value.span().start, format!("{key}: must be a section, [{key}]"));
                None
            }
        }
    }

    /// Takes a list of tables, `[[name]]`.
    pub(crate) fn tables(
        &mut self,
        key: &'static str,
        name: &str,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Vec<Table<'a, 'i>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let section = format!("[[{name}]]");
        let mut tables = Vec::new();
        let entries = value.get_ref().as_array().map(|array| array.iter());
        let Some(entries) = entries else {
            diagnostics.add(value.span().start, format!("{key}: must be written as {section}"));
            return tables;
        };
        for entry in entries {
            match entry.get_ref().as_table() {
                Some(table) => tables.push(Table::new(&section, entry.span(), table)),
                None => diagnostics.add(entry.span().start, format!("{key}: each entry must be a table")),
            }
        }
        tables
    }

    /// Names every key that nobody took.
    pub(crate) fn finish(self, diagnostics: &mut Diagnostics<'_>) {
        for (key, _) in self.table.iter() {
            let name: &str = key.get_ref().as_ref();
            if self.known.contains(name) {
                continue;
            }
            let section = if self.section.is_empty() { String::new() } else { format!("{} ", self.section) };
            let near = self.known.iter().min_by_key(|known| distance(known, name));
            let hint = match near {
                Some(near) if distance(near, name) <= name.len() / 3 + 1 => format!("; did you mean {near}?"),
                _ => String::new(),
            };
            diagnostics.add(key.span().start, format!("{section}{name}: no such setting{hint}"));
        }
    }
}

/// A whole number that is not negative.
pub(crate) fn number(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// How many letters must change to make one word the other (Levenshtein), for short words.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.chars().take(64).enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        for (other, cell) in to.iter().zip(row.iter_mut().skip(1)) {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = *cell;
            left = changed.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}
