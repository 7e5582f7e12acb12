//! The container of AVIF (ISO/IEC 14496-12 and 23008-12, AVIF 1.1): finds the primary picture, its
//! alpha and its EXIF data, and how the picture is displayed. Nothing is copied or decoded.

use image::metadata::Orientation;

use crate::Unreadable;
use crate::input::{Input, to_usize};

/// Maximum number of references to and from the picture that are read. Encoders write three.
const MAX_REFERENCES: usize = 16;

/// Types of an auxiliary item with alpha.
const ALPHA_TYPES: [&[u8]; 2] = [
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0",
    b"urn:mpeg:hevc:2015:auxid:1\0",
];

/// The primary item and what belongs to it.
pub(super) struct Container<'a> {
    /// Width and height in pixels.
    pub(super) size: (u32, u32),
    pub(super) picture: Item<'a>,
    pub(super) alpha: Option<Item<'a>>,
    /// Whether colours are stored multiplied by alpha.
    pub(super) is_premultiplied: bool,
    pub(super) orientation: Orientation,
    /// An ICC profile.
    pub(super) profile: Option<&'a [u8]>,
    pub(super) colours: Option<CodePoints>,
    pub(super) exif: Option<Item<'a>>,
}

/// The data of an item, in the pieces in which the file stores it. Together they are no longer than
/// the file.
pub(super) struct Item<'a>(Vec<&'a [u8]>);

/// The code points of the colours (ITU-T H.273).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CodePoints {
    pub(super) primaries: u16,
    pub(super) transfer: u16,
    pub(super) matrix: u16,
    pub(super) is_full_range: bool,
}

/// The boxes within `meta`, not parsed.
#[derive(Default)]
struct Meta<'a> {
    primary: &'a [u8],
    locations: &'a [u8],
    item_infos: &'a [u8],
    references: Option<&'a [u8]>,
    properties: &'a [u8],
    data: &'a [u8],
}

/// A property of an item. A reader that does not know an essential property must not show the item.
struct Property<'a> {
    kind: [u8; 4],
    data: &'a [u8],
    is_essential: bool,
}

/// A reference from one item to another.
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

/// Parses the container.
///
/// # Errors
/// [`Unreadable::Avif`] if the file is not a single picture of a supported kind.
pub(super) fn read(file: &[u8]) -> Result<Container<'_>, Unreadable> {
    let meta = find_meta(file)?;
    let mut primary = Input(meta.primary);
    let is_wide = read_version(&mut primary)? > 0;
    let primary = read_number(&mut primary, is_wide)?;
    match &item_kind(meta.item_infos, primary)?.ok_or(Unreadable::Damaged)? {
        b"av01" => {}
        b"hvc1" => return Err(Unreadable::Heic),
        _ => return Err(Unreadable::Avif),
    }
    let references = read_references(meta.references, primary)?;
    let to_primary = |kind| {
        references
            .iter()
            .filter(move |reference| reference.kind == kind && reference.to == primary)
    };
    let (mut alpha, mut exif) = (None, None);
    for Reference { from, .. } in to_primary(*b"auxl") {
        if alpha.is_none()
            && item_properties(meta.properties, *from)?
                .iter()
                .any(Property::is_alpha)
        {
            alpha = Some(*from);
        }
    }
    for Reference { from, .. } in to_primary(*b"cdsc") {
        if exif.is_none() && item_kind(meta.item_infos, *from)? == Some(*b"Exif") {
            exif = Some(*from);
        }
    }
    if let Some(alpha) = alpha
        && item_kind(meta.item_infos, alpha)? != Some(*b"av01")
    {
        return Err(Unreadable::Avif);
    }
    let is_premultiplied = references.iter().any(|reference| {
        reference.kind == *b"prem" && reference.from == primary && Some(reference.to) == alpha
    });
    let locate = |item| item_data(meta.locations, item, file, meta.data);
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
    container.apply_properties(&item_properties(meta.properties, primary)?)?;
    Ok(container)
}

impl<'a> Container<'a> {
    fn apply_properties(&mut self, properties: &[Property<'a>]) -> Result<(), Unreadable> {
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
                    read_version(&mut data)?;
                    self.size = (read_number(&mut data, true)?, read_number(&mut data, true)?);
                }
                b"irot" => turns = data.byte()? & 3,
                b"imir" => mirror = Some(data.byte()? & 1),
                b"colr" => match &data.array()? {
                    b"nclx" => self.colours = Some(code_points(&mut data)?),
                    b"prof" | b"rICC" => self.profile = Some(data.0),
                    _ => {}
                },
                b"av1C" | b"pixi" | b"pasp" => {}
                // A crop always applies, even if the file does not mark it as essential, as the
                // standard requires (MIAF, ISO/IEC 23000-22, 7.3.9).
                b"clap" => return Err(Unreadable::Avif),
                // Layers, and unknown properties.
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
        // The type follows a version and flags. Data specific to the type follows it.
        let aux_type = self.data.get(4..).unwrap_or_default();
        self.kind == *b"auxC" && ALPHA_TYPES.iter().any(|alpha| aux_type.starts_with(alpha))
    }
}

