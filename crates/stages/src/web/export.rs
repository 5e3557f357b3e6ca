//! The skeleton as other programs read it: DisPerSE's NDskl in ASCII, VTK's legacy polylines, Parquet.
//!
//! Positions are comoving Mpc, as in the skeleton. Formats: the manual of DisPerSE (NDskl_ascii), "VTK
//! File Formats" (version 3.0, ASCII). A node's `persistence_ratio` is infinite where it has no partner:
//! DisPerSE's own files have no such value, so −1 stands for it there.

use crate::stage::column;
use arrow::array::{ArrayRef, Float64Array, RecordBatch, UInt32Array};
use arrow::datatypes::DataType::{Float64, UInt32};
use arrow::datatypes::Schema;
use bifrost_science::skeleton::{Kind, Node, Skeleton};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
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

/// The pieces of filaments as a Parquet file, a row each: its ends, its filament, and what that is like.
///
/// # Errors
/// Those of the writer.
pub fn parquet(skeleton: &Skeleton) -> Result<Vec<u8>, ParquetError> {
    let mpc = |name: &str, what: &str| column(name, Float64, "Mpc", "pos.cartesian", what);
    let mut fields = vec![column("filament", UInt32, "", "meta.id", "Number of the filament")];
    for (end, what) in [("from", "beginning"), ("to", "end")] {
        let text = format!("Comoving position of the {what} of the piece");
        fields.extend(["x", "y", "z"].map(|axis| mpc(&format!("{end}_{axis}"), &text)));
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
    let (mut numbers, mut ends) = (Vec::new(), vec![Vec::new(); 6]);
    let (mut persistence, mut robustness) = (Vec::new(), Vec::new());
    for (number, filament) in (0u32..).zip(&skeleton.filaments) {
        for piece in skeleton.line(filament).windows(2) {
            numbers.push(number);
            let coordinates = piece.iter().flatten();
            ends.iter_mut().zip(coordinates).for_each(|(column, x)| column.push(*x));
            persistence.push(filament.persistence.is_finite().then_some(filament.persistence));
            robustness.push(filament.robustness.is_finite().then_some(filament.robustness));
        }
    }
    let mut columns: Vec<ArrayRef> = vec![Arc::new(UInt32Array::from(numbers))];
    columns.extend(ends.into_iter().map(|x| Arc::new(Float64Array::from(x)) as ArrayRef));
    columns.extend([persistence, robustness].map(|x| Arc::new(Float64Array::from(x)) as ArrayRef));
    let schema = Arc::new(Schema::new(fields));
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), None)?;
    writer.write(&RecordBatch::try_new(schema, columns)?)?;
    writer.into_inner()
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
    let at: HashMap<u32, usize> =
        nodes.iter().enumerate().map(|(number, node)| (node.vertex, number)).collect();
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
        let partner = node.partner.and_then(|vertex| at.get(&vertex).copied());
        let pair = partner.unwrap_or(number);
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
