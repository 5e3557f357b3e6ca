//! Bounds in 32 bits: rounded outward, so that they enclose what the 64 did.

/// The largest float of 32 bits that is not above.
#[must_use]
pub fn below(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) > value { near.next_down() } else { near }
}

/// The smallest float of 32 bits that is not below.
#[must_use]
pub fn above(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) < value { near.next_up() } else { near }
}