/// Returns the orientation: quarter turns counter-clockwise, then mirrored. Axis 0 swaps top and
/// bottom, axis 1 swaps left and right.
fn orientation(turns: u8, mirror: Option<u8>) -> Orientation {
    let clockwise = (4 - turns) % 4;
    match mirror {
        None => [
            Orientation::NoTransforms,
            Orientation::Rotate90,
            Orientation::Rotate180,
            Orientation::Rotate270,
        ][usize::from(clockwise)],
        // Swapping top and bottom equals swapping left and right plus half a turn.
        Some(axis) => [
            Orientation::FlipHorizontal,
            Orientation::Rotate90FlipH,
            Orientation::FlipVertical,
            Orientation::Rotate270FlipH,
        ][usize::from((clockwise + if axis == 0 { 2 } else { 0 }) % 4)],
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

/// Finds the first box `meta` of the file. Later boxes are reached through it and are not searched.
fn find_meta(file: &[u8]) -> Result<Meta<'_>, Unreadable> {
    let mut input = Input(file);
    while !input.is_empty() {
        match read_box(&mut input)? {
            (kind, data) if kind == *b"meta" => return read_meta(data),
            // An animation without a still picture.
            (kind, _) if kind == *b"moov" => return Err(Unreadable::Avif),
            _ => {}
        }
    }
    Err(Unreadable::CutOff)
}

fn read_meta(data: &[u8]) -> Result<Meta<'_>, Unreadable> {
    let mut input = Input(data);
    read_version(&mut input)?;
    let mut meta = Meta::default();
    while !input.is_empty() {
        let (kind, data) = read_box(&mut input)?;
        match &kind {
            b"pitm" => meta.primary = data,
            b"iloc" => meta.locations = data,
            b"iinf" => meta.item_infos = data,
            b"iref" => meta.references = Some(data),
            b"iprp" => meta.properties = data,
            b"idat" => meta.data = data,
            _ => {}
        }
    }
    Ok(meta)
}

/// Returns the kind of an item, if the list contains the item.
fn item_kind(list: &[u8], item: u32) -> Result<Option<[u8; 4]>, Unreadable> {
    let mut input = Input(list);
    let is_wide = read_version(&mut input)? > 0;
    read_number(&mut input, is_wide)?;
    while !input.is_empty() {
        let (_, entry) = read_box(&mut input)?;
        let mut entry = Input(entry);
        let version = read_version(&mut entry)?;
        // Older versions have no kinds.
        if version < 2 || read_number(&mut entry, version > 2)? != item {
            continue;
        }
        entry.take(2)?;
        return entry.array().map(Some);
    }
    Ok(None)
}

/// Returns the first references to and from an item.
fn read_references(list: Option<&[u8]>, item: u32) -> Result<Vec<Reference>, Unreadable> {
    let mut references = Vec::new();
    let Some(list) = list else {
        return Ok(references);
    };
    let mut input = Input(list);
    let is_wide = read_version(&mut input)? > 0;
    while !input.is_empty() {
        let (kind, data) = read_box(&mut input)?;
        let mut data = Input(data);
        let from = read_number(&mut data, is_wide)?;
        for _ in 0..read_number(&mut data, false)? {
            let to = read_number(&mut data, is_wide)?;
            if (from == item || to == item) && references.len() < MAX_REFERENCES {
                references.push(Reference { kind, from, to });
            }
        }
    }
    Ok(references)
}

/// Returns the properties of an item, in the order in which they apply.
fn item_properties(boxes: &[u8], item: u32) -> Result<Vec<Property<'_>>, Unreadable> {
    let mut input = Input(boxes);
    let (mut all, mut associated) = (Vec::new(), Vec::new());
    while !input.is_empty() {
        let (kind, data) = read_box(&mut input)?;
        let mut data = Input(data);
        match &kind {
            b"ipco" => {
                while !data.is_empty() {
                    all.push(read_box(&mut data)?);
                }
            }
            b"ipma" => for_each_association(&mut data, item, |index, is_essential| {
                if let Some((kind, data)) = index.checked_sub(1).and_then(|index| all.get(index)) {
                    associated.push(Property {
                        kind: *kind,
                        data,
                        is_essential,
                    });
                }
            })?,
            _ => {}
        }
    }
    Ok(associated)
}

/// Calls `on_association` with the index, counted from one, of each of an item's properties, and
/// whether it is essential.
fn for_each_association(
    input: &mut Input<'_>,
    item: u32,
    mut on_association: impl FnMut(usize, bool),
) -> Result<(), Unreadable> {
    let [version, _, _, flags] = input.array()?;
    for _ in 0..read_number(input, true)? {
        let id = read_number(input, version > 0)?;
        for _ in 0..input.byte()? {
            let first = input.byte()?;
            let mut index = usize::from(first & 0x7f);
            if flags & 1 == 1 {
                index = index << 8 | usize::from(input.byte()?);
            }
            if id == item {
                on_association(index, first & 0x80 != 0);
            }
        }
    }
    Ok(())
}

