use super::HelloRefusal;

/// A view that is read from the front, with the name of the part for messages.
#[derive(Clone, Copy)]
pub(super) struct Octets<'a> {
    rest: &'a [u8],
    part: &'static str,
}

impl<'a> Octets<'a> {
    pub(super) fn new(octets: &'a [u8], part: &'static str) -> Self {
        Self { rest: octets, part }
    }

    pub(super) fn u8(&mut self) -> Result<u8, HelloRefusal> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, HelloRefusal> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next octets as a view of their own.
    pub(super) fn part(&mut self, count: usize) -> Result<Self, HelloRefusal> {
        self.take(count).map(|rest| Self { rest, part: self.part })
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<(), HelloRefusal> {
        self.take(count).map(|_| ())
    }

    /// A vector with one octet of length, RFC 8446 3.4.
    pub(super) fn vector8(&mut self, part: &'static str) -> Result<Self, HelloRefusal> {
        let length = self.u8()?;
        self.vector(usize::from(length), part)
    }

    pub(super) fn vector16(&mut self, part: &'static str) -> Result<Self, HelloRefusal> {
        let length = self.u16()?;
        self.vector(usize::from(length), part)
    }

    pub(super) fn vector24(&mut self, part: &'static str) -> Result<Self, HelloRefusal> {
        let [high, middle, low] = self.array()?;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        self.vector(length, part)
    }

    /// All octets as numbers of two octets; at least one, and no odd octet left.
    pub(super) fn u16_list(mut self) -> Result<Vec<u16>, HelloRefusal> {
        let mut list = Vec::with_capacity(self.rest.len() / 2);
        while !self.is_empty() {
            list.push(self.u16()?);
        }
        if list.is_empty() { Err(HelloRefusal::Malformed(self.part)) } else { Ok(list) }
    }

    /// All octets, at least one.
    pub(super) fn u8_list(self) -> Result<Vec<u8>, HelloRefusal> {
        if self.is_empty() { Err(HelloRefusal::Malformed(self.part)) } else { Ok(self.rest.to_vec()) }
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn len(self) -> usize {
        self.rest.len()
    }

    pub(super) fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), HelloRefusal> {
        if self.is_empty() { Ok(()) } else { Err(HelloRefusal::Malformed(self.part)) }
    }

    fn vector(&mut self, length: usize, part: &'static str) -> Result<Self, HelloRefusal> {
        let (head, tail) = self.rest.split_at_checked(length).ok_or(HelloRefusal::Malformed(part))?;
        self.rest = tail;
        Ok(Self::new(head, part))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], HelloRefusal> {
        let (head, tail) = self.rest.split_first_chunk().ok_or(HelloRefusal::Malformed(self.part))?;
        self.rest = tail;
        Ok(*head)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], HelloRefusal> {
        let (head, tail) = self.rest.split_at_checked(count).ok_or(HelloRefusal::Malformed(self.part))?;
        self.rest = tail;
        Ok(head)
    }
}
