//! What stands before the scan, as far as it is needed to read the scan (T.81, annex B).

use std::rc::Rc;

use super::Irregular;
use super::block::{AREA, Quantiser};
use super::huffman::Codes;
use super::transform::EDGE;
use crate::input::Input;
use crate::jpeg::segments::{APP14, SCAN, START, marker, payload};
use crate::strips::length;

const FRAMES: [u8; 2] = [0xc0, 0xc1];
const CODES: u8 = 0xc4;
const QUANTISERS: u8 = 0xdb;
const RESTARTS: u8 = 0xdd;
const COMMENT: u8 = 0xfe;

/// How colours are told by who says so: as brightness and two differences.
const ADOBE: &[u8] = b"Adobe";
const DIFFERENCES: u8 = 1;

/// The most blocks of all components that may stand together.
pub(super) const MAX_BLOCKS: usize = 10;

/// A picture in one scan.
pub(super) struct Frame<'a> {
    /// Pixels.
    pub(super) size: (u32, u32),
    /// Brightness, or brightness and the differences of blue and red to it.
    pub(super) components: Vec<Component>,
    /// The most blocks that a component has side by side, and below each other, in a unit of the scan.
    pub(super) most_blocks: (u32, u32),
    /// After so many units the scan starts anew; 0 if it does not.
    pub(super) restarts: u32,
    pub(super) scan: &'a [u8],
}

pub(super) struct Component {
    /// How many blocks stand side by side, and below each other, in each unit of the scan.
    pub(super) blocks: (u32, u32),
    pub(super) quantiser: Rc<Quantiser>,
    pub(super) dc: Rc<Codes>,
    pub(super) ac: Rc<Codes>,
}

impl Component {
    /// Blocks in a unit.
    pub(super) fn count(&self) -> usize {
        length(self.blocks.0) * length(self.blocks.1)
    }
}

/// What is said of a component before its scan.
struct Declared {
    name: u8,
    blocks: (u32, u32),
    quantiser: u8,
}

#[derive(Default)]
struct Tables {
    quantisers: [Option<Rc<Quantiser>>; 4],
    dc: [Option<Rc<Codes>>; 4],
    ac: [Option<Rc<Codes>>; 4],
}

impl<'a> Frame<'a> {
    pub(super) fn read(file: &'a [u8]) -> Result<Self, Irregular> {
        let mut input = Input(file);
        if input.array()? != [0xff, START] {
            return Err(Irregular);
        }
        let (mut tables, mut restarts, mut declared) = (Tables::default(), 0, None);
        loop {
            let marker = marker(&mut input)?;
            let mut payload = Input(payload(&mut input)?);
            match marker {
                CODES => tables.read_codes(payload)?,
                QUANTISERS => tables.read_quantisers(payload)?,
                RESTARTS => restarts = u16::from_be_bytes(payload.array()?).into(),
                SCAN => {
                    let (size, declared) = declared.ok_or(Irregular)?;
                    let components = tables.components(declared, payload)?;
                    let most_blocks = most_blocks(&components)?;
                    return Ok(Self { size, most_blocks, components, restarts, scan: input.0 });
                }
                marker if FRAMES.contains(&marker) && declared.is_none() => {
                    declared = Some(declaration(payload)?);
                }
                APP14 if payload.0.starts_with(ADOBE) && payload.0.get(11) != Some(&DIFFERENCES) => {
                    return Err(Irregular);
                }
                0xe0..=0xef | COMMENT => {}
                _ => return Err(Irregular),
            }
        }
    }
}

impl Frame<'_> {
    /// Units of the scan side by side, and below each other.
    pub(super) fn units(&self) -> (u32, u32) {
        (self.size.0.div_ceil(EDGE * self.most_blocks.0), self.size.1.div_ceil(EDGE * self.most_blocks.1))
    }
}

fn most_blocks(components: &[Component]) -> Result<(u32, u32), Irregular> {
    let blocks = || components.iter().map(|component| component.blocks);
    let most = blocks().fold((1, 1), |most, blocks| (most.0.max(blocks.0), most.1.max(blocks.1)));
    // All of the pixels, half of them, or a quarter.
    let is_part = |most: u32, blocks: u32| most.is_multiple_of(blocks) && (most / blocks).is_power_of_two();
    let are_parts = blocks().all(|blocks| is_part(most.0, blocks.0) && is_part(most.1, blocks.1));
    are_parts.then_some(most).ok_or(Irregular)
}