/// Returns an item's data, from the file or from the box `idat`.
fn item_data<'a>(
    list: &[u8],
    item: u32,
    file: &'a [u8],
    data: &'a [u8],
) -> Result<Item<'a>, Unreadable> {
    let mut input = Input(list);
    let version = read_version(&mut input)?;
    let [sizes, more] = input.array()?;
    let (offset, length, base) = (sizes >> 4, sizes & 15, more >> 4);
    let index = if version > 0 { more & 15 } else { 0 };
    for _ in 0..read_number(&mut input, version > 1)? {
        let id = read_number(&mut input, version > 1)?;
        let method = if version > 0 {
            read_number(&mut input, false)? & 15
        } else {
            0
        };
        let is_in_another_file = read_number(&mut input, false)? != 0;
        let base = read_sized(&mut input, base)?;
        let extents = read_number(&mut input, false)?;
        if id != item {
            input.take(to_usize(extents)? * usize::from(index + offset + length))?;
            continue;
        }
        let whole = match method {
            0 if !is_in_another_file => file,
            1 => data,
            _ => return Err(Unreadable::Avif),
        };
        let (mut pieces, mut total) = (Vec::new(), 0);
        for _ in 0..extents {
            read_sized(&mut input, index)?;
            let start = base
                .checked_add(read_sized(&mut input, offset)?)
                .ok_or(Unreadable::Damaged)?;
            let rest = whole.get(start..).ok_or(Unreadable::CutOff)?;
            let piece = match read_sized(&mut input, length)? {
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

/// Reads a box: its kind and its content.
fn read_box<'a>(input: &mut Input<'a>) -> Result<([u8; 4], &'a [u8]), Unreadable> {
    let length = read_number(input, true)?;
    let kind = input.array()?;
    let length = match length {
        0 => input.0.len(),
        1 => read_sized(input, 8)?
            .checked_sub(16)
            .ok_or(Unreadable::Damaged)?,
        length => to_usize(length)?
            .checked_sub(8)
            .ok_or(Unreadable::Damaged)?,
    };
    Ok((kind, input.take(length)?))
}

/// Reads the version and the flags of a full box, and returns the version.
fn read_version(input: &mut Input<'_>) -> Result<u8, Unreadable> {
    let [version, ..] = input.array::<4>()?;
    Ok(version)
}

/// Reads a number of four bytes, or of two.
fn read_number(input: &mut Input<'_>, is_wide: bool) -> Result<u32, Unreadable> {
    if is_wide {
        input.array().map(u32::from_be_bytes)
    } else {
        Ok(u16::from_be_bytes(input.array()?).into())
    }
}

/// Reads a number whose size in bytes is given by the container.
fn read_sized(input: &mut Input<'_>, bytes: u8) -> Result<usize, Unreadable> {
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

    fn offset_after(file: &[u8], name: &[u8]) -> usize {
        file.windows(4)
            .position(|four| four == name)
            .expect("the box exists")
            + 4
    }

    #[test]
    fn pieces_are_concatenated_and_never_exceed_the_file() {
        let container = read(FILE).expect("parses");
        assert_eq!(
            (container.size, container.orientation),
            ((64, 32), Orientation::NoTransforms)
        );
        let (whole, alpha) = (
            container.picture.bytes(),
            container.alpha.expect("alpha").bytes(),
        );
        assert!(
            !whole.is_empty() && whole != alpha && FILE.ends_with(&alpha) | FILE.ends_with(&whole)
        );
        // An item list with one item, whose data consists of these pieces.
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
            item_data(&list(pieces), 7, b"abcdef", b"").map(|item| item.bytes())
        };
        assert_eq!(bytes(&[(4, 2), (0, 3)]).as_deref(), Ok(&b"efabc"[..]));
        assert_eq!(bytes(&[(2, 0)]).as_deref(), Ok(&b"cdef"[..]), "the rest");
        assert_eq!(
            bytes(&[(0, 6), (0, 1)]),
            Err(Unreadable::Damaged),
            "more than the file"
        );
        assert_eq!(bytes(&[(5, 2)]), Err(Unreadable::CutOff), "beyond the end");
        assert_eq!(bytes(&[(7, 0)]), Err(Unreadable::CutOff), "beyond the end");
        assert_eq!(bytes(&[(6, 0)]), Err(Unreadable::Damaged), "nothing");
        assert_eq!(bytes(&[]), Err(Unreadable::Damaged), "nothing");
    }

    #[test]
    fn wrong_bytes_never_cause_a_panic() {
        let meta = offset_after(FILE, b"meta");
        for offset in 0..meta + 200 {
            for byte in [0, 1, 7, 0x7f, 0xff] {
                let mut file = FILE.to_vec();
                file[offset] = byte;
                let _ = read(&file);
            }
        }
        assert_eq!(read(&FILE[..meta]).err(), Some(Unreadable::CutOff));
    }
}
