//! The boxes around an AVIF's AV1 data (ISO/IEC 14496-12 and 23008-12, AVIF 1.1): where the picture that is shown, its
//! transparency and its EXIF are, and how the picture is to be shown. Nothing is copied, and nothing is decoded.

use image::metadata::Orientation;

use crate::Unreadable;
use crate::input::{Input, place};

/// References to and from the picture that are looked at; encoders write three.
const MAX_REFERENCES: usize = 16;

/// What an auxiliary item is called that holds transparency.
const ALPHA: [&[u8]; 2] = [
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0",
    b"urn:mpeg:hevc:2015:auxid:1\0",
];

/// The item that is shown, and what belongs to it.
pub(super) struct Container<'a> {
    /// Pixels.
    pub(super) size: (u32, u32),
    pub(super) picture: Item<'a>,
    pub(super) alpha: Option<Item<'a>>,
    /// Colours are stored multiplied by their opacity.
    pub(super) is_premultiplied: bool,
    pub(super) orientation: Orientation,
    /// An ICC profile.
    pub(super) profile: Option<&'a [u8]>,
    pub(super) colours: Option<CodePoints>,
    pub(super) exif: Option<Item<'a>>,
}

/// The data of an item, in the pieces that the file has it in. Together they are no longer than the file.
pub(super) struct Item<'a>(Vec<&'a [u8]>);

/// What numbers mean which colours (ITU-T H.273).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CodePoints {
    pub(super) primaries: u16,
    pub(super) transfer: u16,
    pub(super) matrix: u16,
    pub(super) is_full_range: bool,
}

/// The boxes below `meta`, not looked into.
#[derive(Default)]
struct Meta<'a> {
    primary: &'a [u8],
    locations: &'a [u8],
    kinds: &'a [u8],
    references: Option<&'a [u8]>,
    properties: &'a [u8],
    data: &'a [u8],
}

/// A property of an item, and whether who does not know it must leave the item alone.
struct Property<'a> {
    kind: [u8; 4],
    data: &'a [u8],
    is_essential: bool,
}

/// One item refers to another.
struct Reference {
    kind: [u8; 4],
    from: u32,
    to: u32,
}

impl Item<'_> {
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.concat()
    }
}

/// What the container says.
///
/// # Errors
/// [`Unreadable::Avif`] for what is none of the single pictures that are read here.
pub(super) fn read(file: &[u8]) -> Result<Container<'_>, Unreadable> {
    let meta = meta(file)?;
    let mut primary = Input(meta.primary);
    let is_wide = full(&mut primary)? > 0;
    let primary = number(&mut primary, is_wide)?;
    match &kind(meta.kinds, primary)?.ok_or(Unreadable::Damaged)? {
        b"av01" => {}
        b"hvc1" => return Err(Unreadable::Heic),
        _ => return Err(Unreadable::Avif),
    }
    let references = references(meta.references, primary)?;
    let about = |kind| {
        references
            .iter()
            .filter(move |one| one.kind == kind && one.to == primary)
    };
    let (mut alpha, mut exif) = (None, None);
    for Reference { from, .. } in about(*b"auxl") {
        if alpha.is_none()
            && properties(meta.properties, *from)?
                .iter()
                .any(Property::is_alpha)
        {
            alpha = Some(*from);
        }
    }
    for Reference { from, .. } in about(*b"cdsc") {
        if exif.is_none() && kind(meta.kinds, *from)? == Some(*b"Exif") {
            exif = Some(*from);
        }
    }
    if let Some(alpha) = alpha
        && kind(meta.kinds, alpha)? != Some(*b"av01")
    {
        return Err(Unreadable::Avif);
    }
    let is_premultiplied = references
        .iter()
        .any(|one| one.kind == *b"prem" && one.from == primary && Some(one.to) == alpha);
    let locate = |item| location(meta.locations, item, file, meta.data);
    let mut container = Container {
        size: (0, 0),
        picture: locate(primary)?,
        alpha: alpha.map(locate).transpose()?,
        is_premultiplied,
        orientation: Orientation::NoTransforms,
        profile: None,
        colours: None,
        exif: exif.map(locate).transpose()?,
    };
    container.describe(&properties(meta.properties, primary)?)?;
    Ok(container)
}

