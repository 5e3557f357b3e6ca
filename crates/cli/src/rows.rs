//! How rows reach a person, a script or a file.
//!
//! Text goes out batch by batch. A file is written beside its final place and renamed when it is
//! complete, so that nobody ever sees half of it; a device or a pipe is written to as it is.

use crate::context::Context;
use crate::exit::{Usage, output, usage};
use crate::leftovers::Leftover;
use crate::printer::{harmless, table};
use anyhow::Context as _;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::csv::WriterBuilder as CsvBuilder;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::json::WriterBuilder as JsonBuilder;
use arrow::json::writer::LineDelimited;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bifrost_core::read;
use clap::ValueEnum;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of one table block on the terminal; widths are found for each block.
const TABLE_ROWS: usize = 500;
/// Encoded bytes that make a row group of a Parquet file.
const ROW_GROUP_BYTES: usize = 64 << 20;
/// Values of an array that a table shows.
const VALUES_SHOWN: usize = 2;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: arrays are abbreviated
    Table,
    /// Comma-separated, with a head line; arrays as text
    Csv,
    /// One JSON object a line; NaN and infinities become null
    Json,
    /// Needs -o FILE
    Parquet,
}

/// Where rows go and how, as arguments of a command.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// How to write the rows
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Write to a file instead of standard output; it appears when it is complete
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Target {
    /// The form that rows take: JSON where all output shall be.
    pub fn format(&self, ctx: &Context) -> Result<Format, Usage> {
        match self.format {
            Format::Table if ctx.printer.json => Ok(Format::Json),
            Format::Parquet if self.output.is_none() => {
                Err(Usage("Parquet goes to a file: give -o FILE".into()))
            }
            format => Ok(format),
        }
    }

    /// Writes all rows and counts them. Without rows a file has the columns alone, where they are known, and
    /// so has CSV; to a terminal nothing is written.
    pub fn write(
        &self,
        ctx: &Context,
        schema: &SchemaRef,
        rows: impl Iterator<Item = Result<RecordBatch, read::Error>>,
    ) -> anyhow::Result<u64> {
        let mut sink = None;
        let mut written = 0;
        for batch in rows {
            let batch = batch.map_err(failed)?;
            if batch.num_rows() == 0 {
                continue;
            }
            written += batch.num_rows() as u64;
            let sink = match &mut sink {
                Some(sink) => sink,
                none => none.insert(Sink::open(self.format(ctx)?, self.output.as_deref(), schema)?),
            };
            sink.write(&batch)?;
        }
        let format = self.format(ctx)?;
        if sink.is_none()
            && !schema.fields().is_empty()
            && (self.output.is_some() || format == Format::Csv)
        {
            let mut empty = Sink::open(format, self.output.as_deref(), schema)?;
            empty.write(&RecordBatch::new_empty(schema.clone()))?;
            sink = Some(empty);
        }
        sink.map_or(Ok(()), Sink::finish)?;
        Ok(written)
    }
}

/// What went wrong in reading, as the command ends with it.
pub fn failed(error: read::Error) -> anyhow::Error {
    if error.is_usage() { usage(error).into() } else { error.into() }
}

/// Where rows go.
struct Sink {
    writer: Writer,
    draft: Option<Draft>,
}

enum Writer {
    Text { format: Format, out: Box<dyn Write>, is_first: bool },
    Parquet(Box<ArrowWriter<File>>),
}

