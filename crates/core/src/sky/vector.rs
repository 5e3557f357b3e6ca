//! Directions as vectors of length one.

pub(super) type Vector = [f64; 3];

/// The direction of a position (degrees).
pub(super) fn vector((ra_deg, dec_deg): (f64, f64)) -> Vector {
    vector_of(ra_deg.to_radians(), dec_deg.to_radians())
}

/// The direction of a position (radians).
pub(super) fn vector_of(lon: f64, lat: f64) -> Vector {
    let (sin_lon, cos_lon) = lon.sin_cos();
    let (sin_lat, cos_lat) = lat.sin_cos();
    [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat]
}

pub(super) fn add(a: Vector, b: Vector) -> Vector {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub(super) fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(super) fn less(a: Vector, b: Vector) -> Vector {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

/// Accurate where both are nearly the same: what they have in common adds nothing.
pub(super) fn cross(a: Vector, b: Vector) -> Vector {
    let b = less(b, a);
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

pub(super) fn unit(a: Vector) -> Vector {
    let length = dot(a, a).sqrt();
    a.map(|part| part / length)
}

/// Angle between two directions, radians; accurate for small ones.
pub(super) fn angle(a: Vector, b: Vector) -> f64 {
    let across = cross(a, b);
    dot(across, across).sqrt().atan2(dot(a, b))
}

/// The square of the straight way between two directions.
pub(super) fn chord2(a: Vector, b: Vector) -> f64 {
    let way = less(a, b);
    dot(way, way)
}

/// The square of the straight way that spans an angle (radians, at most half a turn).
pub(super) fn chord2_of(angle: f64) -> f64 {
    4.0 * (angle.min(std::f64::consts::PI) / 2.0).sin().powi(2)
}