impl<'a> Container<'a> {
    fn describe(&mut self, properties: &[Property<'a>]) -> Result<(), Unreadable> {
        let (mut turns, mut mirror) = (0, None);
        for Property {
            kind,
            data,
            is_essential,
        } in properties
        {
            let mut data = Input(data);
            match kind {
                b"ispe" => {
                    full(&mut data)?;
                    self.size = (number(&mut data, true)?, number(&mut data, true)?);
                }
                b"irot" => turns = data.byte()? & 3,
                b"imir" => mirror = Some(data.byte()? & 1),
                b"colr" => match &data.array()? {
                    b"nclx" => self.colours = Some(code_points(&mut data)?),
                    b"prof" | b"rICC" => self.profile = Some(data.0),
                    _ => {}
                },
                b"av1C" | b"pixi" | b"pasp" => {}
                // A crop always counts, also if the file does not mark it as essential, as the
                // standard demands of it (MIAF, ISO/IEC 23000-22, 7.3.9).
                b"clap" => return Err(Unreadable::Avif),
                // Layers, and properties that are not known here.
                _ if *is_essential => return Err(Unreadable::Avif),
                _ => {}
            }
        }
        if self.size.0 == 0 || self.size.1 == 0 {
            return Err(Unreadable::Damaged);
        }
        self.orientation = orientation(turns, mirror);
        Ok(())
    }
}

impl Property<'_> {
    fn is_alpha(&self) -> bool {
        // Before the name are a version and flags, and after it what only the kind in question knows.
        let name = self.data.get(4..).unwrap_or_default();
        self.kind == *b"auxC" && ALPHA.iter().any(|alpha| name.starts_with(alpha))
    }
}

/// Turned by quarters against the clock, and then mirrored: 0 has above and below change places, 1 left and right.
fn orientation(turns: u8, mirror: Option<u8>) -> Orientation {
    let clockwise = (4 - turns) % 4;
    match mirror {
        None => [
            Orientation::NoTransforms,
            Orientation::Rotate90,
            Orientation::Rotate180,
            Orientation::Rotate270,
        ][usize::from(clockwise)],
        // To mirror upside down is to mirror left and right, and half a turn.
        Some(side) => [
            Orientation::FlipHorizontal,
            Orientation::Rotate90FlipH,
            Orientation::FlipVertical,
            Orientation::Rotate270FlipH,
        ][usize::from((clockwise + if side == 0 { 2 } else { 0 }) % 4)],
    }
}

fn code_points(data: &mut Input<'_>) -> Result<CodePoints, Unreadable> {
    let mut next = || data.array().map(u16::from_be_bytes);
    let (primaries, transfer, matrix) = (next()?, next()?, next()?);
    Ok(CodePoints {
        primaries,
        transfer,
        matrix,
        is_full_range: data.byte()? & 0x80 != 0,
    })
}

/// The first box `meta` of the file; what comes after it is pointed to and not searched for.
fn meta(file: &[u8]) -> Result<Meta<'_>, Unreadable> {
    let mut input = Input(file);
    while !input.is_empty() {
        match next(&mut input)? {
            (kind, data) if kind == *b"meta" => return below(data),
            // Moving pictures, with none to show instead of them.
            (kind, _) if kind == *b"moov" => return Err(Unreadable::Avif),
            _ => {}
        }
    }
    Err(Unreadable::CutOff)
}

fn below(data: &[u8]) -> Result<Meta<'_>, Unreadable> {
    let mut input = Input(data);
    full(&mut input)?;
    let mut meta = Meta::default();
    while !input.is_empty() {
        let (kind, data) = next(&mut input)?;
        match &kind {
            b"pitm" => meta.primary = data,
            b"iloc" => meta.locations = data,
            b"iinf" => meta.kinds = data,
            b"iref" => meta.references = Some(data),
            b"iprp" => meta.properties = data,
            b"idat" => meta.data = data,
            _ => {}
        }
    }
    Ok(meta)
}

/// What kind of item it is, where the list has it.
fn kind(list: &[u8], item: u32) -> Result<Option<[u8; 4]>, Unreadable> {
    let mut input = Input(list);
    let is_wide = full(&mut input)? > 0;
    number(&mut input, is_wide)?;
    while !input.is_empty() {
        let (_, entry) = next(&mut input)?;
        let mut entry = Input(entry);
        let version = full(&mut entry)?;
        // Older ones have no kinds.
        if version < 2 || number(&mut entry, version > 2)? != item {
            continue;
        }
        entry.take(2)?;
        return entry.array().map(Some);
    }
    Ok(None)
}

