//! The skeleton as other programs read it: DisPerSE's NDskl in ASCII, VTK's legacy polylines, GeoParquet.
//!
//! Positions are comoving Mpc, as in the skeleton. Formats: the manual of DisPerSE (NDskl_ascii), "VTK
//! File Formats" (version 3.0, ASCII), GeoParquet 1.1 with geometries in WKB. A node's `persistence_ratio` is infinite where it has no partner:
//! DisPerSE's own files have no such value, so −1 stands for it there.

use crate::stage::column;
use arrow::array::{ArrayRef, BinaryArray, Float64Array, RecordBatch, UInt8Array, UInt32Array};
use arrow::datatypes::DataType::{Binary, Float64, UInt8, UInt32};
use arrow::datatypes::Schema;
use bifrost_core::metadata;
use bifrost_science::skeleton::{Kind, Node, Skeleton};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

/// What a skeleton is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// DisPerSE's.
    Ndskl,
    /// The Visualization Toolkit's.
    Vtk,
}

impl Form {
    /// All.
    pub const ALL: [Self; 2] = [Self::Ndskl, Self::Vtk];

    /// How files of it end.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Ndskl => "a.NDskl",
            Self::Vtk => "vtk",
        }
    }
}

/// Writes a skeleton; `positions` are those of the vertices.
///
/// # Errors
/// Those of the writer.
pub fn write(
    form: Form,
    skeleton: &Skeleton,
    positions: &[[f64; 3]],
    out: &mut dyn Write,
) -> io::Result<()> {
    match form {
        Form::Ndskl => ndskl(skeleton, positions, out),
        Form::Vtk => vtk(skeleton, out),
    }
}

/// The pieces of filaments as a Parquet file, a row each: its ends, also as a geometry, its filament, and what
/// that is like. `configuration` is what shaped them.
///
/// # Errors
/// Those of the writer.
pub fn parquet(skeleton: &Skeleton, configuration: &Value) -> Result<Vec<u8>, ParquetError> {
    let mpc = |name: &str, what: &str| column(name, Float64, "Mpc", "pos.cartesian", what);
    let mut fields = vec![column("filament", UInt32, "", "meta.id", "Number of the filament")];
    for (end, what) in [("from", "beginning"), ("to", "end")] {
        let text = format!("Comoving position of the {what} of the piece");
        fields.extend(["x", "y", "z"].map(|axis| mpc(&format!("{end}_{axis}"), &text)));
    }
    for (end, what) in [("from", "begins"), ("to", "ends")] {
        let text = format!(
            "Node that the filament {what} at: 0 minimum, 1 and 2 saddles, 3 maximum, 4 bifurcation"
        );
        fields.push(column(format!("{end}_node"), UInt8, "", "meta.code", text));
    }
    fields.push(column(
        "persistence_ratio",
        Float64,
        "",
        "stat.value",
        "Ratio of the densities of the filament's persistence pair; NULL without a pair",
    ));
    fields.push(column(
        "robustness",
        Float64,
        "",
        "stat.value",
        "Median density along the filament over that of its surroundings",
    ));
    fields.push(column(
        "geometry",
        Binary,
        "Mpc",
        "pos.cartesian",
        "The piece as WKB (LineString Z)",
    ));
    let (mut kinds, mut geometries) = ([Vec::new(), Vec::new()], Vec::new());
    let kind = |node: u32| skeleton.nodes.get(node as usize).map(|node| index(node.kind));
    let (mut numbers, mut ends) = (Vec::new(), vec![Vec::new(); 6]);
    let (mut persistence, mut robustness) = (Vec::new(), Vec::new());
    for (number, filament) in (0u32..).zip(&skeleton.filaments) {
        for piece in skeleton.line(filament).windows(2) {
            numbers.push(number);
            for (kinds, node) in kinds.iter_mut().zip([filament.from, filament.to]) {
                kinds.push(kind(node));
            }
            geometries.push(wkb(piece));
            let coordinates = piece.iter().flatten();
            ends.iter_mut().zip(coordinates).for_each(|(column, x)| column.push(*x));
            persistence.push(filament.persistence.is_finite().then_some(filament.persistence));
            robustness.push(filament.robustness.is_finite().then_some(filament.robustness));
        }
    }
    let mut columns: Vec<ArrayRef> = vec![Arc::new(UInt32Array::from(numbers))];
    columns.extend(ends.into_iter().map(|x| Arc::new(Float64Array::from(x)) as ArrayRef));
    columns.extend(kinds.map(|x| Arc::new(UInt8Array::from(x)) as ArrayRef));
    columns.extend([persistence, robustness].map(|x| Arc::new(Float64Array::from(x)) as ArrayRef));
    columns.push(Arc::new(BinaryArray::from_iter_values(&geometries)));
    let schema = Arc::new(Schema::new(fields));
    let said = [
        ("geo", geo(skeleton).to_string()),
        (metadata::CONFIGURATION, configuration.to_string()),
        (metadata::VERSION, bifrost_core::VERSION.to_owned()),
    ];
    let said = said.map(|(key, value)| KeyValue::new(key.to_owned(), value));
    let properties = WriterProperties::builder().set_key_value_metadata(Some(said.to_vec()));
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties.build()))?;
    writer.write(&RecordBatch::try_new(schema, columns)?)?;
    writer.into_inner()
}