impl Sink {
    /// Opens the output: a file, or standard output.
    fn open(format: Format, file: Option<&Path>, schema: &SchemaRef) -> anyhow::Result<Self> {
        let draft = file.map(Draft::new).transpose()?;
        let writer = match (&draft, format) {
            (Some(draft), Format::Parquet) => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_created_by(format!("bifrost read {}", env!("CARGO_PKG_VERSION")));
                let out = draft.file.try_clone()?;
                let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties.build()));
                Writer::Parquet(Box::new(writer.with_context(|| draft.failed())?))
            }
            (draft, format) => {
                let out: Box<dyn Write> = match draft {
                    Some(draft) => Box::new(BufWriter::new(draft.file.try_clone()?)),
                    None => Box::new(io::stdout().lock()),
                };
                Writer::Text { format, out, is_first: true }
            }
        };
        Ok(Self { writer, draft })
    }

    /// Writes rows.
    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        match &mut self.writer {
            Writer::Parquet(writer) => {
                writer.write(batch)?;
                if writer.in_progress_size() > ROW_GROUP_BYTES {
                    writer.flush()?;
                }
            }
            Writer::Text { format, out, is_first } => {
                let text = match format {
                    Format::Csv => csv(batch, *is_first)?,
                    Format::Json => json(batch)?,
                    Format::Table | Format::Parquet => {
                        harmless(&tables(batch, *is_first)?).as_bytes().to_vec()
                    }
                };
                *is_first = false;
                out.write_all(&text).map_err(output)?;
            }
        }
        Ok(())
    }

    /// Ends the output; a file gets its name.
    fn finish(self) -> anyhow::Result<()> {
        match self.writer {
            Writer::Parquet(writer) => drop(writer.close()?),
            Writer::Text { mut out, .. } => out.flush().map_err(output)?,
        }
        self.draft.map_or(Ok(()), Draft::publish)
    }
}

/// Bytes on their way to standard output, or to a file that appears when they are complete.
pub struct Output {
    out: Box<dyn Write>,
    draft: Option<Draft>,
}

impl Output {
    /// Opens the output: a file, or standard output.
    pub fn open(file: Option<&Path>) -> anyhow::Result<Self> {
        let draft = file.map(Draft::new).transpose()?;
        let out: Box<dyn Write> = match &draft {
            Some(draft) => Box::new(BufWriter::new(draft.file.try_clone()?)),
            None => Box::new(io::stdout().lock()),
        };
        Ok(Self { out, draft })
    }

    /// Writes bytes.
    pub fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.out.write_all(bytes).map_err(output)
    }

    /// Ends the output; a file gets its name.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.out.flush().map_err(output)?;
        self.draft.map_or(Ok(()), Draft::publish)
    }
}

/// A file being written; it vanishes unless it is published.
struct Draft {
    file: File,
    /// None where the target is no file that could be replaced.
    draft: Option<PathBuf>,
    target: PathBuf,
    _leftover: Option<Leftover>,
}

impl Draft {
    fn new(target: &Path) -> anyhow::Result<Self> {
        // what a link leads to is replaced, not the link
        let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
        let failed = || format!("failed to write {}", target.display());
        if fs::metadata(&target).is_ok_and(|about| !about.is_file() && !about.is_dir()) {
            let file = OpenOptions::new().write(true).open(&target).with_context(failed)?;
            return Ok(Self { file, draft: None, target, _leftover: None });
        }
        let name =
            target.file_name().with_context(|| format!("{} is no file", target.display()))?;
        let name = format!(".{}.{}.partial", name.display(), std::process::id());
        let draft = target.with_file_name(name);
        let leftover = Some(Leftover::new(&draft));
        let file = File::create(&draft).with_context(failed)?;
        Ok(Self { file, draft: Some(draft), target, _leftover: leftover })
    }

    fn failed(&self) -> String {
        format!("failed to write {}", self.target.display())
    }

    fn publish(mut self) -> anyhow::Result<()> {
        let Some(draft) = &self.draft else { return Ok(()) };
        let folder = self.target.parent().filter(|p| !p.as_os_str().is_empty());
        let publish = || {
            self.file.sync_all()?;
            fs::rename(draft, &self.target)?;
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        publish().with_context(|| self.failed())?;
        self.draft = None;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(draft) = &self.draft {
            // it is only a draft: what cannot be removed does no harm
            let _ = fs::remove_file(draft);
        }
    }
}

fn json(batch: &RecordBatch) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut writer =
        JsonBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut text);
    writer.write(batch)?;
    writer.finish()?;
    drop(writer);
    Ok(text)
}

