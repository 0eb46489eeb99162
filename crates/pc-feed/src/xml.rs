//! # Purpose
//! XML as a document of bounded elements, one child of the document at a time.
//!
//! # Trust
//! Whoever writes the feed, or whoever stands between. Nothing is expanded: a document type declaration is
//! refused, and so is every entity but the five of XML and character references.
//!
//! # Standards
//! XML 1.0 without document types. Namespaces are not resolved; local names tell the elements apart.
//!
//! # Invariants
//! Depth, elements and text are bounded; nothing recurses. Memory is that of one child of the document.

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::facts::FeedError;
use crate::limits::{XML_DEPTH_MAX, XML_ELEMENTS_MAX, XML_TEXT_OCTETS_MAX};

/// An element with what is below it.
#[derive(Debug, Default)]
pub(crate) struct Element {
    /// Without its prefix.
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of a descendant.
    pub(crate) fn text_at(&self, path: &[&str]) -> Option<&str> {
        let found = path.iter().try_fold(self, |element, name| element.child(name))?;
        Some(found.text.trim()).filter(|text| !text.is_empty())
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Gives each child of the document element to `take`; returns the name of the document element.
pub(crate) fn children(
    text: &str,
    mut take: impl FnMut(Element) -> Result<(), FeedError>,
) -> Result<String, FeedError> {
    let mut reader = Reader::from_str(text);
    let mut document: Option<String> = None;
    // The open elements below the document element, outermost first.
    let mut open: Vec<Element> = Vec::new();
    let mut is_closed = false;
    let mut elements = 0;
    loop {
        let event = reader.read_event().map_err(|error| FeedError::Malformed(error.to_string()))?;
        match event {
            Event::DocType(_) => return Err(FeedError::Entities),
            Event::Eof => break,
            Event::Start(_) | Event::Empty(_) if is_closed => {
                return Err(FeedError::Malformed("a second document follows".to_owned()));
            }
            Event::Start(start) if document.is_none() => document = Some(element(&start)?.name),
            Event::Empty(_) if document.is_none() => {
                return Err(FeedError::Malformed("it is empty".to_owned()));
            }
            Event::Start(start) => {
                elements += 1;
                if open.len() >= XML_DEPTH_MAX || elements > XML_ELEMENTS_MAX {
                    return Err(FeedError::TooMuch("elements"));
                }
                open.push(element(&start)?);
            }
            Event::Empty(start) => {
                elements += 1;
                if elements > XML_ELEMENTS_MAX {
                    return Err(FeedError::TooMuch("elements"));
                }
                close(element(&start)?, &mut open, &mut take)?;
            }
            Event::End(_) => match open.pop() {
                Some(element) => {
                    let is_child = open.is_empty();
                    close(element, &mut open, &mut take)?;
                    if is_child {
                        elements = 0;
                    }
                }
                None => is_closed = true,
            },
            Event::Text(text) => append(&mut open, &text.xml10_content())?,
            Event::CData(text) => append(&mut open, &text)?,
            Event::GeneralRef(reference) => append(&mut open, &resolved(&reference)?)?,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    match document {
        Some(name) if is_closed => Ok(name),
        _ => Err(FeedError::Malformed("it ends early".to_owned())),
    }
}

fn element(start: &BytesStart<'_>) -> Result<Element, FeedError> {
    let malformed = |error: String| FeedError::Malformed(error);
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| malformed(error.to_string()))?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| FeedError::Entities)?;
        if value.len() > XML_TEXT_OCTETS_MAX {
            return Err(FeedError::TooMuch("octets of an attribute"));
        }
        attributes.push((attribute.key.local_name().as_ref().to_owned(), value.into_owned()));
    }
    let name = start.local_name().as_ref().to_owned();
    Ok(Element { name, attributes, ..Element::default() })
}

fn close(
    element: Element,
    open: &mut [Element],
    take: &mut impl FnMut(Element) -> Result<(), FeedError>,
) -> Result<(), FeedError> {
    match open.last_mut() {
        Some(parent) => {
            parent.children.push(element);
            Ok(())
        }
        None => take(element),
    }
}

fn append(open: &mut [Element], text: &str) -> Result<(), FeedError> {
    let Some(element) = open.last_mut() else { return Ok(()) };
    if element.text.len() + text.len() > XML_TEXT_OCTETS_MAX {
        return Err(FeedError::TooMuch("octets of a text"));
    }
    element.text.push_str(text);
    Ok(())
}

fn resolved(reference: &BytesRef<'_>) -> Result<String, FeedError> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Ok(character.to_string());
    }
    let name: &str = reference;
    let character = match name {
        "amp" => '&',
        "apos" => '\'',
        "gt" => '>',
        "lt" => '<',
        "quot" => '"',
        _ => return Err(FeedError::Entities),
    };
    Ok(character.to_string())
}