/// The first references to and from an item.
fn references(list: Option<&[u8]>, item: u32) -> Result<Vec<Reference>, Unreadable> {
    let mut references = Vec::new();
    let Some(list) = list else {
        return Ok(references);
    };
    let mut input = Input(list);
    let is_wide = full(&mut input)? > 0;
    while !input.is_empty() {
        let (kind, data) = next(&mut input)?;
        let mut data = Input(data);
        let from = number(&mut data, is_wide)?;
        for _ in 0..number(&mut data, false)? {
            let to = number(&mut data, is_wide)?;
            if (from == item || to == item) && references.len() < MAX_REFERENCES {
                references.push(Reference { kind, from, to });
            }
        }
    }
    Ok(references)
}

/// The properties of an item, in the order in which they count.
fn properties(boxes: &[u8], item: u32) -> Result<Vec<Property<'_>>, Unreadable> {
    let mut input = Input(boxes);
    let (mut all, mut found) = (Vec::new(), Vec::new());
    while !input.is_empty() {
        let (kind, data) = next(&mut input)?;
        let mut data = Input(data);
        match &kind {
            b"ipco" => {
                while !data.is_empty() {
                    all.push(next(&mut data)?);
                }
            }
            b"ipma" => associations(&mut data, item, |place, is_essential| {
                if let Some((kind, data)) = place.checked_sub(1).and_then(|place| all.get(place)) {
                    found.push(Property {
                        kind: *kind,
                        data,
                        is_essential,
                    });
                }
            })?,
            _ => {}
        }
    }
    Ok(found)
}

/// Tells the places, counted from one, of an item's properties, and whether they are essential.
fn associations(
    input: &mut Input<'_>,
    item: u32,
    mut tell: impl FnMut(usize, bool),
) -> Result<(), Unreadable> {
    let [version, _, _, flags] = input.array()?;
    for _ in 0..number(input, true)? {
        let id = number(input, version > 0)?;
        for _ in 0..input.byte()? {
            let first = input.byte()?;
            let mut place = usize::from(first & 0x7f);
            if flags & 1 == 1 {
                place = place << 8 | usize::from(input.byte()?);
            }
            if id == item {
                tell(place, first & 0x80 != 0);
            }
        }
    }
    Ok(())
}

/// Where an item's data is: in the file, or in a box of its own.
fn location<'a>(
    list: &[u8],
    item: u32,
    file: &'a [u8],
    data: &'a [u8],
) -> Result<Item<'a>, Unreadable> {
    let mut input = Input(list);
    let version = full(&mut input)?;
    let [sizes, more] = input.array()?;
    let (offset, length, base) = (sizes >> 4, sizes & 15, more >> 4);
    let index = if version > 0 { more & 15 } else { 0 };
    for _ in 0..number(&mut input, version > 1)? {
        let id = number(&mut input, version > 1)?;
        let method = if version > 0 {
            number(&mut input, false)? & 15
        } else {
            0
        };
        let is_elsewhere = number(&mut input, false)? != 0;
        let base = sized(&mut input, base)?;
        let extents = number(&mut input, false)?;
        if id != item {
            input.take(place(extents)? * usize::from(index + offset + length))?;
            continue;
        }
        let whole = match method {
            0 if !is_elsewhere => file,
            1 => data,
            _ => return Err(Unreadable::Avif),
        };
        let (mut pieces, mut total) = (Vec::new(), 0);
        for _ in 0..extents {
            sized(&mut input, index)?;
            let start = base
                .checked_add(sized(&mut input, offset)?)
                .ok_or(Unreadable::Damaged)?;
            let rest = whole.get(start..).ok_or(Unreadable::CutOff)?;
            let piece = match sized(&mut input, length)? {
                0 => rest,
                length => rest.get(..length).ok_or(Unreadable::CutOff)?,
            };
            total += piece.len();
            if total > file.len() {
                return Err(Unreadable::Damaged);
            }
            pieces.push(piece);
        }
        return if total > 0 {
            Ok(Item(pieces))
        } else {
            Err(Unreadable::Damaged)
        };
    }
    Err(Unreadable::Damaged)
}