/// A line as well-known binary: little-endian, LineString Z.
fn wkb(line: &[[f64; 3]]) -> Vec<u8> {
    let mut made = vec![1];
    made.extend(1002u32.to_le_bytes());
    made.extend((line.len() as u32).to_le_bytes());
    made.extend(line.iter().flatten().flat_map(|x| x.to_le_bytes()));
    made
}

/// What GeoParquet wants to be said: positions are in space, in no reference system of the Earth.
fn geo(skeleton: &Skeleton) -> Value {
    let mut column = json!({
        "encoding": "WKB",
        "geometry_types": ["LineString Z"],
        "crs": null,
        "edges": "planar",
    });
    if let (Some(column), false) = (column.as_object_mut(), skeleton.points.is_empty()) {
        let (low, high) = bounds(skeleton.points.iter().copied());
        column.insert("bbox".to_owned(), json!([low, high].concat()));
    }
    json!({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}})
}

/// DisPerSE's index of a kind of node.
fn index(kind: Kind) -> u8 {
    match kind {
        Kind::Minimum => 0,
        Kind::Saddle1 => 1,
        Kind::Saddle2 => 2,
        Kind::Maximum => 3,
        Kind::Bifurcation => 4,
    }
}

fn place(node: &Node, positions: &[[f64; 3]]) -> [f64; 3] {
    positions.get(node.vertex as usize).copied().unwrap_or([f64::NAN; 3])
}

fn finite(x: f64) -> f64 {
    if x.is_finite() { x } else { -1.0 }
}

fn ndskl(skeleton: &Skeleton, positions: &[[f64; 3]], out: &mut dyn Write) -> io::Result<()> {
    let Skeleton { nodes, filaments, .. } = skeleton;
    let mut ends: Vec<Vec<(u32, usize)>> = vec![Vec::new(); nodes.len()];
    for (number, filament) in filaments.iter().enumerate() {
        for (node, other) in [(filament.from, filament.to), (filament.to, filament.from)] {
            ends.get_mut(node as usize).into_iter().for_each(|ends| ends.push((other, number)));
        }
    }
    let mut at: HashMap<u32, Vec<usize>> = HashMap::new();
    for (number, node) in nodes.iter().enumerate() {
        at.entry(node.vertex).or_default().push(number);
    }
    // several critical cells may have one place
    let are_pair = |node: &Node, other: &Node| {
        other.partner == Some(node.vertex)
            && other.persistence == node.persistence
            && index(other.kind).abs_diff(index(node.kind)) == 1
    };
    let partner = |node: &Node| {
        let there = at.get(&node.partner?)?.iter();
        there.copied().find(|other| nodes.get(*other).is_some_and(|other| are_pair(node, other)))
    };
    writeln!(out, "ANDSKEL\n3\n#skeleton of bifrost, comoving Mpc")?;
    let (low, high) = bounds(
        nodes.iter().map(|node| place(node, positions)).chain(skeleton.points.iter().copied()),
    );
    let size = [high[0] - low[0], high[1] - low[1], high[2] - low[2]];
    writeln!(out, "BBOX {low:?} {size:?}")?;
    writeln!(out, "[CRITICAL POINTS]\n{}", nodes.len())?;
    for (number, (node, ends)) in nodes.iter().zip(&ends).enumerate() {
        let [x, y, z] = place(node, positions);
        let (kind, boundary) = (index(node.kind), u8::from(node.boundary));
        // without a partner a point is its own
        let pair = partner(node).unwrap_or(number);
        writeln!(out, "{kind} {x} {y} {z} {} {pair} {boundary}\n {}", node.density, ends.len())?;
        for (other, filament) in ends {
            writeln!(out, " {other} {filament}")?;
        }
    }
    writeln!(out, "[FILAMENTS]\n{}", filaments.len())?;
    for filament in filaments {
        let line = skeleton.line(filament);
        writeln!(out, "{} {} {}", filament.from, filament.to, line.len())?;
        for [x, y, z] in line {
            writeln!(out, " {x} {y} {z}")?;
        }
    }
    writeln!(out, "[CRITICAL POINTS DATA]\n2\npersistence_ratio\nfield_value")?;
    for node in nodes {
        writeln!(out, "{} {}", finite(node.persistence), node.density)?;
    }
    writeln!(out, "[FILAMENTS DATA]\n2\npersistence_ratio\nrobustness")?;
    for filament in filaments {
        for _ in skeleton.line(filament) {
            writeln!(out, "{} {}", finite(filament.persistence), filament.robustness)?;
        }
    }
    Ok(())
}