/// Size and components (T.81, B.2.2).
fn declaration(mut payload: Input<'_>) -> Result<((u32, u32), Vec<Declared>), Irregular> {
    let [precision] = payload.array()?;
    let height = u16::from_be_bytes(payload.array()?).into();
    let width = u16::from_be_bytes(payload.array()?).into();
    let count = payload.byte()?;
    if precision != 8 || width == 0 || height == 0 || !matches!(count, 1 | 3) {
        return Err(Irregular);
    }
    let components: Vec<Declared> = (0..count).map(|_| component(&mut payload)).collect::<Result<_, _>>()?;
    // Some tell red, green and blue so.
    if components.iter().map(|component| component.name).eq(*b"RGB") {
        return Err(Irregular);
    }
    Ok(((width, height), components))
}

fn component(payload: &mut Input<'_>) -> Result<Declared, Irregular> {
    let [name, blocks, quantiser] = payload.array()?;
    let blocks = (u32::from(blocks >> 4), u32::from(blocks & 15));
    if !(1..=4).contains(&blocks.0) || !(1..=4).contains(&blocks.1) {
        return Err(Irregular);
    }
    Ok(Declared { name, blocks, quantiser })
}

impl Tables {
    /// T.81, B.2.4.1.
    fn read_quantisers(&mut self, mut payload: Input<'_>) -> Result<(), Irregular> {
        while !payload.is_empty() {
            let kind = payload.byte()?;
            let mut table = [0; AREA];
            for value in &mut table {
                *value = match kind >> 4 {
                    0 => payload.byte()?.into(),
                    1 => u16::from_be_bytes(payload.array()?),
                    _ => return Err(Irregular),
                };
            }
            *place(&mut self.quantisers, kind & 15)? = Some(Rc::new(Quantiser::new(&table)));
        }
        Ok(())
    }

    /// T.81, B.2.4.2.
    fn read_codes(&mut self, mut payload: Input<'_>) -> Result<(), Irregular> {
        while !payload.is_empty() {
            let kind = payload.byte()?;
            let counts: [u8; 16] = payload.array()?;
            let values = payload.take(counts.iter().copied().map(usize::from).sum())?;
            let codes = Some(Rc::new(Codes::new(counts, values)?));
            match kind >> 4 {
                0 if values.iter().all(|value| *value < 16) => *place(&mut self.dc, kind & 15)? = codes,
                1 => *place(&mut self.ac, kind & 15)? = codes,
                _ => return Err(Irregular),
            }
        }
        Ok(())
    }

    /// What the header of a scan of all components adds to them (T.81, B.2.3).
    fn components(
        &self,
        declared: Vec<Declared>,
        mut payload: Input<'_>,
    ) -> Result<Vec<Component>, Irregular> {
        if usize::from(payload.byte()?) != declared.len() {
            return Err(Irregular);
        }
        let is_grey = declared.len() == 1;
        let mut components = Vec::with_capacity(declared.len());
        for Declared { name, blocks, quantiser } in declared {
            let [scanned, codes] = payload.array()?;
            if scanned != name {
                return Err(Irregular);
            }
            components.push(Component {
                // Alone its blocks stand one by one (A.2.2).
                blocks: if is_grey { (1, 1) } else { blocks },
                quantiser: found(&self.quantisers, quantiser)?,
                dc: found(&self.dc, codes >> 4)?,
                ac: found(&self.ac, codes & 15)?,
            });
        }
        let blocks: usize = components.iter().map(Component::count).sum();
        // All coefficients, with all their bits.
        if payload.array()? != [0, 63, 0] || blocks > MAX_BLOCKS {
            return Err(Irregular);
        }
        Ok(components)
    }
}

fn place<T>(tables: &mut [Option<T>; 4], number: u8) -> Result<&mut Option<T>, Irregular> {
    tables.get_mut(usize::from(number)).ok_or(Irregular)
}

fn found<T>(tables: &[Option<Rc<T>>; 4], number: u8) -> Result<Rc<T>, Irregular> {
    tables.get(usize::from(number)).and_then(Option::as_ref).map(Rc::clone).ok_or(Irregular)
}