fn csv(batch: &RecordBatch, with_head: bool) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut writer = CsvBuilder::new().with_header(with_head).build(&mut text);
    writer.write(&flat(batch)?)?;
    drop(writer);
    Ok(text)
}

/// Arrays and structs as text, which CSV has no place for.
fn flat(batch: &RecordBatch) -> anyhow::Result<RecordBatch> {
    let schema = batch.schema();
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if column.data_type().is_nested() {
            fields.push(Field::new(field.name(), DataType::Utf8, true));
            columns.push(as_text(column)?);
        } else {
            fields.push(field.as_ref().clone());
            columns.push(column.clone());
        }
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

fn as_text(column: &ArrayRef) -> anyhow::Result<ArrayRef> {
    let options = FormatOptions::new().with_null("null");
    let cells = ArrayFormatter::try_new(column.as_ref(), &options)?;
    let texts = (0..column.len())
        .map(|row| column.is_valid(row).then(|| cells.value(row).try_to_string()).transpose())
        .collect::<Result<StringArray, _>>()?;
    Ok(Arc::new(texts))
}

fn tables(batch: &RecordBatch, with_head: bool) -> anyhow::Result<String> {
    let mut text = String::new();
    for start in (0..batch.num_rows()).step_by(TABLE_ROWS) {
        let rows = TABLE_ROWS.min(batch.num_rows() - start);
        text.push_str(&block(&batch.slice(start, rows), with_head && start == 0)?);
    }
    Ok(text)
}

fn block(batch: &RecordBatch, with_head: bool) -> anyhow::Result<String> {
    let schema = batch.schema();
    let fields = schema.fields();
    let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
    let is_number = |field: &Field| field.data_type().is_numeric();
    let right: Vec<usize> = (0..fields.len()).filter(|&i| is_number(schema.field(i))).collect();
    let mut block = table(&names, &right);
    let columns = batch.columns().iter().map(cells).collect::<anyhow::Result<Vec<_>>>()?;
    for row in 0..batch.num_rows() {
        block.add_row(columns.iter().filter_map(|cells| cells.get(row)));
    }
    let text = block.to_string();
    let shown =
        if with_head { text.as_str() } else { text.split_once('\n').map_or("", |(_, r)| r) };
    Ok(format!("{shown}\n"))
}

/// The cells of a column as a table shows them.
fn cells(column: &ArrayRef) -> anyhow::Result<Vec<String>> {
    let options = FormatOptions::new().with_null("");
    match column.data_type() {
        DataType::List(_) => (0..column.len())
            .map(|row| {
                let list = column.as_list::<i32>();
                if list.is_valid(row) { abbreviated(&list.value(row)) } else { Ok(String::new()) }
            })
            .collect(),
        DataType::LargeList(_) => (0..column.len())
            .map(|row| {
                let list = column.as_list::<i64>();
                if list.is_valid(row) { abbreviated(&list.value(row)) } else { Ok(String::new()) }
            })
            .collect(),
        _ => {
            let cells = ArrayFormatter::try_new(column.as_ref(), &options)?;
            (0..column.len()).map(|row| Ok(cells.value(row).try_to_string()?)).collect()
        }
    }
}

fn abbreviated(values: &ArrayRef) -> anyhow::Result<String> {
    let options = FormatOptions::new().with_null("null");
    let cells = ArrayFormatter::try_new(values.as_ref(), &options)?;
    let shown = values.len().min(VALUES_SHOWN);
    let mut texts =
        (0..shown).map(|i| cells.value(i).try_to_string()).collect::<Result<Vec<_>, _>>()?;
    if values.len() > shown {
        texts.push(format!("… {} values", values.len()));
    }
    Ok(format!("[{}]", texts.join(", ")))
}