fn bounds(points: impl Iterator<Item = [f64; 3]>) -> ([f64; 3], [f64; 3]) {
    let mut ends = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    for point in points.filter(|point| point.iter().all(|x| x.is_finite())) {
        for ((low, high), x) in ends.0.iter_mut().zip(&mut ends.1).zip(point) {
            (*low, *high) = (x.min(*low), x.max(*high));
        }
    }
    if ends.0[0] <= ends.1[0] { ends } else { ([0.0; 3], [0.0; 3]) }
}

fn vtk(skeleton: &Skeleton, out: &mut dyn Write) -> io::Result<()> {
    let Skeleton { filaments, points, .. } = skeleton;
    writeln!(
        out,
        "# vtk DataFile Version 3.0\nskeleton of bifrost, comoving Mpc\nASCII\nDATASET POLYDATA"
    )?;
    writeln!(out, "POINTS {} double", points.len())?;
    for [x, y, z] in points {
        writeln!(out, "{x} {y} {z}")?;
    }
    let words: usize = filaments.iter().map(|filament| filament.points.len() + 1).sum();
    writeln!(out, "LINES {} {words}", filaments.len())?;
    for filament in filaments {
        write!(out, "{}", filament.points.len())?;
        for point in filament.points.clone() {
            write!(out, " {point}")?;
        }
        writeln!(out)?;
    }
    writeln!(out, "CELL_DATA {}", filaments.len())?;
    for name in ["persistence_ratio", "robustness"] {
        writeln!(out, "SCALARS {name} double 1\nLOOKUP_TABLE default")?;
        for filament in filaments {
            let of = [filament.persistence, filament.robustness];
            writeln!(out, "{}", finite(of[usize::from(name == "robustness")]))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bifrost_science::skeleton::Filament;

    /// A peak with a filament to it, another pass at the same place, and a peak without a partner.
    fn skeleton() -> Skeleton {
        let node = |kind, vertex, partner, persistence| Node {
            kind,
            vertex,
            density: 2.0,
            persistence,
            partner,
            boundary: false,
        };
        let nodes = vec![
            node(Kind::Maximum, 0, Some(1), 3.0),
            node(Kind::Saddle2, 1, Some(0), 3.0),
            node(Kind::Saddle1, 1, Some(2), 3.0),
            node(Kind::Maximum, 2, None, f64::INFINITY),
        ];
        let filament = Filament {
            from: 1,
            to: 0,
            points: 0..2,
            persistence: 3.0,
            robustness: 1.5,
            boundary: false,
        };
        let points = vec![[1.0, 2.0, 3.0], [1.0, 2.0, 5.0]];
        Skeleton { nodes, filaments: vec![filament], vertices: vec![1, 0], points }
    }

    #[test]
    fn pairs_are_of_each_other_where_critical_points_share_a_place() {
        let mut out = Vec::new();
        let positions = [[1.0, 2.0, 5.0], [1.0, 2.0, 3.0], [0.0; 3]];
        write(Form::Ndskl, &skeleton(), &positions, &mut out).expect("written");
        let text = String::from_utf8(out).expect("text");
        let pairs: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with("BBOX") && line.split(' ').count() == 7)
            .filter_map(|line| line.split(' ').nth(5))
            .collect();
        assert_eq!(pairs, ["1", "0", "2", "3"]);
    }

    #[test]
    fn a_piece_is_a_line_in_space() {
        let [first, .., last] = &skeleton().points[..] else { panic!("no line") };
        let made = wkb(&[*first, *last]);
        assert_eq!((made.len(), &made[..9]), (9 + 6 * 8, &[1, 0xea, 3, 0, 0, 2, 0, 0, 0][..]));
        assert_eq!(made[9 + 5 * 8..], 5f64.to_le_bytes());
        let said = geo(&skeleton());
        let bbox = said.pointer("/columns/geometry/bbox").expect("ends");
        assert_eq!(*bbox, json!([1.0, 2.0, 3.0, 1.0, 2.0, 5.0]));
        assert_eq!(geo(&Skeleton::default()).pointer("/columns/geometry/bbox"), None);
    }
}
