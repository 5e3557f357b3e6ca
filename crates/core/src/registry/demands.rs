//! What a question demands of indexed columns, in the words and parameters of `sql/resolve_files.sql`.

use crate::sky::bricks;
use crate::tile::Pixel;
use std::ops::Range;
use std::sync::OnceLock;
use tokio_postgres::types::ToSql;

/// What indexed columns are asked; `None` asks nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Demands {
    pub(crate) product: String,
    pub(crate) sky: Option<Cover>,
    /// The same, where it was concluded from bounds of `ra` and `dec`: so it may leave out only files
    /// of which it is known that their rows lie where their names and `_healpix_29` say.
    pub(crate) area: Option<Cover>,
    pub(crate) z: (Option<f64>, Option<f64>),
    pub(crate) deltachi2: (Option<f64>, Option<f64>),
    pub(crate) zwarn: (Option<i64>, Option<i64>),
    pub(crate) target_id: (Option<i64>, Option<i64>),
    pub(crate) spectypes: Option<Vec<String>>,
    pub(crate) releases: Option<Vec<String>>,
    /// What stands for them among the cells.
    pub(crate) release_cells: Option<Vec<i16>>,
    pub(crate) surveys: Option<Vec<String>>,
    pub(crate) programs: Option<Vec<String>>,
    pub(crate) healpixes: Option<Vec<i64>>,
    /// See [`crate::occupancy`].
    pub(crate) cells: Option<Vec<i16>>,
    /// Objects, of which a file must hold one.
    pub(crate) objects: Option<Vec<i64>>,
    /// Files that hold wanted objects; others count only where the catalog does not tell.
    pub(crate) files: Option<Vec<i64>>,
    /// Where the objects lie; drawn when somebody asks.
    pub(crate) bricks: OnceLock<Bricks>,
}

/// What TARGETIDs say of places.
#[derive(Debug, Clone)]
pub(crate) struct Bricks {
    /// Where those lie that name their bricks, an `int8multirange` as text; `None`: all over the sky.
    cover: Option<String>,
    /// Least and greatest of the others.
    elsewhere: Option<(i64, i64)>,
}

/// Sorted ranges as Postgres reads an `int8multirange`.
pub(crate) fn multirange(ranges: &[Range<i64>]) -> String {
    let ranges: Vec<String> =
        ranges.iter().map(|range| format!("[{},{})", range.start, range.end)).collect();
    format!("{{{}}}", ranges.join(","))
}

/// Pixels of tiles that cover a part of the sky.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cover {
    /// First and last pixels of runs that lie apart from each other.
    pub(crate) pixels: (Vec<i32>, Vec<i32>),
    /// The same as an `int8multirange` of order 29, as text.
    pub(crate) multirange: String,
}

impl Cover {
    /// Whether it is so much of the sky that other indexes lead to fewer files.
    fn is_wide(&self) -> bool {
        let (first, last) = &self.pixels;
        let pixels: i32 = first.iter().zip(last).map(|(first, last)| last - first + 1).sum();
        i64::from(pixels) > i64::from(Pixel::COUNT) / 16
    }
}

impl Demands {
    /// Where the question looks.
    fn cover(&self) -> Option<&Cover> {
        self.sky.as_ref().or(self.area.as_ref())
    }

    /// The same about some of the objects, where the catalog knows all.
    pub(super) fn of_objects(&self, objects: &[i64]) -> Self {
        let (product, objects) = (self.product.clone(), Some(objects.to_vec()));
        Self { product, objects, ..Self::default() }
    }

    fn bricks(&self) -> &Bricks {
        self.bricks.get_or_init(|| {
            let located = self.objects.as_deref().map(bricks::locate).unwrap_or_default();
            let (least, greatest) =
                (located.elsewhere.iter().min(), located.elsewhere.iter().max());
            Bricks {
                cover: located.cover.as_deref().map(multirange),
                elsewhere: least.copied().zip(greatest.copied()),
            }
        })
    }

    /// What is demanded, in the words of `sql/resolve_files.sql`: the way first.
    pub(super) fn words(&self, is_cataloged: bool) -> Vec<&'static str> {
        let way = match self {
            Self { files: Some(_), .. } => "files",
            Self { objects: Some(_), .. } if is_cataloged => "cataloged",
            Self { objects: Some(_), .. } => "objects",
            Self { healpixes: Some(_), .. } => "tile",
            Self { cells: Some(_), .. } if self.cover().is_none_or(Cover::is_wide) => "cells",
            Self { sky: Some(_), .. } => "sky",
            Self { area: Some(_), .. } => "area",
            _ => "product",
        };
        let near = [
            ("near_releases", self.releases.is_some()),
            ("near_surveys", self.surveys.is_some()),
            ("near_programs", self.programs.is_some()),
        ];
        let demands = [
            ("cover", self.sky.is_some()),
            ("within", self.area.is_some()),
            ("cells_of_releases", self.release_cells.is_some() && way == "cells"),
            ("bricks", way == "objects" && self.bricks().cover.is_some()),
            ("brickless", way == "objects" && self.bricks().elsewhere.is_some()),
            ("z_first", self.z.0.is_some()),
            ("z_last", self.z.1.is_some()),
            ("deltachi2_first", self.deltachi2.0.is_some()),
            ("deltachi2_last", self.deltachi2.1.is_some()),
            ("zwarn_first", self.zwarn.0.is_some()),
            ("zwarn_last", self.zwarn.1.is_some()),
            ("target_id_first", self.target_id.0.is_some()),
            ("target_id_last", self.target_id.1.is_some()),
            ("spectypes", self.spectypes.is_some()),
            ("releases", self.releases.is_some()),
            ("surveys", self.surveys.is_some()),
            ("programs", self.programs.is_some()),
            ("healpixes", self.healpixes.is_some() && way != "tile"),
        ];
        let demands = match way {
            "sky" | "area" => near.as_slice(),
            "cataloged" => &[],
            _ => demands.as_slice(),
        };
        let demanded = demands.iter().filter_map(|(word, is)| is.then_some(*word));
        std::iter::once(way).chain(demanded).collect()
    }

    pub(super) fn value(&self, name: &str) -> Option<&(dyn ToSql + Sync)> {
        Some(match name {
            "product" => &self.product,
            "cover" => &self.sky.as_ref()?.multirange,
            "area" => &self.area.as_ref()?.multirange,
            "near" => &self.cover()?.multirange,
            "pixels_first" => &self.cover()?.pixels.0,
            "pixels_last" => &self.cover()?.pixels.1,
            "z_first" => &self.z.0,
            "z_last" => &self.z.1,
            "deltachi2_first" => &self.deltachi2.0,
            "deltachi2_last" => &self.deltachi2.1,
            "zwarn_first" => &self.zwarn.0,
            "zwarn_last" => &self.zwarn.1,
            "target_id_first" => &self.target_id.0,
            "target_id_last" => &self.target_id.1,
            "spectypes" => &self.spectypes,
            "releases" => &self.releases,
            "release_cells" => &self.release_cells,
            "surveys" => &self.surveys,
            "programs" => &self.programs,
            "healpixes" => &self.healpixes,
            "cells" => &self.cells,
            "objects" => &self.objects,
            "files" => &self.files,
            "bricks" => &self.bricks().cover,
            "brickless_first" => &self.bricks().elsewhere.as_ref()?.0,
            "brickless_last" => &self.bricks().elsewhere.as_ref()?.1,
            _ => return None,
        })
    }
}
