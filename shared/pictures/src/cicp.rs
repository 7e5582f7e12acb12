//! Colours given as coding-independent code points (ITU-T H.273), as in AVIF and PNG.

use moxcms::{
    CicpProfile, ColorProfile, MatrixCoefficients, ToneReprCurve, TransferCharacteristics,
};

/// Numbers of transfer functions (table 3).
pub(crate) const SRGB: u16 = 13;
pub(crate) const PQ: u16 = 16;
pub(crate) const HLG: u16 = 18;

/// Entries of a curve that is stored as a table.
const CURVE_ENTRIES: u16 = 4096;

/// Luminance in cd/m2 of white (ITU-R BT.2408), of PQ's maximum, and of a display for HLG (ITU-R
/// BT.2100).
const WHITE_LUMINANCE: f64 = 203.0;
const PQ_PEAK_LUMINANCE: f64 = 10_000.0;
const HLG_PEAK_LUMINANCE: f64 = 1_000.0;

/// Creates a profile from primaries and a transfer function. Returns `None` if one of them is
/// unknown or unspecified.
///
/// The functions of television cameras (BT.601, BT.709, BT.2020) are treated as sRGB's, which is
/// how such pictures are displayed. In high dynamic range, everything brighter than white becomes
/// white.
pub(crate) fn profile(primaries: u16, transfer: u16) -> Option<ColorProfile> {
    let curve = match transfer {
        1 | 6 | SRGB | 14 | 15 => None,
        4 => Some(ToneReprCurve::Parametric(vec![2.2])),
        5 => Some(ToneReprCurve::Parametric(vec![2.8])),
        8 => Some(ToneReprCurve::Parametric(vec![1.0])),
        PQ => Some(curve_from(|signal| {
            pq(signal) * PQ_PEAK_LUMINANCE / WHITE_LUMINANCE
        })),
        HLG => Some(curve_from(|signal| {
            hlg(signal) * HLG_PEAK_LUMINANCE / WHITE_LUMINANCE
        })),
        _ => return None,
    };
    let primaries = u8::try_from(primaries)
        .ok()
        .filter(|primaries| !matches!(primaries, 0 | 2 | 3))?;
    let mut profile = ColorProfile::new_from_cicp(CicpProfile {
        color_primaries: primaries.try_into().ok()?,
        transfer_characteristics: TransferCharacteristics::Srgb,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    });
    // `moxcms` sets no curve for reserved primaries.
    profile.red_trc.as_ref()?;
    if let Some(curve) = curve {
        profile.cicp = None;
        set_curve(&mut profile, curve);
    }
    Some(profile)
}

/// Sets the curve of all three channels.
pub(crate) fn set_curve(profile: &mut ColorProfile, curve: ToneReprCurve) {
    profile.red_trc = Some(curve.clone());
    profile.green_trc = Some(curve.clone());
    profile.blue_trc = Some(curve);
}

fn curve_from(light: impl Fn(f64) -> f64) -> ToneReprCurve {
    let levels =
        (0..CURVE_ENTRIES).map(|step| light(f64::from(step) / f64::from(CURVE_ENTRIES - 1)));
    ToneReprCurve::Lut(
        levels
            .map(|light| {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "between 0 and 65535"
                )]
                let level = (light.clamp(0.0, 1.0) * 65_535.0).round() as u16;
                level
            })
            .collect(),
    )
}

/// Returns the share of the maximum luminance (ITU-R BT.2100, table 4).
fn pq(signal: f64) -> f64 {
    let root = signal.powf(32.0 / 2523.0);
    ((root - 0.835_937_5).max(0.0) / (18.851_562_5 - 18.687_5 * root)).powf(8192.0 / 1305.0)
}

/// Returns the share of the display's luminance, for each channel alone (ITU-R BT.2100, table 5).
fn hlg(signal: f64) -> f64 {
    let scene = if signal <= 0.5 {
        signal * signal / 3.0
    } else {
        (((signal - 0.559_910_73) / 0.178_832_77).exp() + 0.284_668_92) / 12.0
    };
    scene.powf(1.2)
}