/// A box: its kind, and what is in it.
fn next<'a>(input: &mut Input<'a>) -> Result<([u8; 4], &'a [u8]), Unreadable> {
    let length = number(input, true)?;
    let kind = input.array()?;
    let length = match length {
        0 => input.0.len(),
        1 => sized(input, 8)?
            .checked_sub(16)
            .ok_or(Unreadable::Damaged)?,
        length => place(length)?.checked_sub(8).ok_or(Unreadable::Damaged)?,
    };
    Ok((kind, input.take(length)?))
}

/// Behind the head of some boxes: the version, and flags, which are of no interest here.
fn full(input: &mut Input<'_>) -> Result<u8, Unreadable> {
    let [version, ..] = input.array::<4>()?;
    Ok(version)
}

/// Four bytes, or two.
fn number(input: &mut Input<'_>, is_wide: bool) -> Result<u32, Unreadable> {
    if is_wide {
        input.array().map(u32::from_be_bytes)
    } else {
        Ok(u16::from_be_bytes(input.array()?).into())
    }
}

/// As many bytes as the container says.
fn sized(input: &mut Input<'_>, bytes: u8) -> Result<usize, Unreadable> {
    let number = match bytes {
        0 => 0,
        4 => u32::from_be_bytes(input.array()?).into(),
        8 => u64::from_be_bytes(input.array()?),
        _ => return Err(Unreadable::Damaged),
    };
    usize::try_from(number).map_err(|_| Unreadable::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = include_bytes!("../../tests/fixtures/alpha.avif");

    fn behind(file: &[u8], name: &[u8]) -> usize {
        file.windows(4)
            .position(|four| four == name)
            .expect("the box is there")
            + 4
    }

    #[test]
    fn what_is_in_pieces_is_put_together_and_grows_no_larger_than_the_file() {
        let found = read(FILE).expect("is understood");
        assert_eq!(
            (found.size, found.orientation),
            ((64, 32), Orientation::NoTransforms)
        );
        let (whole, alpha) = (
            found.picture.bytes(),
            found.alpha.expect("it has one").bytes(),
        );
        assert!(
            !whole.is_empty() && whole != alpha && FILE.ends_with(&alpha) | FILE.ends_with(&whole)
        );
        // One item whose data is this file, in as many pieces as are said here.
        let list =
            |pieces: &[(u32, u32)]| {
                let mut list = vec![0, 0, 0, 0, 0x44, 0, 0, 1, 0, 7, 0, 0];
                list.extend(u16::try_from(pieces.len()).expect("few").to_be_bytes());
                list.extend(pieces.iter().flat_map(|(from, length)| {
                    [from.to_be_bytes(), length.to_be_bytes()].concat()
                }));
                list
            };
        let bytes = |pieces: &[(u32, u32)]| {
            location(&list(pieces), 7, b"abcdef", b"").map(|item| item.bytes())
        };
        assert_eq!(bytes(&[(4, 2), (0, 3)]).as_deref(), Ok(&b"efabc"[..]));
        assert_eq!(bytes(&[(2, 0)]).as_deref(), Ok(&b"cdef"[..]), "the rest");
        assert_eq!(
            bytes(&[(0, 6), (0, 1)]),
            Err(Unreadable::Damaged),
            "more than there is"
        );
        assert_eq!(bytes(&[(5, 2)]), Err(Unreadable::CutOff), "beyond the end");
        assert_eq!(bytes(&[(7, 0)]), Err(Unreadable::CutOff), "beyond the end");
        assert_eq!(bytes(&[(6, 0)]), Err(Unreadable::Damaged), "nothing");
        assert_eq!(bytes(&[]), Err(Unreadable::Damaged), "nothing");
    }

    #[test]
    fn a_length_that_lies_is_damage_and_no_panic() {
        let meta = behind(FILE, b"meta");
        for place in 0..meta + 200 {
            for lie in [0, 1, 7, 0x7f, 0xff] {
                let mut file = FILE.to_vec();
                file[place] = lie;
                let _ = read(&file);
            }
        }
        assert_eq!(read(&FILE[..meta]).err(), Some(Unreadable::CutOff));
    }
}
